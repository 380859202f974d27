"""Follows the registry and tells the gateway's table what has changed.

One thread: it reads everything, then waits for changes and reads anew the deployments that they
touch; what isn't ready is looked at once a second, everything each quarter of a minute and after
every time that Redis was away. While it is away nothing is told but that. Only addresses whose
signature holds are passed on.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from rootward.modules.errors import RootwardError, SignatureError

from ...rollout.counting import CanaryShare
from ...states import DeploymentState, ReplicaState
from ...status.read_status import read_plan, read_status
from .views import CanaryView, EndpointView, ServiceView

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ...planning.graph import Service
    from ...rollout.counting import Counting
    from ...security.signing import Signer
    from ...store.records import DeploymentRecord, GenerationRecord, ReplicaRecord
    from ...store.store import Store

log = logging.getLogger(__name__)

BLOCK_MS: Final = 1000
RETRY_S: Final = 0.5
REFRESH_S: Final = 15.0
REPORT_S: Final = 1.0
_LOOK_S: Final = 1.0
_MOST_PLANS: Final = 10_000


Views = tuple[tuple["ServiceView", ...], CanaryView | None]
"""What is served of a deployment, and the canary beside it."""


class Follower:
    """Reads the registry of all deployments in a thread of its own.

    `put(name, views, canary)`, `reached(bool)` and `gone(ids of replicas that have ended)` are
    called in that thread.
    """

    def __init__(
        self,
        store: Store,
        signer: Signer,
        put: Callable[[str, Sequence[ServiceView], CanaryView | None], None],
        reached: Callable[[bool], None],
        gone: Callable[[Collection[str]], None] = lambda _: None,
        counting: Counting | None = None,
    ) -> None:
        self._counting = counting
        self._store, self._signer = store, signer
        self._put, self._reached, self._gone = put, reached, gone
        self._views: dict[str, Views] = {}
        self._planned: dict[tuple[str, int], dict[str, Service]] = {}
        self._verified: dict[tuple[str, bytes], EndpointView] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._follow, name="rootward-gateway-registry", daemon=True
        )

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self) -> None:
        """Follow no longer; twice is harmless."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(2 * BLOCK_MS / 1000)

    def _follow(self) -> None:
        while not self._closing.is_set():
            try:
                after = self._store.registry.changes_end()
                self._read_all()
                self._reached(True)
                self._follow_from(after)
            except Exception as error:
                # Whatever it is, the last table stays, and the next round reads all anew.
                if self._closing.is_set():
                    return
                self._reached(False)
                log.warning("gateway.unreached: %s", error, extra={"event": "gateway.unreached"})
                self._closing.wait(RETRY_S)

    def _follow_from(self, after: str) -> None:
        """Follow until Redis is away or the thread is to end."""
        looked = refreshed = reported = time.monotonic()
        while not self._closing.is_set():
            changes = self._store.registry.changes(after, block_ms=BLOCK_MS)
            after = changes[-1].id if changes else after
            touched = {change.name for change in changes}
            ended = {each.replica for each in changes if each.op == "drop" and each.replica}
            now = time.monotonic()
            if now - reported >= REPORT_S:
                reported = now
                self._report()
            if now - refreshed >= REFRESH_S:
                self._read_all()
                looked = refreshed = now
                touched = set()
            elif now - looked >= _LOOK_S:
                looked = now
                touched |= set(self._store.deployments.names()) - self._views.keys()
                touched |= {name for name, views in self._views.items() if _is_incomplete(views)}
            for name in touched:
                self._take(name, self._store.deployments.get(name))
            if ended:
                # Afterwards: their calls are sent again, and not to them.
                self._gone(ended)

    def _report(self) -> None:
        """Store what this gateway has counted of canaries."""
        if self._counting is None:
            return
        for report in self._counting.reports():
            self._store.rollouts.put_figures(
                report.name, report.generation, self._counting.reporter, report.counted
            )

    def _read_all(self) -> None:
        records = self._store.deployments.all()
        for name in self._views.keys() - {record.name for record in records}:
            self._take(name, None)
        for record in records:
            self._take(record.name, record)

    def _take(self, name: str, record: DeploymentRecord | None) -> None:
        views: Views = ((), None) if record is None else self._read(record)
        if record is None:
            self._views.pop(name, None)
        elif self._views.get(name) == views:
            return
        else:
            self._views[name] = views
        self._put(name, *views)

    def _read(self, record: DeploymentRecord) -> Views:
        number = record.current or record.latest
        views = self._services_of(record, number, takes_calls=record.current == number)
        if record.canary is None or record.current in {None, record.canary}:
            return views, None
        beside = self._services_of(record, record.canary, takes_calls=True)
        share = CanaryShare(canary=record.canary, current=number, percent=record.canary_percent)
        known = {view.path for view in views}
        # What is new in the canary gets all of its calls.
        new = tuple(view for view in beside if view.path not in known)
        return (*views, *new), CanaryView(share=share, services=beside)

    def _services_of(
        self, record: DeploymentRecord, number: int, *, takes_calls: bool
    ) -> tuple[ServiceView, ...]:
        generation = record.newest
        if generation is None or generation.generation != number:
            generation = self._store.deployments.generation(record.name, number)
        if generation is None or not generation.services:
            return ()
        replicas = [each for each, _ in self._store.registry.replicas(record.name, number)]
        planned = self._services_in(record.name, number)
        return tuple(
            self._view(generation, path, takes_calls, replicas, planned.get(path))
            for path in generation.services
        )

    def _view(
        self,
        generation: GenerationRecord,
        path: str,
        is_current: bool,
        replicas: Sequence[ReplicaRecord],
        planned: Service | None,
    ) -> ServiceView:
        mine = [replica for replica in replicas if replica.path == path]
        ready = [each for each in mine if each.state is ReplicaState.READY] if is_current else []
        endpoints = tuple(found for each in ready if (found := self._endpoint(each)) is not None)
        wanted, is_asleep = generation.services[path], path in generation.scaling.asleep
        is_foreign = planned is not None and planned.is_foreign
        ending = generation.state.is_final or generation.state is DeploymentState.STOPPING
        return ServiceView(
            path=path,
            deployment=generation.name,
            generation=generation.generation,
            wanted=wanted,
            endpoints=endpoints,
            # What can't be known to be repeatable is not repeated.
            repeatable=planned is not None and planned.repeatable,
            is_coming=bool(wanted or is_asleep) and not (ending and not is_current),
            is_asleep=is_asleep,
            is_waking=bool(wanted) and generation.scaling.floors.get(path) == 0,
            reason="" if endpoints else self._reason(generation, path, mine, is_current),
            call_token=self._signer.call_token(generation.name, generation.generation),
            call_key=None if is_foreign else self._signer.call_key(generation.name),
            is_foreign=is_foreign,
        )

    def _reason(
        self,
        generation: GenerationRecord,
        path: str,
        mine: Sequence[ReplicaRecord],
        is_current: bool,
    ) -> str:
        of, wanted = f"{generation.name}@{generation.generation}", generation.services[path]
        if path in generation.scaling.asleep:
            return "it sleeps, and nobody has woken it"
        if not wanted:
            return "it is scaled to 0 replicas"
        if not is_current:
            why = read_status(self._store, generation).reason
            return f"{of} is {generation.state}" + (f" ({why})" if why else "")
        told = [
            f"{each.state} on {each.worker}" + (f" ({each.reason})" if each.reason else "")
            for each in mine
        ]
        if not told and not self._store.agents.all():
            told = ["no worker is running"]
        return f"none of {wanted} wanted replicas is ready" + (
            f": {', '.join(told[:5])}" if told else ""
        )

    def _services_in(self, name: str, generation: int) -> dict[str, Service]:
        known = self._planned.get((name, generation))
        if known is None:
            try:
                plan = read_plan(self._store, self._signer, name, generation)
            except RootwardError as error:
                # A forged plan is nobody's but its deployment's trouble.
                log.warning("registry.refused: %s", error, extra={"event": "registry.refused"})
                plan = None
            if plan is None:
                return {}
            known = {each.path: each for each in plan.services}
            if len(self._planned) >= _MOST_PLANS:
                self._planned.clear()
            self._planned[name, generation] = known
        return known

    def _endpoint(self, record: ReplicaRecord) -> EndpointView | None:
        # Signatures cost more than the rest of reading; the same record has the same answer.
        told = f"{record.path} {record.replica} {record.agent_id} {record.url} {record.token}"
        key = (told, record.signature)
        found = self._verified.get(key)
        if found is None and (found := self._checked(record)) is not None:
            if len(self._verified) > 100_000:
                self._verified.clear()
            self._verified[key] = found
        return found

    def _checked(self, record: ReplicaRecord) -> EndpointView | None:
        try:
            self._signer.verify_endpoint(record)
            parts = urlsplit(record.url)
            if parts.scheme != "http" or not parts.hostname or not parts.port:
                raise SignatureError(f"{record.url!r} is no address of a replica")
        except (SignatureError, ValueError) as error:
            log.warning("registry.refused: %s", error, extra={"event": "registry.refused"})
            return None
        return EndpointView(
            host=parts.hostname,
            port=parts.port,
            token=record.token,
            replica=record.replica,
            worker=record.worker,
        )


def _is_incomplete(views: Views) -> bool:
    services, canary = views
    beside = () if canary is None else canary.services
    return any(len(view.endpoints) < view.wanted for view in (*services, *beside))
