"""Whom an answer goes to, as calls and the application see it.

A connection without its reading: what is sent, ended or refused goes through here, in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..frontend.responses import RefusedRequest
    from ..limits import Limits


class Responder(Protocol):
    """The connection of one caller; `address` is its own."""

    limits: Limits
    address: bytes

    @property
    def stale_line(self) -> bytes | None:
        """What answers say while the registry can't be read."""

    @property
    def is_draining(self) -> bool:
        """Whether the connection closes after this answer."""

    def send(self, data: bytes) -> None:
        """Send a piece of the answer."""

    def done(self, *, keep_alive: bool) -> None:
        """All of the answer was sent."""

    def refuse(self, refusal: RefusedRequest) -> None:
        """Answer with an error."""

    def cut(self) -> None:
        """The answer can't be ended: so does the connection."""

    def open_tunnel(self) -> None:
        """Whatever comes from here on is the answering call's, as it comes."""

    def pause_body(self) -> None:
        """Read no more of the request's body."""

    def resume_body(self) -> None:
        """Read on."""
