"""Two processes that read projects, under different hash seeds, shared by all tests here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.identities import Edits, IdentityReader

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def edits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edits]:
    """Compares projects before and after an edit."""
    with IdentityReader(seed=1) as before, IdentityReader(seed=2) as after:
        yield Edits(tmp_path_factory.mktemp("identities"), before, after)
