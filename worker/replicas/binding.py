"""The socket that a replica will listen on: a free port, or the one that its service is fixed to.

A fixed port may still be held by the replica that this one replaces: only then is it waited for.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Final

from rootward.modules.processes.forkserver import listen
from rootward.modules.processes.scarcity import is_scarcity

if TYPE_CHECKING:
    import socket

    from .replica_handle import ReplicaHandle

_PAUSE_S: Final = 0.1


async def bound_for(held: ReplicaHandle, host: str) -> socket.socket:
    """Bind; a fixed port may still be held by the replica that this one replaces.

    Only then is it waited for: what anyone else holds is a failure at once. A process of our
    own that has just ended may hold it for a moment, too. Raises ServeFailed, OSError.
    """
    port = held.service.port
    while True:
        try:
            listener = listen(host, port)
        except OSError as error:
            if is_scarcity(error):
                raise
            if port is None or error.errno != errno.EADDRINUSE:
                raise held.failure(f"it can't listen: {error.strerror}") from error
            held.waits_for = f"port {port} of {host} is taken by another program"
            is_ours = held.is_published and held.loaded.done()
            if not is_ours and not await held.generation.succeeds_another():
                raise held.failure(held.waits_for) from error
            await asyncio.sleep(_PAUSE_S)
        else:
            held.waits_for = None
            return listener
