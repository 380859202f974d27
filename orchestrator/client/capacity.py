"""Whether Redis takes what is to be submitted: each value of it has a size that the server allows.

A larger one would end the connection in the midst of being sent, with the generation's number given
already. So it is refused before anything is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rootward.modules.errors import BundleError

from ..errors import PlanError

if TYPE_CHECKING:
    from ..planning.definition import Packed
    from ..store.connection import Clients

_SURELY: Final = 16 << 20
# What sealing adds, generously.
_SEAL: Final = 1 << 10


def check_fits(packed: Packed, clients: Clients) -> None:
    """Raise PlanError for a tree, and BundleError for code, that the server would not take.

    The server is asked for its limit only when something is large.
    """
    tree, bundle = len(packed.tree) + _SEAL, packed.bundle
    if max(tree, 0 if bundle is None else bundle.size) <= _SURELY:
        return
    limit = clients.largest_value()
    if tree > limit:
        raise PlanError(
            f"the tree holds {_mib(tree)} and Redis takes values of up to {_mib(limit)}: write "
            "what is large (weights, data) to shared storage and keep the path, or load it in "
            "setup()"
        )
    # What compresses well may fit all the same.
    if bundle is not None and bundle.size > limit and len(bundle.archive()) + _SEAL > limit:
        raise BundleError(
            f"the code that goes along has {_mib(bundle.size)}, and Redis takes values of up to "
            f"{_mib(limit)} when it is compressed: leave data files out (--exclude)"
        )


def _mib(size: int) -> str:
    return f"{-(-size >> 20):,} MiB"
