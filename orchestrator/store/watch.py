"""The local copy of the registry: who serves what, looked up without a round trip.

One thread reads the stream of registry changes and reads anew what they touch, so a change is here
within milliseconds. Endpoints whose signature doesn't hold are left out. While Redis is away the
last table stays in use and everything is read again afterwards: an outage of Redis withdraws
nobody, and one in which it loses its data only those whose workers don't bring them back. Who
calls, and which replica gets the call, is left to `rootward.modules.rpc.client`.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from rootward.modules.errors import SignatureError
from rootward.modules.rpc.endpoints import ASLEEP, GONE, WHOLE, PushedRoutes

from ..rollout.counting import CanaryShare
from ..scaling.held_calls import HeldCalls
from ..states import DeploymentState, ReplicaState
from .records import Serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..security.signing import Signer
    from .records import Change, ReplicaRecord
    from .store import Store

log = logging.getLogger(__name__)

BLOCK_MS = 1000
RETRY_S = 0.5
REFRESH_S = 15.0
_GONE_KEPT = 32
_KNOWN_KEPT = 10_000
SPARED_S = 30.0
"""Seconds for which endpoints that a store has lost stay, unless its workers say otherwise."""

_SERVING = (DeploymentState.READY, DeploymentState.DEGRADED)
_OVER = float("-inf")

Table = dict[str, list[list[str]]]
"""Endpoints by the path of their service: URL, token and replica id of each ready replica.

What is on its way has none yet; what is missing isn't, where the table is `WHOLE`.
"""
CANARY = 0
"""In place of a generation: the canary, and what is current for all that the canary lacks."""
Place = tuple[str, int | None]
"""A deployment's name and a generation, None for the one that is current, or CANARY."""
Reader = Callable[[int], Serving]
"""Reads what a generation of one deployment serves."""


