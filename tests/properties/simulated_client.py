"""The user of the simulation: submits trees, changes what is asked of them, and goes back.

As a client does, it makes a call again until it knows its outcome. What it asked for is in
`submitted`; what has become of it is left to the judge.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from rootward.orchestrator.client.client import plan as plan_of
from rootward.orchestrator.planning.carried import Carried, kind_of
from rootward.orchestrator.planning.definition import Packed
from rootward.orchestrator.planning.graph import Kind
from rootward.orchestrator.planning.submission import Order, Writer
from rootward.orchestrator.store.records import Retention
from tests.properties.ledger import served, trained
from tests.properties.simulated_network import Lost

if TYPE_CHECKING:
    from collections.abc import Callable

    from rootward.orchestrator.store.records import GenerationRecord
    from tests.properties.simulation import World

LIVE = "live"
TREES = 5
TRIES = 100
KEPT = 2


class SimulatedClient:
    """One user; asks for something each 4 to 20 s, unless the world is calm."""

    def __init__(self, world: World) -> None:
        self.world, self.store = world, world.store_for(None)
        self.submitted: set[tuple[str, int]] = set()
        self.submission_of: dict[tuple[str, int], str] = {}
        self.plans = {LIVE: plan_of(served(LIVE))}
        self.plans |= {name: plan_of(trained(name)) for name in map("tasks{}".format, range(TREES))}
        self._writer = Writer(keys=world.keys, signer=world.signer)

    def begin(self) -> None:
        """Ask for the first thing soon, so that something is served from the beginning."""
        self.world.later(0.5, lambda: self.submit(LIVE))
        self.world.later(1.0, self._ask)
        self.world.later(2.0, self._call)

    def _call(self) -> None:
        """Have some calls, or none, of what is live, and wake what sleeps for them."""
        random = self.world.random
        self.world.later(random.uniform(0.5, 6.0), self._call)
        numbers = [number for name, number in sorted(self.submitted) if name == LIVE]
        if self.world.network.is_calm or not numbers:
            return
        under_way, held = random.choice(((0.0, 0.0), (0.0, 1.0), (3.0, 0.0), (9.0, 4.0)))
        path = f"{LIVE}/front/rare"
        with contextlib.suppress(Lost):
            loads = {(LIVE, numbers[-1], path): (under_way, held)}
            self.store.registry.report_load("user", loads)
            if held:
                self.store.deployments.wake(LIVE, numbers[-1], path)

    def _ask(self) -> None:
        random = self.world.random
        self.world.later(random.uniform(4.0, 20.0), self._ask)
        if self.world.network.is_calm:
            return
        name = LIVE if random.random() < 0.15 else f"tasks{random.randrange(TREES)}"
        if random.random() < 0.7:
            self.submit(name, again=random.random() < 0.5)
        else:
            self._change_mind()

    def _change_mind(self) -> None:
        """Cancel, stop, resume or scale something that was submitted."""
        random = self.world.random
        name, number = random.choice(sorted(self.submitted))
        path = random.choice(sorted(each.path for each in self.plans[LIVE].services))
        wish = random.choice(("cancel", "resume", "stop", "scale", "switch"))
        wanted = random.randint(0, 3)
        self.world.note(f"asked: {wish} {name}@{number}")
        match wish:
            case "cancel":
                self._insist(lambda: self.store.deployments.cancel(name, number))
            case "resume":
                self._insist(lambda: self.store.deployments.resume(name, number))
            case "stop":
                self._insist(lambda: self.store.deployments.stop(name, number))
                if name == LIVE:
                    self.world.later(random.uniform(5.0, 30.0), lambda: self.submit(LIVE))
            case "switch":
                self._insist(lambda: self.store.rollouts.switch(name, number, "asked for"))
            case "scale":
                numbers = [number for name, number in sorted(self.submitted) if name == LIVE]
                signer, place = self.world.signer, (LIVE, numbers[-1], path)
                signature = signer.sign_count(*place, wanted)
                scale = self.store.deployments.scale
                # Of another number, a range that it is in, or what the tree says.
                text = random.choice((str(wanted), f"0..{max(wanted, 1)}", ""))
                asked = (text, signer.sign_range(*place, text)) if text else ("", "")
                self._insist(lambda: scale(*place, wanted, signature, asked=asked))

    def submit(self, name: str, *, again: bool = False) -> None:
        """Submit a tree as the next generation of its name.

        With `again` it takes trainings over from an earlier one, where there is one: all of them,
        as a rollback does, or some, as a deploy of what has changed.
        """
        plan = self.plans[name]
        order = Order(
            makes_current=True,
            kinds=("train", "deploy"),
            retries=1,
            history_s=600.0,
            taken=self._taken(name) if again else None,
            retention=Retention(warm=self.world.random.randrange(3), keep=KEPT),
        )
        done = frozenset[str]() if order.taken is None else order.taken.tasks
        id_, mine = f"s{self.world.birth()}", set[tuple[str, int]]()

        def submit() -> None:
            with contextlib.suppress(ResponseError):
                # Refused when the store has lost the number that it gave: the user does without.
                submit_once()

        def submit_once() -> None:
            number = self.store.deployments.reserve(name, id_).generation
            if (name, number) not in mine:
                # A number is given again when all that was known of its name has expired.
                self.world.ledger.begin(name, number, plan, done)
                mine.add((name, number))
            self.store.deployments.create(
                self._writer.build(
                    plan, Packed(tree=b"tree"), order, submission_id=id_, generation=number
                )
            )
            self.submitted.add((name, number))
            self.submission_of[name, number] = id_

        self._insist(submit)

    def _taken(self, name: str) -> Carried | None:
        """Return what is taken over from one of the generations that can be gone back to."""
        found: list[GenerationRecord] = []
        self._insist(lambda: found.extend(self.store.deployments.returnable(name, None)))
        if not found:
            return None
        random = self.world.random
        source = random.choice(found)
        trains = [id_ for id_ in self.plans[name].ids if kind_of(id_) == Kind.TRAIN]
        # Children stand before their parents: what is before a place has nothing above it there.
        tasks = frozenset(trains if random.random() < 0.5 else trains[: random.randrange(3)])
        self.world.note(f"takes {len(tasks)} of {name}@{source.generation} over")
        states = tuple(task.encode() for task in sorted(tasks))
        return Carried(source=source.generation, tasks=tasks, states=states)

    def _insist(self, act: Callable[[], Any]) -> None:
        for _ in range(TRIES):
            with contextlib.suppress(Lost):
                act()
                return
