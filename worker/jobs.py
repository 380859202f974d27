"""The only function that a job may name, for when a stock RQ worker takes one of ours.

An agent never calls it: it reads the job's arguments and does the work by its own means. In a stock
`rq worker -S rootward.orchestrator.store.rq_compat.Serializer` it claims the job by the same script
as an agent does, under a lease of its own, and runs a plain task in a child process. What needs a
supervisor to stay with it, a served module, goes back to its queue: only an agent can keep it.
Nothing is run before its signature holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rootward.modules.errors import TaskFailed
from rootward.orchestrator.errors import MissingSecret, NoRedis
from rootward.orchestrator.security.signing import NO_TRACE, Signer
from rootward.orchestrator.settings import Settings
from rootward.orchestrator.states import TaskState
from rootward.orchestrator.store.connection import Clients
from rootward.orchestrator.store.keys import Keys
from rootward.orchestrator.store.store import Store
from rootward.orchestrator.store.watch import RegistryMirror

from .agent.heartbeat import Heartbeat, LeaseState
from .agent.store_client import StoreClient
from .slots.pool import SlotPool
from .work.assignment import Assignment, verify
from .work.generations import Generations
from .work.identity import Identity, checked_name
from .work.task_runner import Runner

if TYPE_CHECKING:
    from rq.job import Job

    from rootward.orchestrator.store.records import Claim

    from .work.assignment import Outcome

__all__ = ["run_task"]

_HANDED_BACK_MS = 5000
_GOODBYE_S = 2.0
_RESULTS_S = 365 * 86400


def run_task(signature: bytes, trace: Mapping[str, str] = NO_TRACE) -> None:
    """Run one task of a deployment as a stock RQ worker's job.

    Raises SignatureError for a job that wasn't made with our secret, MissingSecret without one, and
    TaskFailed with what the task raised. A job that isn't to run any more is left alone.
    """
    settings = Settings.from_environment()
    if settings.secret is None:
        raise MissingSecret("set ROOTWARD_SECRET for this worker, the same as where jobs are made")
    signer = Signer(settings.secret.reveal(), prefix=settings.prefix)
    job = _current_job()
    clients = _clients(settings, job)
    store = Store(clients, Keys(prefix=settings.prefix))
    # What RQ writes after this job: ours ask for no results.
    job.result_ttl = _RESULTS_S
    try:
        record, place = store.tasks.job(job.id), store.tasks.place_of(job.id)
        if record is None or place is None:
            return
        signer.enter(store.agents.store_id())
        signer.verify_job((*place, record.id, job.id), signature, trace)
        failure = asyncio.run(_Errand(store, signer, settings).run(job.id))
    finally:
        clients.close()
    if failure is not None:
        raise TaskFailed(f"{record.id} of {place[0]}@{place[1]}: {failure}")


def _current_job() -> Job:
    from rq import get_current_job

    job = get_current_job()
    if job is None:
        raise NoRedis("run_task runs as the job of an RQ worker only")
    return job


def _clients(settings: Settings, job: Job) -> Clients:
    if settings.redis_url is not None:
        return Clients(settings.redis_url, name="rootward-job")
    return Clients.sharing(job.connection)


class _Errand:
    """The run of one job outside an agent."""

    def __init__(self, store: Store, signer: Signer, settings: Settings) -> None:
        self._store, self._signer, self._settings = store, signer, settings
        self._lease_ms = round(settings.lease_seconds * 1000)
        self._slots = SlotPool(1, settings.state_limit)

    async def run(self, job_id: str) -> str | None:
        """Claim the job and run it; return why it has failed for good, if it has."""
        identity = Identity(
            prefix=self._settings.prefix,
            name=checked_name(None),
            host=self._settings.host,
            slots=1,
        )
        agent_id = identity.new_id()
        # Quiet: it takes this one job and no other.
        self._store.agents.join(identity.info(agent_id, "quiet"), self._lease_ms)
        keeper = self._keeper(agent_id)
        try:
            claim = self._store.tasks.claim(agent_id, job_id)
            if claim is None:
                return None
            return await self._run_claimed(agent_id, claim)
        finally:
            keeper.stop()
            self._store.agents.leave(agent_id)

    def _keeper(self, agent_id: str) -> Heartbeat:
        loop = asyncio.get_running_loop()

        def stand(standing: LeaseState, _: str) -> None:
            if standing in {LeaseState.FENCED, LeaseState.EMPTIED}:
                loop.call_soon_threadsafe(self._slots.kill_all)

        lease_s = self._settings.lease_seconds
        keeper = Heartbeat(self._store, agent_id, lease_s, stand)
        keeper.start()
        return keeper

    async def _run_claimed(self, agent_id: str, claim: Claim) -> str | None:
        link = StoreClient(asyncio.get_running_loop())
        mirror = RegistryMirror(self._store, self._signer)
        generations = Generations(
            self._store, self._signer, link, mirror, cache=self._settings.cache
        )
        mirror.on_change(self._follow(generations))
        try:
            place, mark = (claim.name, claim.generation), verify(claim, self._signer)
            if claim.kind == "prepare" or (
                claim.kind == "deploy" and await generations.of(place, mark).serves(claim.path)
            ):
                self._hand_on(claim)
                return None
            assignment = Assignment(claim=claim)
            outcome = await Runner(generations, self._slots, None, lambda: None).run(assignment)
            return self._settle(agent_id, assignment, outcome)
        finally:
            await generations.close(_GOODBYE_S)
            link.close()
            mirror.close()

    def _follow(self, generations: Generations) -> Callable[[str, int | None], None]:
        loop = asyncio.get_running_loop()

        def follow(name: str, generation: int | None) -> None:
            asyncio.run_coroutine_threadsafe(generations.refresh((name, generation)), loop)

        return follow

    def _settle(self, agent_id: str, assignment: Assignment, outcome: Outcome | None) -> str | None:
        claim = assignment.claim
        if outcome is None:
            self._store.tasks.hand_back(claim.job_id, claim.token, lost=assignment.lost)
            return None
        self._store.tasks.exchange(agent_id, finishes=[assignment.finish(outcome, self._signer)])
        record = self._store.tasks.job(claim.job_id)
        if record is None or record.state is not TaskState.FAILED:
            return None
        error = record.error or {}
        return f"{error.get('type', 'failed')}: {error.get('message', '')}"

    def _hand_on(self, claim: Claim) -> None:
        """Give the job back to its queue, and give an agent some seconds to take it.

        Without that pause this same worker would take it again, and again.
        """
        events = self._store.history.events(claim.name)
        last = events[-1].id if events else "0-0"
        self._store.tasks.hand_back(claim.job_id, claim.token)
        while events := self._store.history.events(claim.name, last, block_ms=_HANDED_BACK_MS):
            last = events[-1].id
            if any(event.task == claim.task for event in events):
                return
