"""The heads of requests as a replica needs them.

What a head means is found by the gateway's strict reader, so that the two never disagree about
where a request ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rootward.modules.rpc import proof
from rootward.orchestrator.gateway.limits import Limits
from rootward.orchestrator.http.framing import Malformed, read_request
from rootward.orchestrator.http.head_cache import HeadCache

LIMITS: Final = Limits(head_bytes=64 << 10)
# A challenge comes once.
_NEVER_AGAIN: Final = frozenset({proof.HEADER.lower().encode()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One head: `length` is None for a body in chunks, `left_s` what the caller still waits.

    `headers` has the names in lower case; of several with one name the last counts. `is_old` says
    that it is HTTP/1.0, which knows no chunks.
    """

    method: bytes
    path: bytes
    headers: dict[bytes, bytes]
    length: int | None
    keep_alive: bool
    is_old: bool
    left_s: float | None


def heads() -> HeadCache[Head]:
    """Return a cache of heads; what a caller still waits is another in each."""
    return HeadCache(_read, lambda head: head.left_s is None)


def _read(data: bytes) -> Head:
    request = read_request(data, LIMITS)
    headers = dict(request.headers())
    return Head(
        method=request.method,
        path=request.target.partition(b"?")[0],
        headers=headers,
        length=request.length,
        # Older ones would have to be told, and gain nothing here.
        keep_alive=request.keep_alive and request.minor == 1,
        is_old=request.minor == 0,
        left_s=_seconds(headers.get(b"x-rootward-timeout")),
    )


def _seconds(given: bytes | None) -> float | None:
    if given is None:
        return None
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    # A comparison that NaN doesn't pass.
    if not 0 <= seconds < 1e7:
        raise Malformed(400, "x-rootward-timeout is a number of seconds")
    return seconds
