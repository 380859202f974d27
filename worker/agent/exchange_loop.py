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
from functools import partial
from typing import TYPE_CHECKING, Protocol

from rootward.orchestrator.states import TaskState
from rootward.orchestrator.store.records import Claim, Exchange, Finish, FinishResult

if TYPE_CHECKING:
    from rootward.orchestrator.store.store import Store

    from .store_client import StoreClient

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What an exchange may claim: at most `limit` tasks from `queues`, in order of preference."""

    queues: Sequence[str]
    limit: int


class ExchangeOwner(Protocol):
    """Who an ExchangeLoop works for."""

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

    def forgotten(self, agent_id: str) -> None:
        """Take that the store has lost its data, and this incarnation with them."""


class ExchangeLoop:
    """Exchanges for the agent `agent_id`; `client` says what it wants and takes what comes.

    Once an answer says that the agent isn't registered, nothing is exchanged until `resume`.
    """

    def __init__(
        self, store: Store, link: StoreClient, agent_id: str, client: ExchangeOwner
    ) -> None:
        """Exchange nothing before the first `kick` or `finish`."""
        self.agent_id = agent_id
        self._store, self._link, self._client = store, link, client
        self._outbox: list[Finish] = []
        self._suspects: deque[Finish] = deque()
        self._wants: deque[Want] = deque()
        self._is_running = self._is_paused = False
        self._idle = asyncio.Event()
        self._again = False
        self.is_dry = False

    @property
    def is_quiet(self) -> bool:
        """Whether no exchange is under way and no finish waits."""
        return not (self._is_running or self._outbox or self._suspects)

    def kick(self) -> None:
        """Exchange as soon as the one under way, if any, has ended."""
        self._again = True
        if not (self._is_running or self._is_paused):
            self._is_running = True
            self._idle.clear()
            # Not at once: what has ended with this goes along.
            asyncio.get_running_loop().call_soon(self._go_on)

    def finish(self, finish: Finish) -> None:
        """Send an outcome with the next exchange, which is now; while paused it counts no more."""
        if self._is_paused:
            return
        self._outbox.append(finish)
        self.kick()

    async def until_quiet(self) -> None:
        """Return when every finish has been taken."""
        while not self.is_quiet:
            await self._idle.wait()

    def pause(self) -> None:
        """Exchange nothing until `resume`, and send none of what waits: its lease is gone."""
        self._is_paused = True
        self._outbox.clear()
        self._suspects.clear()
        self._wants.clear()

    def resume(self) -> None:
        """Go on: the agent is registered again."""
        self._is_paused = False
        self.kick()

    def _go_on(self) -> None:
        """Begin the next exchange, if there is anything to say or to ask."""
        while True:
            if self._is_paused:
                self._rest()
                return
            if not self._wants:
                if not self._again:
                    self._rest()
                    return
                self._again = False
                # An empty want carries the finishes when nothing may be claimed.
                self._wants.extend(self._client.wants() or [Want(queues=(), limit=0)])
            want = self._wants.popleft()
            finishes = self._next()
            if finishes or want.limit:
                break
        self._link.exchange(
            self._store,
            self.agent_id,
            partial(self._told, self.agent_id, finishes, want),
            finishes=finishes,
            queues=want.queues,
            limit=want.limit,
            offsets=self._client.offsets(),
        )

    def _rest(self) -> None:
        self._is_running = False
        self._idle.set()

    def _told(
        self, agent_id: str, finishes: list[Finish], want: Want, answer: Exchange | Exception
    ) -> None:
        if isinstance(answer, ConnectionAbortedError):
            # The worker has let go of its store: its lease gives the rest back.
            self._wants.clear()
            self._rest()
            return
        try:
            if isinstance(answer, Exception):
                logger.error(
                    "an exchange was refused", exc_info=answer, extra={"event": "exchange.refused"}
                )
                self._mend(finishes, answer)
            elif answer.known:
                self._take(finishes, want, answer)
            else:
                self.pause()
                tell = self._client.forgotten if answer.is_forgotten else self._client.fenced
                tell(agent_id)
        finally:
            self._go_on()

    def _take(self, finishes: list[Finish], want: Want, answer: Exchange) -> None:
        _note_refused(finishes, answer)
        if want.limit:
            self.is_dry = not answer.claims and not answer.is_suspended
        if answer.is_suspended:
            self._client.suspended()
            return
        # Fewer than wanted: nothing is left, and what is released later rings the bell.
        self._again |= 0 < want.limit <= len(answer.claims)
        for claim in answer.claims:
            self._client.take(claim)

    def _next(self) -> list[Finish]:
        if self._suspects:
            self._again = True
            return [self._suspects.popleft()]
        finishes, self._outbox = self._outbox, []
        return finishes

    def _mend(self, finishes: list[Finish], error: Exception) -> None:
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
