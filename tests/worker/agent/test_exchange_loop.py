"""The pump brings every outcome to the store once, and claims only what was wanted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rootward.orchestrator.states import TaskState
from rootward.orchestrator.store.connection import Clients
from rootward.orchestrator.store.keys import Keys
from rootward.orchestrator.store.records import Claim, Finish
from rootward.orchestrator.store.store import Store
from rootward.worker.agent.exchange_loop import ExchangeLoop, Want
from rootward.worker.agent.store_client import StoreClient
from tests.support.scenes import Scene

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence


class Desk:
    """Takes up to `room` tasks, and finishes each at once when told so."""

    def __init__(self, queue: str, room: int, *, finishes: bool = True) -> None:
        self.queue, self.room, self.finishes = queue, room, finishes
        self.pump: ExchangeLoop
        self.taken: list[str] = []
        self.claims: list[Claim] = []
        self.most = self.holding = 0
        self.fenced_as: list[str] = []
        self.forgotten_as: list[str] = []
        self.suspensions = 0

    def wants(self) -> Sequence[Want]:
        return [Want(queues=[self.queue], limit=self.room - self.holding)]

    def offsets(self) -> Mapping[str, int]:
        return {}

    def take(self, claim: Claim) -> None:
        self.taken.append(claim.task)
        self.claims.append(claim)
        self.holding += 1
        self.most = max(self.most, self.holding)
        if self.finishes:
            asyncio.get_running_loop().call_soon(self.finish, claim)

    def finish(self, claim: Claim) -> None:
        self.holding -= 1
        state = TaskState.SUCCEEDED
        self.pump.finish(Finish(job_id=claim.job_id, token=claim.token, state=state))

    def suspended(self) -> None:
        self.suspensions += 1

    def fenced(self, agent_id: str) -> None:
        self.fenced_as.append(agent_id)

    def forgotten(self, agent_id: str) -> None:
        self.forgotten_as.append(agent_id)


def pumping(scene: Scene, desk: Desk, act: Callable[[ExchangeLoop], Awaitable[Any]]) -> None:
    async def main() -> None:
        link = StoreClient(asyncio.get_running_loop())
        desk.pump = ExchangeLoop(scene.store, link, scene.agent, desk)
        await act(desk.pump)
        link.close()

    asyncio.run(main())


async def until_dry(pump: ExchangeLoop) -> None:
    pump.kick()
    async with asyncio.timeout(20):
        await pump.until_quiet()


def test_all_tasks_run_in_order_with_no_more_than_there_is_room_for(store: Store) -> None:
    scene = Scene(store)
    edges = {f"train:{i}": [] for i in range(7)}
    scene.submit({**edges, "train:root": list(edges)})
    desk = Desk(scene.queue, room=2)
    pumping(scene, desk, until_dry)
    assert desk.taken[-1] == "train:root"
    assert sorted(desk.taken[:-1]) == sorted(edges)
    assert desk.most == 2
    assert desk.pump.is_dry


def test_a_task_of_a_chain_costs_one_exchange(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": ["train:a"], "train:c": ["train:b"]})
    desk = Desk(scene.queue, room=2)
    before = int(store.tasks.next_request()[:8], 16)
    pumping(scene, desk, until_dry)
    assert desk.taken == ["train:a", "train:b", "train:c"]
    # The first claim, and then each end with the claim of what it released.
    assert int(store.tasks.next_request()[:8], 16) - before - 1 == 4


def test_exchanges_go_on_when_their_connection_is_cut(redis_url: str, prefix: str) -> None:
    clients = Clients(redis_url, name=prefix)
    store = Store(clients, Keys(prefix=prefix))
    scene = Scene(store)
    scene.submit({"train:a": [], "train:b": ["train:a"], "train:c": ["train:b"]})
    desk = Desk(scene.queue, room=1, finishes=False)

    async def act(pump: ExchangeLoop) -> None:
        pump.kick()
        async with asyncio.timeout(20):
            for task in ("train:a", "train:b", "train:c"):
                await pump.until_quiet()
                assert desk.taken[-1] == task
                for client in clients.heartbeat.client_list():
                    if client["name"] == prefix:
                        clients.heartbeat.client_kill_filter(_id=client["id"], skipme=True)
                desk.finish(desk.claims[-1])
            await pump.until_quiet()

    pumping(scene, desk, act)
    assert [task.state for task in store.tasks.of("demo", 1)] == ["succeeded"] * 3
    clients.close()


def test_a_suspension_is_told_and_leaves_no_end_of_work_to_see(redis_url: str, prefix: str) -> None:
    """A burst must not take tasks that are held back for tasks that have been done."""
    clients = Clients(redis_url, name=prefix)
    store = Store(clients, Keys(prefix=prefix, rq=f"{prefix}-rq"))
    scene = Scene(store)
    scene.submit({"train:a": []})
    desk, mark = Desk(scene.queue, room=2), f"{prefix}-rq:suspended"
    clients.scripts.set(mark, 1, ex=60)
    pumping(scene, desk, until_dry)
    assert (desk.taken, desk.suspensions, desk.pump.is_dry) == ([], 1, False)
    clients.scripts.delete(mark)
    pumping(scene, desk, until_dry)
    assert (desk.taken, desk.suspensions, desk.pump.is_dry) == (["train:a"], 1, True)
    clients.close()


def test_nothing_is_claimed_without_room(store: Store) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    desk = Desk(scene.queue, room=0)
    pumping(scene, desk, until_dry)
    assert desk.taken == []


def test_a_lost_lease_is_told_with_the_incarnation_that_had_it(store: Store) -> None:
    scene = Scene(store)
    store.agents.leave(scene.agent)
    desk = Desk(scene.queue, room=1)
    pumping(scene, desk, until_dry)
    assert (desk.fenced_as, desk.forgotten_as) == ([scene.agent], [])


def test_a_store_without_a_trace_of_the_agent_is_told_once_and_nothing_is_asked_until_it_is_back(
    store: Store,
) -> None:
    scene = Scene(store)
    scene.submit({"train:a": []})
    store.clients.scripts.delete(store.keys.agent(scene.agent))
    desk = Desk(scene.queue, room=1)

    async def act(pump: ExchangeLoop) -> None:
        await until_dry(pump)
        pump.kick()
        pump.finish(Finish(job_id="void", token="t", state=TaskState.SUCCEEDED))
        await until_dry(pump)
        assert (desk.forgotten_as, desk.fenced_as, desk.taken) == ([scene.agent], [], [])
        scene.join(scene.agent)
        pump.resume()
        async with asyncio.timeout(20):
            await pump.until_quiet()

    pumping(scene, desk, act)
    assert (desk.forgotten_as, desk.taken) == ([scene.agent], ["train:a"])


def test_an_outcome_that_redis_refuses_fails_its_task_alone(store: Store) -> None:
    scene = Scene(store)
    number = scene.submit({"train:a": [], "train:b": []})
    claims = scene.claim_all()
    desk = Desk(scene.queue, room=0)

    async def act(pump: ExchangeLoop) -> None:
        # A log that is no list: the script fails in the middle, as it would for a broken server.
        states = store.keys.part("demo", number, "states")
        store.clients.scripts.set(states, "no list", ex=60)
        for task, entries in (("train:a", (b"entry",)), ("train:b", ())):
            claim = claims[task]
            finish = Finish(
                job_id=claim.job_id, token=claim.token, state=TaskState.SUCCEEDED, states=entries
            )
            pump.finish(finish)
        async with asyncio.timeout(20):
            await pump.until_quiet()

    pumping(scene, desk, act)
    states = {task.id: str(task.state) for task in store.tasks.of("demo", number)}
    assert states == {"train:a": "failed", "train:b": "succeeded"}
