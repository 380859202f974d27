"""Where the code of a generation is on this machine: in the cache, else fetched into it.

A bundle is read from the store, its signature and its digest are checked, and only then is it
unpacked, in a thread. Nothing of it is imported here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rootward.modules.code.bundle import open_archive
from rootward.modules.code.entry import check_needs
from rootward.modules.errors import BundleError

if TYPE_CHECKING:
    from rootward.orchestrator.security.signing import Signer
    from rootward.orchestrator.store.store import Store

    from ..agent.store_client import StoreClient
    from .bundle_cache import BundleCache, Lease


class CodeFolders:
    """Gives folders of unpacked bundles, each for as long as its lease is open."""

    def __init__(self, store: Store, signer: Signer, link: StoreClient, cache: BundleCache) -> None:
        self._store, self._signer, self._link, self._cache = store, signer, link, cache

    async def lease(self, digest: str) -> Lease:
        """Return the folder of a bundle.

        Raises SignatureError, BundleError when it isn't stored or can't be kept, and CodeMismatch
        when its compiled files are for another platform.
        """
        lease = await asyncio.to_thread(self._cache.open, digest)
        if lease is not None:
            return lease
        sealed = await self._link.insist(self._store.bundles.get, digest)
        if sealed is None:
            raise BundleError(
                f"the store has no bundle {digest[:12]} any more: deploy the tree again"
            )
        return await asyncio.to_thread(self._unpack, sealed, digest)

    def _unpack(self, sealed: bytes, digest: str) -> Lease:
        bundle = open_archive(self._signer.open_bundle(sealed, digest), digest)
        check_needs(bundle.needs)
        return self._cache.put(bundle)
