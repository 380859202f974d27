"""Fixtures of all tests: a server, a prefix of one's own, and settings that are nobody else's.

A test asks for `redis_url` when it needs a server, and for `prefix` to have keys of its own there;
nothing is ever flushed, so that tests can share the server and run side by side.
"""

from __future__ import annotations

import os
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "a secret that only these tests know, long enough for anyone"


@pytest.fixture(scope="session")
def code_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the workers of all tests keep code, instead of the cache of whoever runs them."""
    return str(tmp_path_factory.mktemp("code"))


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, code_cache: str) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in os.environ:
        if name == "REDIS_URL" or name.startswith("ROOTWARD_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ROOTWARD_CACHE", code_cache)


@pytest.fixture(autouse=True)
def own_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget a test's own modules and folders, so that the next may use the same names."""
    known, path = set(sys.modules), list(sys.path)
    yield
    scratch = str(tmp_path_factory.getbasetemp()) + os.sep
    for name in set(sys.modules) - known:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(scratch):
            del sys.modules[name]
    sys.path[:] = [each for each in sys.path if each in path or not each.startswith(scratch)]


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of a private server that lives as long as the test run."""
    from rootward.orchestrator.embedded.server import EmbeddedServer

    with EmbeddedServer() as server:
        yield server.url


@pytest.fixture
def prefix() -> str:
    """A key prefix that no other test has."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def secret() -> str:
    """A secret that is good enough for a networked worker."""
    return SECRET
