"""A new connection to a replica, up to the proof that it is one.

Nothing of a call is sent to an address from the registry before what listens there has answered a
challenge, as `rootward.modules.rpc.proof` describes it. Only then does the connection become one
that calls use.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rootward.modules.rpc import proof
from rootward.modules.rpc.connections import notice_lost_host

from ...http.framing import END, Malformed, read_response
from .upstream import ReplicaConnection

if TYPE_CHECKING:
    from .replica import UpstreamReplica


async def connect(replica: UpstreamReplica, limit_s: float) -> ReplicaConnection:
    """Return a new connection to the replica, which it has proven to be.

    `limit_s` are the seconds to connect in; a proof may take longer. Raises OSError.
    """
    loop, view = asyncio.get_running_loop(), replica.view
    async with asyncio.timeout(limit_s):
        transport, prover = await loop.create_connection(_Prover, view.host, view.port)
    notice_lost_host(transport.get_extra_info("socket"))
    try:
        if replica.call_key is not None:
            async with asyncio.timeout(proof.TIMEOUT_S):
                await prover.prove(replica.call_key, replica.netloc, view.token)
        if transport.is_closing():
            raise ConnectionResetError("the connection ended")
    except BaseException:
        transport.abort()
        raise
    connection = ReplicaConnection(replica)
    transport.set_protocol(connection)
    connection.connection_made(transport)
    return connection


class _Prover(asyncio.Protocol):
    """Sends the challenge and reads the answer to it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._buffer = b""
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def prove(self, key: bytes, netloc: str, token: str) -> None:
        """Return when the other side has proven that it is the replica; Unproven, OSError."""
        challenge = proof.new_challenge()
        self._transport.write(proof.request(netloc, challenge))
        proof.check(key, token, challenge, await self._answer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's is none of asyncio's classes, and has all of their methods.
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up the proof."""
        del exc
        self._fail(ConnectionResetError("the connection ended before the proof"))

    def data_received(self, data: bytes) -> None:
        """Take a piece of the answer."""
        self._buffer += data
        head, _, body = self._buffer.partition(END)
        try:
            if len(self._buffer) > proof.LIMIT_BYTES:
                raise proof.Unproven
            if END not in self._buffer:
                return
            response = read_response(head + END, b"GET")
            if response.status != 200 or response.length is None or response.length < 0:
                raise proof.Unproven
        except (Malformed, proof.Unproven):
            self._fail(proof.Unproven())
            return
        if len(body) >= response.length and not self._answer.done():
            self._answer.set_result(body)

    def _fail(self, error: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)
            # Nobody may be waiting for it any more.
            self._answer.exception()
