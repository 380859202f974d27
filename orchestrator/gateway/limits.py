"""What the gateway takes, from whom, and for how long: one frozen record of limits.

The sizes guard its memory, the times its places: whoever is slow or large loses the connection, not
the gateway. Which limit a caller has met is told by whoever finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds.

    A body of up to `replay_bytes` is read whole before a replica sees any of it, so that a slow
    sender occupies no replica and the call can be repeated; a larger one is streamed. Bodies must
    come with at least `body_rate` bytes a second after a grace of `body_s`. A tunnel (WebSocket) in
    which neither side says anything for `tunnel_idle_s` is cut.
    """

    hold_s: float = 10.0
    concurrency: int = 1000
    connections: int = 10_000
    head_bytes: int = 32 * KIB
    line_bytes: int = 8 * KIB
    headers: int = 100
    body_bytes: int = 64 * MIB
    replay_bytes: int = MIB
    page_body_bytes: int = MIB
    head_s: float = 10.0
    body_s: float = 10.0
    body_rate: int = KIB
    idle_s: float = 60.0
    unread_s: float = 60.0
    tunnel_idle_s: float = 3600.0
    connect_s: float = 2.0
    grace_s: float = 30.0
