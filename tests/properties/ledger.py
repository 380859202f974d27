"""What the simulation deploys, and the books that it keeps of what the scripts said about it.

The ledger believes no record in Redis: it counts what exchanges answered, and compares it with the
plan.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rootward.modules import ModuleBase, ServerModule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootward.orchestrator.planning.plan import Plan
    from rootward.orchestrator.store.records import Claim


MOST_RARE = 3


class Leaf(ModuleBase):
    """Has something to train."""

    def _get_train_tasks(self) -> Any:
        return self.forward

    def forward(self) -> None:
        """Is never called."""


class Branch(ModuleBase):
    """Is trained after its leaves; may hold something served."""

    def __init__(self, *children: ModuleBase, name: str) -> None:
        super().__init__(name=name)
        self.children = list(children)

    def _get_train_tasks(self) -> Any:
        return self.forward

    def forward(self) -> None:
        """Is never called."""


def trained(name: str) -> ModuleBase:
    return Branch(*[Leaf(name=f"leaf{number}") for number in range(4)], name=name)


def served(name: str) -> ModuleBase:
    """Return a service that calls two others, one of which sleeps when nobody calls."""
    back = ServerModule(Leaf(name="inner"), name="back", replicas=2)
    rare = ServerModule(
        Leaf(name="seldom"),
        name="rare",
        replicas=(0, MOST_RARE),
        scale_down_after=20,
        scale_to_zero_after=40,
    )
    return ServerModule(Branch(back, rare, Leaf(name="side"), name="front"), name=name)


class WrongError(AssertionError):
    """Something happened that must not; the message names the seed."""


@dataclass(slots=True)
class Ledger:
    """What was accepted and started, as the scripts said it."""

    plans: dict[tuple[str, int], Plan] = field(default_factory=dict)
    accepted: Counter[str] = field(default_factory=Counter)
    done: set[tuple[str, int, str]] = field(default_factory=set)
    taken: set[tuple[str, int, str]] = field(default_factory=set)
    requests: dict[str, str] = field(default_factory=dict)
    claimed_by: dict[str, str] = field(default_factory=dict)

    def begin(
        self, name: str, generation: int, plan: Plan, taken: frozenset[str] = frozenset()
    ) -> None:
        """Know nothing of a generation that is about to be submitted but what it takes over."""
        self.plans[name, generation] = plan
        self.done = {each for each in self.done if each[:2] != (name, generation)}
        self.taken = {each for each in self.taken if each[:2] != (name, generation)}
        self.taken |= {(name, generation, task) for task in taken}
        self.done |= self.taken
        for job in [job for job in self.accepted if job.startswith(f"sim-{name}-{generation}-")]:
            del self.accepted[job]

    def emptied(self) -> None:
        """Forget all that was accepted: the store has lost its data, and gives numbers anew.

        What a late request claims for an agent that has yet to notice goes back when it does.
        """
        self.accepted.clear()
        self.done.clear()
        self.requests.clear()

    def saw_exchange(
        self, finishing: list[tuple[str, bool]], results: str, claims: Sequence[Claim]
    ) -> None:
        """Take note of what an exchange accepted and gave out."""
        for (job, succeeded), result in zip(finishing, results, strict=True):
            if result == "a" and succeeded:
                self.accepted[job] += 1
                if self.accepted[job] > 1:
                    raise WrongError(f"{job} was accepted twice")
        for claim in claims:
            name, generation, task = claim.name, claim.generation, claim.task
            plan = self.plans[name, generation]
            if (name, generation, task) in self.taken:
                raise WrongError(f"{task} of {name}@{generation} runs, and was taken over")
            if claim.job_id.rpartition("-")[2].isdigit():
                for before in next(each for each in plan.tasks if each.id == task).after:
                    if not self.is_done(name, generation, before, plan):
                        raise WrongError(f"{task} of {name}@{generation} began before {before}")

    def saw_request(self, agent: str, request: str, claims: bool) -> None:
        """Take note of an exchange's request: claims for one that has no reader are never run.

        One that comes twice is told again what it claimed the first time.
        """
        newest = max(request[:8], self.requests.get(agent, ""))
        if claims and request[:8] < newest and request != self.claimed_by.get(agent):
            raise WrongError(f"a late request of {agent} claims")
        self.requests[agent] = newest
        if claims:
            self.claimed_by[agent] = request

    def is_done(self, name: str, generation: int, task: str, plan: Plan) -> bool:
        """Whether a task was accepted as succeeded; a join when all before it were."""
        if not task.startswith("join:"):
            return (name, generation, task) in self.done
        after = next(each for each in plan.tasks if each.id == task).after
        return all(self.is_done(name, generation, each, plan) for each in after)
