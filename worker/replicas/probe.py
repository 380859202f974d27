"""Asking a replica over HTTP whether it is ready: one small GET, with an end.

The answer to `/readyz` decides whether a replica is published. The client is written out here,
because an agent asks a few times a replica and must never hang on one: every probe ends at its
time-out, whatever the other side sends or doesn't send. Nothing of the body is trusted.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

PROBE_TIMEOUT_S = 2.0
_BODY_BYTES = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a probe heard: `status` is the HTTP status, None when nothing valid came."""

    status: int | None
    detail: str

    @property
    def is_ready(self) -> bool:
        """Whether the replica said that it takes calls."""
        return self.status == 200


async def probe(host: str, port: int, token: str, *, timeout_s: float = PROBE_TIMEOUT_S) -> Answer:
    """Ask `GET /readyz` of the replica that `token` names; never raises for what it answers."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _ask(host, port, token)
    except TimeoutError:
        return Answer(status=None, detail=f"no answer within {timeout_s:g} s")
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        return Answer(status=None, detail=str(error) or type(error).__name__)


async def _ask(host: str, port: int, token: str) -> Answer:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        name = f"[{host}]" if ":" in host else host
        writer.write(
            f"GET /readyz HTTP/1.1\r\nHost: {name}:{port}\r\nX-Rootward-Token: {token}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n")
        version, _, line = head.decode("latin-1").partition(" ")
        if not version.startswith("HTTP/1."):
            return Answer(status=None, detail=f"no HTTP: {head[:40]!r}")
        status = int(line.split(" ", 1)[0])
        if status == 200:
            return Answer(status=status, detail="ready")
        rest = bytearray(b"\r\n")
        # The other side closes when it has said all.
        while len(rest) < _BODY_BYTES and (data := await reader.read(_BODY_BYTES)):
            rest += data
        text = rest.partition(b"\r\n\r\n")[2].decode(errors="replace").strip()
        return Answer(status=status, detail=f"HTTP {status} {text}".strip())
    finally:
        writer.close()
