"""Which way a program's call goes: to which generation, by which routes, and how it is counted.

With a ready replica in the local copy of the registry, a call costs Redis nothing. A canary gets
its share by turns; a call that was given to it waits and is repeated within it, until the canary is
promoted or rolled back. What was counted of canaries is reported about once a second.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UnknownDeployment
from ..rollout.counting import Counting
from ..rollout.share import FairShare
from ..states import DeploymentState
from ..status.read_status import read_plan
from ..store.watch import CANARY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rootward.modules.rpc.endpoints import Routes

    from ..planning.graph import Service
    from ..rollout.counting import CanaryShare
    from ..store.records import GenerationRecord
    from .connected import Connected

log = logging.getLogger(__name__)

REPORT_S = 1.0
_MOST_PLANS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How one call goes: to which generation, by which routes, held for how long, to what.

    What it goes `to` is None when it isn't known.
    """

    name: str
    generation: int
    routes: Routes
    hold_s: float
    to: Service | None

    @property
    def repeatable(self) -> bool:
        """Whether the call may be sent again."""
        return self.to is None or self.to.repeatable

    @property
    def is_foreign(self) -> bool:
        """Whether a foreign server answers, which knows nothing of calls."""
        return self.to is not None and self.to.is_foreign


class Ways:
    """Finds the way of each call of one client; threads may share it."""

    def __init__(self, client: Connected) -> None:
        self._client = client
        self._counting = Counting()
        self._plans: dict[tuple[str, int], dict[str, Service]] = {}
        self._shares: dict[str, FairShare] = {}
        self._followed: dict[str, tuple[int | None, CanaryShare | None]] = {}
        self._reported_at = 0.0
        self._lock = threading.Lock()

    def to(self, service: str, hold_s: float, generation: int | None) -> Way | None:
        """Return the way to a service, None when there is none of that path.

        Raises UnknownDeployment for a `generation` that there isn't, Unavailable for one that has
        ended.
        """
        name = service.partition("/")[0]
        registry = self._client.registry
        registry.on_round = self.report
        routes = registry.routes(name)
        current, trial = registry.current(name), registry.trial(name)
        self._follow(name, current, trial)
        if generation is not None and generation != current:
            return self._way_in(service, hold_s, generation)
        if generation is None and trial is not None and self._is_canarys(service, name, trial):
            beside = registry.routes(name, CANARY)
            if beside.endpoints(service):
                return self._way(service, trial.canary, beside, hold_s)
        if current is not None and routes.endpoints(service):
            return self._way(service, current, routes, hold_s)
        for record in self.generations_of(service):
            if service in record.services:
                if current is None and record.state is DeploymentState.FAILED:
                    # The ready replicas of a first generation that failed stay.
                    routes = registry.routes(name, record.generation)
                return self._way_of(service, hold_s, record, routes)
        return None

    def _way_in(self, service: str, hold_s: float, generation: int) -> Way | None:
        """Return the way to a generation that isn't current."""
        name = service.partition("/")[0]
        store, registry = self._client.store, self._client.registry
        record = store.deployments.generation(name, generation)
        if record is None:
            there = store.deployments.get(name)
            if there is None:
                return None
            known = [f"{name}@{n}" for n in (there.current, there.canary) if n is not None]
            raise UnknownDeployment(
                f"{name} has no generation {generation}"
                + (f": calls go to {' and '.join(known)}" if known else ""),
                name=name,
            )
        if service not in record.services:
            return None
        return self._way_of(service, hold_s, record, registry.routes(name, generation))

    def _way_of(self, service: str, hold_s: float, record: GenerationRecord, routes: Routes) -> Way:
        from rootward.modules.errors import Unavailable

        name, number = record.name, record.generation
        # What has ended brings no replica: holding the call would only hide that.
        if record.state.is_final or record.state is DeploymentState.STOPPING:
            if not routes.endpoints(service):
                raise Unavailable(
                    f"{service} has no replica, for {name}@{number} is "
                    f"{record.state}: `rootward resume {name}` brings it back"
                )
            hold_s = 0.0
        return self._way(service, number, routes, hold_s)

    def _way(self, service: str, generation: int, routes: Routes, hold_s: float) -> Way:
        name = service.partition("/")[0]
        return Way(
            name=name,
            generation=generation,
            routes=routes,
            hold_s=hold_s,
            to=self._services_in(name, generation).get(service),
        )

    def _is_canarys(self, service: str, name: str, trial: CanaryShare) -> bool:
        """Whether the next call goes to the canary: its share, and all of what only it serves."""
        if service not in self._services_in(name, trial.canary):
            return False
        if service not in self._services_in(name, trial.current):
            return True
        with self._lock:
            return self._shares.setdefault(service, FairShare()).is_due(trial.percent)

    def _services_in(self, name: str, generation: int) -> dict[str, Service]:
        place = (name, generation)
        found = self._plans.get(place)
        if found is None:
            plan = read_plan(self._client.store, self._client.signer, name, generation)
            found = {each.path: each for each in (plan.services if plan else ())}
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            self._plans[place] = found
        return found

    def generations_of(self, service: str) -> Iterator[GenerationRecord]:
        """Yield the generations that may serve it: the current or first one, and the canary."""
        store = self._client.store
        name = service.partition("/")[0]
        record = store.deployments.get(name)
        if record is None:
            return
        for number in (record.current or record.latest, record.canary):
            if number is not None:
                found = store.deployments.generation(name, number)
                if found is not None:
                    yield found

    # What calls were like.

    @contextmanager
    def counted(self, way: Way) -> Iterator[Callable[[int], None]]:
        """Count the call that is made inside; what it yields is to hear the answer's status."""
        from rootward.modules.errors import CallError, Unavailable

        statuses: list[int] = [0]
        began, is_error = time.monotonic(), False
        try:
            yield statuses.append
        except GeneratorExit:
            raise
        except Exception as error:
            # What the caller did wrong is nobody else's fault, nor what couldn't even be sent.
            if statuses[-1] and not isinstance(error, Unavailable):
                is_error = not 400 <= statuses[-1] < 500
            else:
                is_error = isinstance(error, (CallError, OSError))
            raise
        finally:
            elapsed_s = time.monotonic() - began
            self._counting.observe(way.name, way.generation, elapsed_s, is_error=is_error)

    def _follow(self, name: str, current: int | None, trial: CanaryShare | None) -> None:
        if self._followed.get(name, (None, None)) == (current, trial):
            return
        self._followed[name] = (current, trial)
        routed = [n for n in (current, trial and trial.canary) if n is not None]
        self._counting.follow(name, trial, routed)

    def report(self, *, is_last: bool = False) -> None:
        """Store what has been counted of canaries, at most once a second unless it is the last."""
        now = time.monotonic()
        if not is_last and now - self._reported_at < REPORT_S:
            return
        self._reported_at = now
        for report in self._counting.reports():
            try:
                self._client.store.rollouts.put_figures(
                    report.name, report.generation, self._counting.reporter, report.counted
                )
            except Exception as error:
                # Figures are told again with the next call; a call isn't lost by them.
                log.debug("figures of %s weren't stored: %s", report.name, error)
