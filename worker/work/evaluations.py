"""The evaluations of this agent that have shards computed elsewhere, maybe here too.

It stands between a slot that evaluates and the store: it signs and queues shards, and brings their
results, whose signatures it checks, to the slot. What a shard has given is stored before anybody
hears of it, so that another attempt of the evaluation, on any worker, begins with what is there. In
the same way the end of each of a task's callables is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rootward.orchestrator.security.signing import payload
from rootward.orchestrator.store.rq_compat import Shard, shard_of

if TYPE_CHECKING:
    from rootward.orchestrator.security.signing import Signer
    from rootward.orchestrator.store.store import Store

    from ..agent.chores import Chores
    from ..agent.store_client import StoreClient
    from ..slots.pool import Say, SlotPool
    from .assignment import Assignment

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Evaluation:
    assignment: Assignment
    say: Say


class Evaluations:
    """Those that wait for shards; `on_room` is called when one has lent its slot."""

    def __init__(
        self,
        store: Store,
        signer: Signer,
        link: StoreClient,
        slots: SlotPool,
        chores: Chores,
        on_room: Callable[[], None],
    ) -> None:
        """Hear what the slots want from now on."""
        self._store, self._signer, self._link = store, signer, link
        self._slots, self._chores, self._on_room = slots, chores, on_room
        self._waiting: dict[str, _Evaluation] = {}
        slots.on_share = self.share

    def share(self, assignment: Assignment, wish: Mapping[str, Any], say: Say) -> None:
        """Take what an evaluation wants of its shards; `say` answers it."""
        evaluation = _Evaluation(assignment=assignment, say=say)
        work = {"begin": self._begin, "add": self._add, "keep": self._keep}[wish["op"]]
        self._chores.begin(self._tried(evaluation, work(evaluation, wish)))

    def told(self, job_id: str, field_: str) -> None:
        """Take that a shard has ended for which that job waits."""
        evaluation = self._waiting.get(job_id)
        shard = shard_of(f"{job_id.rpartition('-')[0]}-s{field_}")
        if evaluation is not None and shard is not None:
            self._chores.begin(self._tried(evaluation, self._tell(evaluation, shard)))

    def forget(self, assignment: Assignment) -> None:
        """Take that a task has ended."""
        self._waiting.pop(assignment.claim.job_id, None)

    async def _tried(self, evaluation: _Evaluation, work: Any) -> None:
        """Do it; what goes wrong is the evaluation's error, as it would wait for ever."""
        try:
            await work
        except Exception as error:
            logger.warning("shards: %s", error, extra={"event": "shards.failed"})
            evaluation.say({"error": {"type": type(error).__name__, "message": str(error)}})

    async def _begin(self, evaluation: _Evaluation, _: Mapping[str, Any]) -> None:
        assignment = evaluation.assignment
        if not self._slots.lend(assignment):
            evaluation.say({"slots": 0})
            return
        assignment.needs_slot = False
        self._waiting[assignment.claim.job_id] = evaluation
        self._on_room()
        known = await self._link.insist(self._store.shards.known, assignment.claim)
        ends = [await self._outcome(evaluation, shard) for shard in known]
        evaluation.say({"known": ends, "slots": await self._places()})

    async def _add(self, evaluation: _Evaluation, wish: Mapping[str, Any]) -> None:
        assignment = evaluation.assignment
        claim = assignment.claim
        shards = []
        for start, stop in wish["shards"]:
            shard = Shard(claim.job_id, start, stop, claim.attempt)
            signed = (claim.name, claim.generation, claim.task, shard.job_id)
            shards.append((shard, payload(self._signer, *signed, assignment.mark)))
        await self._link.insist(self._store.shards.add, claim, shards)
        evaluation.say({"slots": await self._places()})

    async def _keep(self, evaluation: _Evaluation, wish: Mapping[str, Any]) -> None:
        """Keep the end of one of a task's callables."""
        assignment, claim = evaluation.assignment, evaluation.assignment.claim
        place = claim.name, claim.generation, assignment.mark
        states = [self._signer.seal_state(entry, *place) for entry in wish["states"]]
        keep = self._store.tasks.keep_step
        kept = await self._link.insist(keep, claim.job_id, claim.token, wish["step"], states)
        evaluation.say({"kept": kept})

    async def _places(self) -> int:
        """How many tasks the live workers can run at once."""
        agents = await self._link.insist(self._store.agents.all)
        return sum(each.info.slots for each in agents if each.info.state == "running")

    async def _tell(self, evaluation: _Evaluation, shard: Shard) -> None:
        evaluation.say({"end": await self._outcome(evaluation, shard)})

    async def _outcome(self, evaluation: _Evaluation, shard: Shard) -> dict[str, Any]:
        """Return how a shard stands: with neither result nor error it is open."""
        claim, told = evaluation.assignment.claim, {"start": shard.start, "stop": shard.stop}
        sealed = await self._link.insist(self._store.shards.result, claim, shard)
        if sealed is not None:
            place = claim.name, claim.generation, evaluation.assignment.mark
            return {**told, "packed": self._signer.open_state(sealed, *place)}
        job = await self._link.insist(self._store.tasks.job, shard.job_id)
        if job is None or not job.state.is_final:
            return told
        error = job.error or {"type": "EvaluationLost", "message": ""}
        if job.reason and job.reason not in error["message"]:
            error = {**error, "message": job.reason}
        return {**told, "error": dict(error)}
