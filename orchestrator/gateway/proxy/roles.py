"""What the parts of the proxy need of each other, so that none has to know what another is.

A connection to a replica answers to a call, a replica keeps connections, and a service lets calls
wait: here is what each of them may ask for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    from ...http.framing import Malformed, Response


class Waiting(Protocol):
    """A call that is held until there is a replica."""

    def dispatch(self) -> None:
        """Look again."""


class Kept(Protocol):
    """A connection as its replica keeps it: `call` is the one under way, if any.

    `idle_since` is by the loop's clock.
    """

    transport: asyncio.Transport
    call: Answered | None
    idle_since: float

    def close(self) -> None:
        """Close it; whoever had a call on it has forgotten it."""


class Answered(Protocol):
    """A call as its connection to a replica sees it; `method` is the request's."""

    method: bytes

    @property
    def wants_upgrade(self) -> bool:
        """Whether an answer 101 is one that was asked for."""

    def lost(self) -> None:
        """The connection ended before the answer did."""

    def answer_is_bad(self, error: Malformed) -> None:
        """The answer is no HTTP."""

    def answer_begins(self, response: Response, piece: bytes) -> None:
        """The head and the first piece are there, and more will come."""

    def answer_goes_on(self, piece: bytes) -> None:
        """A later piece is there."""

    def answer_ends(self, piece: bytes) -> None:
        """The last piece is there."""

    def answer_is_whole(self, response: Response, piece: bytes) -> None:
        """All of the answer is there at once."""

    def pause_request(self) -> None:
        """The replica reads slower than the caller sends."""

    def resume_request(self) -> None:
        """The replica reads again."""
