"""Small deployments for tests of the store: tasks, submissions, agents and replicas.

A plan is written as a mapping of task id to the ids that it waits for; everything else gets values
that fit. What happens in the store is left to the test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rootward.orchestrator.states import ReplicaState, TaskState
from rootward.orchestrator.store.records import (
    AgentInfo,
    Claim,
    Exchange,
    Finish,
    ReplicaRecord,
    Submission,
    TaskSpec,
)
from rootward.orchestrator.store.rq_compat import agent_queue, plain_queue
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rootward.orchestrator.store.records import Sweep
    from rootward.orchestrator.store.store import Store

LEASE_MS = 60_000
FAR_S = 4_000_000_000
Edges = dict[str, list[str]]


def specs(edges: Mapping[str, Sequence[str]], queue: str) -> tuple[TaskSpec, ...]:
    """Return the tasks of a plan, which stand in an order in which they could run."""
    index = {id_: number for number, id_ in enumerate(edges)}
    after: dict[str, list[int]] = {id_: [] for id_ in edges}
    for id_, before in edges.items():
        for each in before:
            after[each].append(index[id_])
    return tuple(
        TaskSpec(
            id=id_,
            wait=len(before),
            next=tuple(after[id_]),
            data=b"" if id_.startswith("join:") else f"payload of {id_}".encode(),
            queue="" if id_.startswith("join:") else queue,
        )
        for id_, before in edges.items()
    )


class Scene:
    """A store with one agent, through which tests act in few words."""

    def __init__(self, store: Store, *, agent: str = "w-1") -> None:
        self.store = store
        self.queue = plain_queue(store.keys.prefix)
        self.agent = self.join(agent)

    def join(self, agent: str, lease_ms: int = LEASE_MS) -> str:
        info = AgentInfo(id=agent, worker=agent.partition("-")[0], queues=(self.queue,))
        assert self.store.agents.join(info, lease_ms).known
        return agent

    def submit(self, edges: Edges, *, name: str = "demo", **options: Any) -> int:
        """Store a plan as the next generation of `name`; return its number."""
        number = options.pop("generation", None)
        if number is None:
            number = self.store.deployments.reserve(name, repr(options)).generation
        self._have_reserved(name, number)
        self.store.deployments.create(self.submission(edges, name, number, **options))
        return int(number)

    def submission(self, edges: Edges, name: str, number: int, **options: Any) -> Submission:
        """Return a plan as the generation `number` of `name`."""
        return Submission(
            id=f"{name}-{number}",
            name=name,
            generation=number,
            kinds=("train", "deploy"),
            tasks=specs(edges, self.queue),
            plan=b"the plan",
            tree=b"the tree",
            **{"history_s": 1000.0, **options},
        )

    def _have_reserved(self, name: str, number: int) -> None:
        """Give away the numbers up to this one."""
        client, key = self.store.clients.scripts, self.store.keys.name(name)
        client.hset(key, "reserved", max(number, int(client.hget(key, "reserved") or 0)))

    def exchange(
        self, *finishes: Finish, limit: int = 0, agent: str | None = None, **offsets: int
    ) -> Exchange:
        who = agent or self.agent
        queues = [agent_queue(self.store.keys.prefix, who), self.queue]
        return self.store.tasks.exchange(
            who,
            finishes=finishes,
            queues=queues,
            limit=limit,
            offsets={key.replace("_", "@"): value for key, value in offsets.items()},
        )

    def send_exchange(self, args: list[Any], *, agent: str | None = None) -> list[Any]:
        """Send the arguments of an exchange as they are, as a repeated request does."""
        who = agent or self.agent
        answer: list[Any] = self.store.scripts.run(
            "exchange", [self.store.keys.agent(who)], [who, *args]
        )
        return answer

    def claim(self, *, agent: str | None = None) -> Claim:
        (claim,) = self.exchange(limit=1, agent=agent).claims
        return claim

    def claim_all(self, *, agent: str | None = None) -> dict[str, Claim]:
        return {claim.task: claim for claim in self.exchange(limit=100, agent=agent).claims}

    def succeed(self, claim: Claim, **options: Any) -> str:
        (result,) = self.exchange(done(claim, **options)).results
        return str(result)

    def fail(self, claim: Claim, message: str = "no", **options: Any) -> str:
        (result,) = self.exchange(failed(claim, message, **options)).results
        return str(result)

    def run_all(self) -> list[str]:
        """Run whatever is released until nothing is; return the tasks in order of their run."""
        order = []
        while claims := self.exchange(limit=1).claims:
            order += [claim.task for claim in claims]
            assert self.succeed(claims[0]) == "accepted"
        return order

    def states(self, name: str = "demo", generation: int = 1) -> dict[str, str]:
        return {task.id: str(task.state) for task in self.store.tasks.of(name, generation)}

    def state(self, name: str = "demo", generation: int = 1) -> str:
        record = self.store.deployments.generation(name, generation)
        return str(record.state) if record is not None else "gone"

    def events(self, name: str = "demo") -> list[str]:
        return [str(event.event) for event in self.store.history.events(name)]

    def put(
        self, path: str, state: str = "ready", *, agent: str | None = None, **options: Any
    ) -> bool:
        who = agent or self.agent
        return self.store.registry.put(who, self.record(path, state, agent=who, **options))

    def record(
        self, path: str, state: str = "ready", *, agent: str | None = None, **options: Any
    ) -> ReplicaRecord:
        who = agent or self.agent
        return ReplicaRecord(
            **{
                "replica": f"r-{path}",
                "name": "demo",
                "generation": 1,
                "path": path,
                "agent_id": who,
                "worker": who.partition("-")[0],
                "state": ReplicaState(state),
                "url": "http://127.0.0.1:1",
                "token": "t",
                **options,
            }
        )


def swept(store: Store, agent: str) -> Sweep:
    """Let the agent's lease end and sweep until it is found."""
    store.agents.renew(agent, 1)

    def found() -> Sweep | None:
        sweep = store.agents.sweep(LEASE_MS)
        return sweep if agent in sweep.lost_agents else None

    sweep = wait_until(found, description=f"{agent} is swept")
    assert sweep is not None
    return sweep


def hasten_retries(store: Store) -> bool:
    """Let the pauses of all tasks that are to be tried again be over; return whether any were."""
    waiting = _retry_at(store, 1)
    if waiting:
        store.clients.scripts.hdel(store.keys.sweep, "swept", "checked")
        store.agents.sweep(LEASE_MS)
    return waiting


def put_off_retries(store: Store) -> None:
    """Let no pause of a task that is to be tried again end by itself."""
    _retry_at(store, FAR_S)


def _retry_at(store: Store, at: float) -> bool:
    client = store.clients.scripts
    scheduled = f"{store.keys.rq}:scheduled:{plain_queue(store.keys.prefix)}"
    waiting = client.zrange(scheduled, 0, -1)
    if waiting:
        client.zadd(scheduled, dict.fromkeys(waiting, at))
    return bool(waiting)


def done(claim: Claim, **options: Any) -> Finish:
    return Finish(job_id=claim.job_id, token=claim.token, state=TaskState.SUCCEEDED, **options)


def failed(claim: Claim, message: str = "no", **options: Any) -> Finish:
    error = {"type": "ValueError", "message": message, "traceback": f"Traceback ...: {message}"}
    return Finish(
        job_id=claim.job_id, token=claim.token, state=TaskState.FAILED, error=error, **options
    )
