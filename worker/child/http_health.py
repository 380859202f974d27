"""Asking a foreign server whether it is well: one small GET, with an end.

Whatever the other side sends or doesn't send, an answer is had within the time. Of a body only the
first bytes are read, for people.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

TIMEOUT_S: Final = 5.0
_SHOWN: Final = 200
_HEAD_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthAnswer:
    """What was answered: `is_silent` when nobody answered in time."""

    is_well: bool
    detail: str
    is_silent: bool = False


async def ask(host: str, port: int, path: str, *, timeout_s: float = TIMEOUT_S) -> HealthAnswer:
    """Ask `GET path`; never raises for what is answered."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _ask(host, port, path)
    except TimeoutError:
        return HealthAnswer(
            is_well=False, detail=f"no answer within {timeout_s:g} s", is_silent=True
        )
    except ConnectionRefusedError:
        return HealthAnswer(is_well=False, detail=f"nothing listens on port {port}")
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        return HealthAnswer(is_well=False, detail=str(error) or type(error).__name__)


async def _ask(host: str, port: int, path: str) -> HealthAnswer:
    reader, writer = await asyncio.open_connection(host, port, limit=_HEAD_BYTES)
    try:
        name = f"[{host}]" if ":" in host else host
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {name}:{port}\r\nUser-Agent: rootward-health\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        version, _, line = head.partition(b" ")
        if not version.startswith(b"HTTP/1."):
            return HealthAnswer(is_well=False, detail=f"no HTTP: {head[:40]!r}")
        status = int(line[:3])
        if 200 <= status < 300:
            return HealthAnswer(is_well=True, detail=f"HTTP {status}")
        text = " ".join((await reader.read(_SHOWN)).decode(errors="replace").split())
        return HealthAnswer(is_well=False, detail=f"HTTP {status} {text}".strip())
    finally:
        writer.close()
