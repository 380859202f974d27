"""An agent's membership of a store: its id, the lease under it, and what it says of itself.

It joins, joins again when the store has lost its data (under the same id: what the agent holds is
still its own), takes another id when its lease had ended, and leaves. The heartbeat that renews the
lease is its own. What follows for tasks and replicas is the session's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .heartbeat import Heartbeat, LeaseState

if TYPE_CHECKING:
    from rootward.orchestrator.security.signing import Signer
    from rootward.orchestrator.settings import Settings
    from rootward.orchestrator.store.records import AgentInfo, RenewResult
    from rootward.orchestrator.store.store import Store

    from ..work.identity import Identity
    from .rq_worker import RqWorker
    from .store_client import StoreClient


class Membership:
    """One agent in one store; `on_standing` is called, from any thread, as a `Heartbeat` does."""

    def __init__(
        self,
        identity: Identity,
        settings: Settings,
        store: Store,
        signer: Signer,
        link: StoreClient,
        on_standing: Callable[[LeaseState, str], None],
    ) -> None:
        """Register nothing yet."""
        self._identity, self._settings = identity, settings
        self._store, self._signer, self._link = store, signer, link
        self._on_standing = on_standing
        self._state = "running"
        # Who holds which device, as it is told with everything else.
        self.holdings: Callable[[], tuple[Mapping[str, Any], ...]] = tuple
        self.agent_id = identity.new_id()
        self.keeper: Heartbeat | None = None

    async def join(self, engine: RqWorker) -> None:
        """Register, and renew the lease from now on."""
        joined = await self._link.insist(self._store.agents.join, self._info(), self._lease_ms)
        await self._joined(engine, joined.store_id)

    async def rejoin(self, engine: RqWorker) -> RenewResult:
        """Register where the store has lost its data; not known when this id is gone for good."""
        joined = await self._link.insist(
            self._store.agents.rejoin,
            self._info(),
            self._lease_ms,
            self._store.tasks.next_request(),
        )
        if joined.known:
            mine = self._signer.fingerprints(self._settings.prefix)[0]
            await self._link.insist(self._store.agents.agree, mine)
            await self._joined(engine, joined.store_id)
        return joined

    def take_another_id(self) -> str:
        """Be another incarnation, which isn't registered yet; return its id."""
        self.agent_id = self._identity.new_id()
        return self.agent_id

    async def tell(self, state: str) -> None:
        """Say that the agent is `quiet` or `draining`."""
        self._state = state
        await self._link.insist(self._store.agents.join, self._info(), self._lease_ms)

    def rouse(self) -> None:
        """Renew at once if nothing was active: something may be now."""
        if self.keeper is not None:
            self.keeper.rouse()

    def end(self) -> None:
        """Renew no more."""
        if self.keeper is not None:
            self.keeper.stop()

    def left_s(self, exclusive: bool) -> float:
        """Return for how long (seconds) a replica may go on without hearing again."""
        return float("inf") if self.keeper is None else self.keeper.left_s(exclusive=exclusive)

    @property
    def _lease_ms(self) -> int:
        return round(self._settings.lease_seconds * 1000)

    async def tell_holdings(self) -> None:
        """Say who holds which of its devices now; nobody hears it before it has joined."""
        if self.keeper is not None:
            await self.tell(self._state)
            # To say anything makes the lease its usual one, which an idle heart would miss.
            self.rouse()

    def _info(self) -> AgentInfo:
        keeps = self._settings.workspace is None
        said = self._identity.info(self.agent_id, self._state, self.holdings())
        return replace(said, keeps_workspaces=keeps)

    async def _joined(self, engine: RqWorker, store_id: str) -> None:
        self._signer.enter(store_id)
        if self.keeper is None:
            lease_s = self._settings.lease_seconds
            self.keeper = Heartbeat(self._store, self.agent_id, lease_s, self._on_standing)
            self.keeper.start()
        else:
            self.keeper.rejoined(self.agent_id)
        await self._link.insist(engine.register_birth)