class RegistryMirror:
    """Follows the services of the deployments that somebody asked for.

    A read waits for `block_ms`, and so does `close`, unless the connections are closed meanwhile.
    """

    def __init__(self, store: Store, signer: Signer, *, block_ms: int = BLOCK_MS) -> None:
        self._store = store
        self._signer = signer
        self._block_ms = block_ms
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._routes: dict[Place, PushedRoutes] = {}
        self._tables: dict[Place, Table] = {}
        self._current: dict[str, int | None] = {}
        self._trials: dict[str, CanaryShare] = {}
        # Endpoints by their replica, and by deployment the last of those that have ended.
        self._known: dict[str, list[str]] = {}
        self._gone: dict[str, deque[list[str]]] = {}
        self._last_current: dict[str, int] = {}
        self._last_wanted: dict[Place, Mapping[str, int]] = {}
        self._last_asked: dict[Place, frozenset[str]] = {}
        # Until when tables stay that a store has lost, unless its workers bring them back.
        self._lost: dict[Place, float] = {}
        self._callbacks: list[Callable[[str, int | None], None]] = []
        # Called about once a second in the mirror's own thread.
        self.on_round: Callable[[], None] = lambda: None
        self._held = HeldCalls(store)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def routes(self, name: str, generation: int | None = None) -> PushedRoutes:
        """Return the routes of a generation, or of the current one; they follow the registry."""
        place = (name, generation)
        with self._lock:
            if place in self._tables:
                return self._routes[place]
            # The thread is there before the first read: what changes in between is read again.
            self._start()
            routes = self._routes.setdefault(place, PushedRoutes(self._signer.call_key(name)))
            routes.on_held = functools.partial(self._note_held, place, routes)
        self._refresh([place])
        return routes

    def table(self, name: str, generation: int | None = None) -> Table:
        """Return the endpoints of a generation, or of the current one, to be pushed elsewhere."""
        self.routes(name, generation)
        with self._lock:
            return dict(self._tables.get((name, generation), {}))

    def refresh(self, name: str) -> None:
        """Read what is followed of a deployment now, instead of when its change is heard."""
        self._refresh(place for place in self._places() if place[0] == name)

    def current(self, name: str) -> int | None:
        """Return the current generation of a deployment whose current routes are followed."""
        with self._lock:
            return self._current.get(name)

    def trial(self, name: str) -> CanaryShare | None:
        """Return the canary of a deployment whose current routes are followed, with its share."""
        with self._lock:
            return self._trials.get(name)

    def last_current(self, name: str) -> int | None:
        """Return the current generation as it was last read, also from a store that lost it."""
        with self._lock:
            return self._last_current.get(name)

    def last_wanted(self, name: str, generation: int) -> Mapping[str, int]:
        """Return the wanted replicas by path as they were last read of a followed generation."""
        with self._lock:
            return self._last_wanted.get((name, generation), {})

    def is_asked_for(self, name: str, generation: int, path: str) -> bool:
        """Whether the replicas of a service of a followed generation are as asked for by hand."""
        with self._lock:
            return path in self._last_asked.get((name, generation), ())

    def forget(self, name: str, generation: int | None = None) -> None:
        """Follow a generation no longer."""
        with self._lock:
            self._routes.pop((name, generation), None)
            self._tables.pop((name, generation), None)
            self._lost.pop((name, generation), None)
            self._last_wanted.pop((name, generation), None)
            self._last_asked.pop((name, generation), None)

    def on_change(self, callback: Callable[[str, int | None], None]) -> None:
        """Call back with name and generation (None: the current) when its table has changed.

        The call comes from the mirror's own thread, or from the one that asked first.
        """
        self._callbacks.append(callback)

    def close(self) -> None:
        """Stop to follow; the last tables stay. Twice is harmless."""
        self._closing.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2 * self._block_ms / 1000)

    def _start(self) -> None:
        if self._thread is None:
            after = self._store.registry.changes_end()
            self._thread = threading.Thread(
                target=self._follow, args=(after,), name="rootward-registry", daemon=True
            )
            self._thread.start()

    def _follow(self, after: str) -> None:
        quiet_s, is_away = 0.0, False
        while not self._closing.is_set():
            try:
                changes = self._store.registry.changes(after, block_ms=self._block_ms)
                touched = {change.name for change in changes}
                self._note_gone(changes)
                quiet_s = 0.0 if touched else quiet_s + self._block_ms / 1000
                newest = changes[-1].id if changes else after
                if quiet_s >= REFRESH_S:
                    # A store that came back older, or empty, tells nothing.
                    quiet_s, newest = 0.0, self._store.registry.changes_end()
                    if newest != after:
                        touched = {name for name, _ in self._places()}
                self._held.report()
                touched |= self._overdue()
                self._refresh(place for place in self._places() if place[0] in touched)
                after = newest
                is_away = False
                self.on_round()
            except Exception as error:
                if self._closing.is_set():
                    return
                # Told once an outage: the copy at hand goes on, and tells nothing new each second.
                if not is_away:
                    log.warning(
                        "the registry isn't reached, calls go by what was last known: %s",
                        error,
                        extra={"event": "registry.unreached"},
                    )
                is_away = True
                self._closing.wait(RETRY_S)
                # Whatever was missed meanwhile is read with the next round.
                quiet_s = REFRESH_S

    def _note_held(self, place: Place, routes: PushedRoutes, path: str, count: int) -> None:
        name, generation = place
        number = self.current(name) if generation is None else generation
        if number is not None:
            self._held.note((name, number, path), count, is_asleep=routes.is_asleep(path))

    def _places(self) -> list[Place]:
        with self._lock:
            return list(self._routes)

    def _refresh(self, places: Iterable[Place]) -> None:
        generations: dict[str, list[int | None]] = {}
        for name, generation in places:
            generations.setdefault(name, []).append(generation)
        for name, followed in generations.items():
            # One reader at a time: an older answer must not replace a newer one.
            with self._reading:
                # Who follows the current generation and this very one has both in one round trip.
                read = functools.cache(functools.partial(self._store.registry.serving, name))
                tables = [(each, self._read(name, each, read)) for each in followed]
                changed = [each for each, table in tables if self._take_in(name, each, table)]
            for each in changed:
                for callback in self._callbacks:
                    callback(name, each)

    def _take_in(self, name: str, generation: int | None, table: Table) -> bool:
        with self._lock:
            routes = self._routes.get((name, generation))
            if routes is None or self._tables.get((name, generation)) == table:
                return False
            self._tables[name, generation] = table
        routes.update(table)
        return True

    def _read(self, name: str, generation: int | None, read: Reader) -> Table:
        if generation is None or generation == CANARY:
            serving, table = self._read_current(name, read, is_canary=generation == CANARY)
        else:
            serving = read(generation)
            table = self._table_of(name, serving)
        with self._lock:
            if serving.current is not None:
                self._last_current[name] = serving.current
            elif serving.latest is not None:
                self._last_current.pop(name, None)
            if serving.state is not None:
                self._last_wanted[name, generation] = serving.services
                self._last_asked[name, generation] = frozenset(serving.scaling.asked)
            is_back = serving.is_restored and serving.state in _SERVING
            is_lost = serving.latest is None or is_back
            return self._with_spared((name, generation), table, is_lost=is_lost)

    def _with_spared(self, place: Place, table: Table, *, is_lost: bool) -> Table:
        """Add what was there before the store lost its data, for as long as it may come back."""
        before = self._tables.get(place, {})
        if not is_lost or not any(before[path] for path in before.keys() - {WHOLE, GONE, ASLEEP}):
            self._lost.pop(place, None)
            return table
        now = time.monotonic()
        if now >= self._lost.setdefault(place, now + SPARED_S):
            self._lost[place] = _OVER
            return table
        return before | {path: endpoints for path, endpoints in table.items() if endpoints}

    def _overdue(self) -> set[str]:
        """Return the deployments of which something was spared for long enough."""
        now = time.monotonic()
        with self._lock:
            return {name for (name, _), until in self._lost.items() if _OVER < until <= now}

    def _read_current(
        self, name: str, read: Reader, *, is_canary: bool = False
    ) -> tuple[Serving, Table]:
        # The one that was current last time nearly always still is: one round trip. When another
        # becomes it between two of them, the stream of changes tells so.
        number = self._current.get(name) or 1
        serving = read(number)
        wanted = serving.current or serving.latest
        if wanted is not None and wanted != number:
            number, serving = wanted, read(wanted)
        trial = _trial_of(serving)
        beside = None if trial is None else read(trial.canary)
        with self._lock:
            self._current[name] = None if serving.current is None else number
            if trial is None:
                self._trials.pop(name, None)
            else:
                self._trials[name] = trial
        if serving.latest is None:
            return serving, {}
        if serving.current is not None:
            table = self._table_of(name, serving)
            if beside is None:
                return serving, table
            # What only one of the two serves gets all of its calls, whichever was meant.
            other = self._table_of(name, beside)
            return serving, table | other if is_canary else other | table
        return serving, _coming(serving) if serving.makes_current else {WHOLE: []}

    def _table_of(self, name: str, serving: Serving) -> Table:
        table: Table = defaultdict(list, _coming(serving))
        self._know(serving.replicas)
        if gone := self._gone.get(name):
            table[GONE] = list(gone)
        for replica in sorted(serving.replicas, key=lambda each: each.rank):
            if replica.state is ReplicaState.READY and self._is_signed(replica):
                table[replica.path].append([replica.url, replica.token, replica.replica])
        return dict(table)

    def _note_gone(self, changes: Iterable[Change]) -> None:
        """Note the endpoints that the registry says have ended.

        What is merely missing may be there: a store that has lost its data says nothing of it.
        """
        for change in changes:
            endpoint = self._known.pop(change.replica or "", None) if change.op == "drop" else None
            if endpoint is not None:
                gone = self._gone.setdefault(change.name, deque(maxlen=_GONE_KEPT))
                gone.append(endpoint)

    def _know(self, replicas: Iterable[ReplicaRecord]) -> None:
        for each in replicas:
            self._known[each.replica] = [each.url, each.token, each.replica]
        while len(self._known) > _KNOWN_KEPT:
            del self._known[next(iter(self._known))]

    def _is_signed(self, replica: ReplicaRecord) -> bool:
        try:
            self._verify(replica)
        except SignatureError as error:
            log.warning(
                "an address in the registry is left out: %s",
                error,
                extra={"event": "registry.refused"},
            )
            return False
        return True

    def _verify(self, replica: ReplicaRecord) -> None:
        try:
            self._signer.verify_endpoint(replica)
        except SignatureError:
            # A store that has lost its data is another one, and its agents sign for that.
            if not self._signer.enter(self._store.agents.store_id()):
                raise
            self._signer.verify_endpoint(replica)


def _trial_of(serving: Serving) -> CanaryShare | None:
    if serving.canary is None or serving.current in {None, serving.canary}:
        return None
    assert serving.current is not None
    return CanaryShare(canary=serving.canary, current=serving.current, percent=serving.percent)


def _coming(serving: Serving) -> Table:
    """Return a table of what the generation is to serve, still without an endpoint."""
    state = serving.state
    if state is None:
        return {}
    table: Table = {WHOLE: []}
    if state.is_final or state is DeploymentState.STOPPING:
        return table
    asleep = sorted(serving.scaling.asleep & serving.services.keys())
    if asleep:
        table[ASLEEP] = [[path] for path in asleep]
    coming = (path for path, wanted in serving.services.items() if wanted or path in asleep)
    return table | {path: [] for path in coming}
