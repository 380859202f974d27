"""One replica as the gateway sees it: calls under way, kept connections, whether it is left out.

A refused or broken connection leaves a replica out until one attempt, by one call at a time, has
succeeded. Repeated errors leave it out for a moment too, but of those never more than half of a
service's replicas: errors may as well be the callers' fault. Choosing is pure; time is an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..recent import Recent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .roles import Kept
    from .views import EndpointView

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0
ERRORS_IN_ROW: Final = 5
ERRORS_PAUSE_S: Final = 2.0
KEPT: Final = 256
TURNED_AWAY_S: Final = 0.5


class UpstreamReplica:
    """The state of one endpoint; `idle` are its open connections without a call."""

    __slots__ = (
        "busy",
        "call_key",
        "errors",
        "has_answered",
        "head",
        "idle",
        "in_flight",
        "is_foreign",
        "is_probed",
        "is_suspect",
        "left_out_until",
        "netloc",
        "pause_s",
        "paused_until",
        "recent",
        "told",
        "view",
    )

    def __init__(
        self,
        view: EndpointView,
        call_token: str,
        call_key: bytes | None,
        generation: int = 0,
        *,
        is_foreign: bool = False,
    ) -> None:
        """`call_key` is what it has to prove that it holds; None asks for no proof.

        One that is foreign is sent no token, and keeps no connection.
        """
        # What the caller is told of who has answered.
        self.told = (
            b"x-rootward-replica: " + view.replica.encode(),
            b"x-rootward-generation: %d" % generation,
        )
        self.view, self.call_key, self.is_foreign = view, call_key, is_foreign
        host = f"[{view.host}]" if ":" in view.host else view.host
        self.netloc = f"{host}:{view.port}"
        tokens = f"x-rootward-token: {view.token}\r\nauthorization: Bearer {call_token}\r\n"
        self.head = f"host: {self.netloc}\r\n{'' if is_foreign else tokens}".encode()
        self.idle: list[Kept] = []
        # With a call under way.
        self.busy: set[Kept] = set()
        self.recent = Recent()
        self.in_flight = 0
        self.errors = 0
        self.has_answered = False
        # Set by a connection that was refused or broke; cleared by one that was made.
        self.is_suspect = False
        self.is_probed = False
        self.pause_s = FIRST_PAUSE_S
        self.paused_until = 0.0
        # Set by errors in a row.
        self.left_out_until = 0.0

    def broke(self, now: float) -> int:
        """A connection was refused or lost: whatever else is kept is most likely dead too.

        Returns how many calls it loses by that, if it had worked; once, then 0.
        """
        lost, self.has_answered = (self.in_flight if self.has_answered else 0), False
        if not self.is_suspect or self.paused_until <= now:
            self.paused_until = now + self.pause_s
            self.pause_s = min(self.pause_s * 2, LONGEST_PAUSE_S)
        self.is_suspect, self.is_probed = True, False
        for connection in self.idle:
            connection.close()
        self.idle.clear()
        return lost

    def keep(self, connection: Kept) -> None:
        """Keep a connection that nobody uses for the next call, if that is done at all."""
        if self.is_foreign:
            connection.close()
        else:
            self.idle.append(connection)

    def turned_away(self, now: float) -> None:
        """It takes no new calls, or isn't the one that was meant; the registry will say so soon."""
        self.is_suspect, self.is_probed = True, False
        self.paused_until = now + TURNED_AWAY_S

    def reached(self) -> None:
        """A connection was made."""
        self.is_suspect = self.is_probed = False
        self.pause_s = FIRST_PAUSE_S

    def answered(self, status: int, now: float) -> bool:
        """Note an answer; return whether it left the replica out."""
        if status < 500:
            self.errors, self.has_answered = 0, True
            return False
        self.errors += 1
        if self.errors < ERRORS_IN_ROW:
            return False
        self.errors = 0
        self.left_out_until = now + ERRORS_PAUSE_S
        return True

    def is_open(self, now: float) -> bool:
        """Whether a connection may be tried."""
        return not self.is_suspect or (not self.is_probed and self.paused_until <= now)

    def trim(self, now: float, idle_s: float) -> None:
        """Close what nobody has used for `idle_s` seconds; the longest unused come first."""
        while self.idle and self.idle[0].idle_since + idle_s < now:
            self.idle.pop(0).close()

    def break_off(self) -> None:
        """End the calls under way: the registry says that it is gone, and nobody will answer."""
        for connection in list(self.busy):
            connection.transport.abort()
        self.close()

    def close(self) -> None:
        """Close what is kept; calls under way go on."""
        for connection in self.idle:
            connection.close()
        self.idle.clear()


def choose(
    replicas: Sequence[UpstreamReplica], now: float, draw: Callable[[], float]
) -> UpstreamReplica | None:
    """Return the less busy of two open replicas; None when none is open.

    `draw()` returns a number from 0 up to, not including, 1.
    """
    if len(replicas) > 1:
        pair = _drawn(replicas, draw)
        # Mostly all is well, and then the cost doesn't grow with the number of replicas.
        if all(each.is_open(now) and each.left_out_until <= now for each in pair):
            return _less_busy(*pair)
    usable = [replica for replica in replicas if replica.is_open(now)]
    if len(usable) > 1:
        usable = _without_faulty(usable, now)
    if len(usable) < 2:
        return usable[0] if usable else None
    return _less_busy(*_drawn(usable, draw))


def _drawn(
    replicas: Sequence[UpstreamReplica], draw: Callable[[], float]
) -> tuple[UpstreamReplica, UpstreamReplica]:
    first = int(draw() * len(replicas))
    # The second is drawn among the others, so that two are always compared.
    second = (first + 1 + int(draw() * (len(replicas) - 1))) % len(replicas)
    return replicas[first], replicas[second]


def _less_busy(one: UpstreamReplica, other: UpstreamReplica) -> UpstreamReplica:
    return one if one.in_flight <= other.in_flight else other


def _without_faulty(usable: list[UpstreamReplica], now: float) -> list[UpstreamReplica]:
    """Leave out those with errors in a row, at most half; who comes back first stays first."""
    faulty = [replica for replica in usable if replica.left_out_until > now]
    if not faulty:
        return usable
    faulty.sort(key=lambda replica: replica.left_out_until)
    stay = faulty[: max(0, len(faulty) - len(usable) // 2)]
    return [replica for replica in usable if replica.left_out_until <= now or replica in stay]
