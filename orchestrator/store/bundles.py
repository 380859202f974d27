"""Bundles of code in the store: each once, for as long as a generation uses it.

A bundle is stored before the submission that needs it, and goes by itself if that never comes; from
then on the generations that use it keep it (`keep_bundle` in `generations.lua`). What is stored is
sealed by whoever submits and opened by whoever reads.
"""

from __future__ import annotations

from typing import Final

from .keys import STAGED_S
from .part import StorePart

_KEPT_S: Final = STAGED_S * 2


class BundleStore(StorePart):
    """Stores and reads bundles by their digest."""

    def holds(self, digest: str, head: bytes) -> bool:
        """Whether a bundle is here whose bytes begin with `head`; it stays for a submission."""
        keys = [self._keys.bundle(digest), self._keys.bundle_users(digest)]
        return bool(self._scripts.run("keep_bundle", keys, [_KEPT_S, head]))

    def put(self, digest: str, sealed: bytes) -> None:
        """Store a sealed bundle."""
        self._scripts.run("put_bundle", [self._keys.bundle(digest)], [_KEPT_S, sealed])

    def get(self, digest: str) -> bytes | None:
        """Return a sealed bundle; None when it isn't stored."""
        found: bytes | None = self._client.get(self._keys.bundle(digest))
        return found
