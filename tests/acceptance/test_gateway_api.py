"""The API keeps what its OpenAPI document says, whatever schemathesis thinks of sending."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.gateways import serving
from tests.support.programs import run

if TYPE_CHECKING:
    from tests.acceptance.conftest import Network


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_schemathesis_finds_nothing(network: Network) -> None:
    """Also not when it follows the links, and so cancels, resumes and stops what is deployed."""
    st = str(Path(sys.executable).with_name("st"))
    with serving(network) as gateway:
        options = [
            *("run", f"{gateway.url}/openapi.json", "--no-color", "--max-examples", "15"),
            *("--header", f"Authorization: Bearer {gateway.token}", "--request-timeout", "20"),
            # A stream of events has no end.
            *("--exclude-path-regex", "(events|stream)$"),
        ]
        found = run([st, *options], folder=network.folder, timeout=120)
        assert found.process.returncode == 0, found.report()
        assert gateway.program.is_running
        assert "Traceback" not in gateway.program.stderr
        assert "API Links:    4 covered" in found.stdout, found.report()
