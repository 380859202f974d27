"""The traffic between one agent and the store: finishes go out, claims come in.

One exchange is under way at a time; what ends meanwhile goes with the next one, and claims come
with its answer. A finish is kept until the store has taken or refused it, whatever happens to the
connection in between. How much may be claimed is asked right before each exchange, so that never
more is claimed than can start.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from redis.exceptions import ResponseError

from orchestrator.records import Claim, Exchange, Finish, FinishResult
from orchestrator.states import TaskState

if TYPE_CHECKING:
    from orchestrator.store import Store

    from .link import Link

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What an exchange may claim: at most `limit` tasks from `queues`, in order of preference."""

    queues: Sequence[str]
    limit: int


class Client(Protocol):
    """Who a Pump works for."""

    def wants(self) -> Sequence[Want]:
        """Say what may be claimed now; the first want goes with the finishes."""

    def offsets(self) -> Mapping[str, int]:
        """Say how much of each state log is here."""

    def take(self, claim: Claim) -> None:
        """Take a claimed task; must not block or raise."""

    def suspended(self) -> None:
        """Take that nothing is to be had until RQ's workers are resumed; a kick asks again."""

    def fenced(self, agent_id: str) -> None:
        """Take that the lease of this incarnation had ended: nothing it holds is its own now."""


class Pump:
    """Exchanges for the agent `agent_id`; `client` says what it wants and takes what comes."""

    def __init__(self, store: Store, link: Link, agent_id: str, client: Client) -> None:
        """Exchange nothing before the first `kick` or `finish`."""
        self.agent_id = agent_id
        self._store, self._link, self._client = store, link, client
        self._outbox: list[Finish] = []
        self._suspects: deque[Finish] = deque()
        self._running: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._again = False
        self.is_dry = False

    @property
    def is_quiet(self) -> bool:
        """Whether no exchange is under way and no finish waits."""
        return self._running is None and not self._outbox and not self._suspects

    def kick(self) -> None:
        """Exchange as soon as the one under way, if any, has ended."""
        self._again = True
        if self._running is None:
            self._idle.clear()
            self._running = asyncio.create_task(self._run(), name="pump")

    def finish(self, finish: Finish) -> None:
        """Send an outcome with the next exchange, which is now."""
        self._outbox.append(finish)
        self.kick()

    async def until_quiet(self) -> None:
        """Return when every finish has been taken."""
        while not self.is_quiet:
            await self._idle.wait()

    def forget(self) -> None:
        """Send none of what waits: the lease that it stood under is gone."""
        self._outbox.clear()
        self._suspects.clear()

    async def _run(self) -> None:
        try:
            while self._again:
                self._again = False
                await self._round()
        except ConnectionAbortedError:
            # The worker has let go of its store: its lease gives the rest back.
            return
        finally:
            self._running = None
            self._idle.set()

    async def _round(self) -> None:
        # An empty want carries the finishes when nothing may be claimed.
        wants = self._client.wants() or [Want(queues=(), limit=0)]
        for want in wants:
            finishes = self._next()
            if not finishes and not want.limit:
                continue
            agent_id = self.agent_id
            answer = await self._exchange(finishes, want)
            if answer is None:
                continue
            if not answer.known:
                self._client.fenced(agent_id)
                return
            _note_refused(finishes, answer)
            if want.limit:
                self.is_dry = not answer.claims and not answer.is_suspended
            if answer.is_suspended:
                self._client.suspended()
                continue
            # Fewer than wanted: nothing is left, and what is released later rings the bell.
            self._again |= 0 < want.limit <= len(answer.claims)
            for claim in answer.claims:
                self._client.take(claim)

    async def _exchange(self, finishes: list[Finish], want: Want) -> Exchange | None:
        try:
            return await self._link.exchange(
                self._store,
                self.agent_id,
                finishes=finishes,
                queues=want.queues,
                limit=want.limit,
                offsets=self._client.offsets(),
            )
        except ResponseError as error:
            logger.exception("an exchange was refused", extra={"event": "exchange.refused"})
            self._mend(finishes, error)
            return None

    def _next(self) -> list[Finish]:
        if self._suspects:
            self._again = True
            return [self._suspects.popleft()]
        finishes, self._outbox = self._outbox, []
        return finishes

    def _mend(self, finishes: list[Finish], error: ResponseError) -> None:
        """Find the finish that Redis refuses: each is sent alone, then without what it carries."""
        self._again = bool(finishes)
        if len(finishes) > 1:
            self._suspects.extend(finishes)
            return
        for finish in finishes:
            if finish.states or finish.output:
                refused = {
                    "type": type(error).__name__,
                    "message": f"Redis refused the outcome of the task: {error}",
                }
                bare = replace(finish, state=TaskState.FAILED, error=refused, states=(), output=())
                self._outbox.append(bare)


def _note_refused(finishes: Sequence[Finish], answer: Exchange) -> None:
    for finish, result in zip(finishes, answer.results, strict=True):
        if result is FinishResult.STALE:
            logger.info(
                "the outcome of %s came too late: it was cancelled or given to another worker",
                finish.job_id,
                extra={"event": "finish.stale"},
            )
