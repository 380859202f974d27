"""What connections to a replica and their server need of each other, and no more than that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    from rootward.orchestrator.http.head_cache import HeadCache

    from .request_head import Head
    from .router import ReplicaApp


class Begun(Protocol):
    """A call as its connection sees it."""

    def start(self, body: bytes) -> None:
        """Run it as soon as it can be."""


class CallMaker(Protocol):
    """What makes calls, as a connection sees it."""

    @property
    def make_call(self) -> Callable[..., Begun]:
        """What makes a call."""


class OpenConnection(Protocol):
    """A connection as the server sees it: cut at its deadline, by the monotonic clock."""

    transport: asyncio.Transport
    deadline: float

    def expire(self) -> None:
        """The deadline has passed."""

    def retire(self) -> None:
        """Take no further request."""


class ReplicaHost(Protocol):
    """What all connections share, as one of them sees it."""

    app: ReplicaApp
    heads: HeadCache[Head]
    loop: asyncio.AbstractEventLoop

    @property
    def serving(self) -> CallMaker:
        """What makes and runs calls."""

    def entered(self, caller: OpenConnection) -> None:
        """Count a connection in."""

    def left(self, caller: OpenConnection) -> None:
        """Count a connection out."""
