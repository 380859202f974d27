"""Every state that the protocol can reach, and whether each of them can still come to a good end.

Agents and children that are alike are told apart by nothing that matters, so states that differ
only in their names are one. Besides what `step` refuses, a state is judged for what it holds: no
task is lost, no endpoint is listed for an agent that is gone, and from everywhere the parent can be
brought to serve. `python -m tests.properties.exploration` explores the full bounds, which takes
some minutes.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import Any, NamedTuple

from tests.properties.protocol import (
    BUSY,
    DONE,
    GONE,
    NOBODY,
    QUEUED,
    RUNNING,
    SENT,
    Agent,
    Guards,
    State,
    Task,
    Violation,
    start,
    step,
)


class Found(NamedTuple):
    """What an exploration found: the number of states, and the first violation with its story."""

    states: int
    violation: str = ""
    story: tuple[str, ...] = ()


def explore(
    *, children: int, workers: int, crashes: int, losses: int, doubles: int, guards: Guards
) -> Found:
    """Visit every reachable state, nearest first."""
    first = canonical(start(children, workers, crashes, losses, doubles))
    seen: dict[State, tuple[State | None, str]] = {first: (None, "")}
    before: dict[State, list[State]] = {}
    good: list[State] = []
    todo = deque([first])
    while todo:
        state = todo.popleft()
        try:
            check(state)
            for name, later in step(state, guards):
                after = canonical(later)
                before.setdefault(after, []).append(state)
                if after not in seen:
                    seen[after] = (state, name)
                    todo.append(after)
        except Violation as violation:
            return Found(len(seen), str(violation), story(seen, state))
        if is_good(state):
            good.append(state)
    stuck = next(iter(set(seen) - reached_from(good, before)), None)
    if stuck is not None:
        return Found(len(seen), "it can never be ready any more", story(seen, stuck))
    return Found(len(seen))


def check(state: State) -> None:
    """Raise Violation for a state that must not be."""
    for index, task in enumerate(state.tasks):
        owned = any(agent.own for agent in state.agents) and index == state.parent
        if task.state == QUEUED and not task.entries and not owned:
            raise Violation("a queued task is on no queue")
        if task.state == RUNNING and task.agent != NOBODY:
            agent = state.agents[task.agent]
            if agent.phase == GONE and not agent.is_known:
                raise Violation("a task is held by an agent that nobody will ever sweep")
    for agent in state.agents:
        if agent.is_listed and not agent.is_known:
            raise Violation("an endpoint is listed for an agent whose lease is over")
        if agent.phase == GONE and not agent.is_known and agent.replica:
            raise Violation("a replica outlives the agent that it belongs to")
    if is_good(state) and any(a.replica == "p" and a.is_known for a in state.agents):
        busy = any(a.phase in (BUSY, SENT) and a.job == state.prepare for a in state.agents)
        if state.has_begun and not busy and state.tasks[state.prepare].state == DONE:
            raise Violation("a replica was prepared that nobody will adopt")


def is_good(state: State) -> bool:
    """Whether all tasks have succeeded; an endpoint lost later is the controller's to replace."""
    return all(task.state == DONE for task in (*state.tasks[: state.prepare], state.tasks[-1]))


def reached_from(good: list[State], before: dict[State, list[State]]) -> set[State]:
    reached, todo = set(good), list(good)
    while todo:
        for state in before.get(todo.pop(), ()):
            if state not in reached:
                reached.add(state)
                todo.append(state)
    return reached


def story(seen: dict[State, tuple[State | None, str]], state: State) -> tuple[str, ...]:
    steps: list[str] = []
    while True:
        earlier, name = seen[state]
        if earlier is None:
            return tuple(reversed(steps))
        steps.append(name)
        state = earlier


def canonical(state: State) -> State:
    """Return the one state that stands for all which differ in names only."""
    holders = {task.agent for task in state.tasks if task.agent >= 0}
    ranks = sorted(
        _rank(state, number, agent)
        for number, agent in enumerate(state.agents)
        if agent != _FORGOTTEN or number in holders
    )
    place = {rank[-1]: index for index, rank in enumerate(ranks)}
    agents = [state.agents[rank[-1]] for rank in ranks]
    tasks = [
        Task(t.state, t.attempt, place[t.agent], t.accepted, t.entries) if t.agent >= 0 else t
        for t in state.tasks
    ]
    order = sorted(range(state.prepare), key=lambda index: (tasks[index], _who(agents, index)))
    if order != list(range(state.prepare)):
        names = {old: new for new, old in enumerate(order)}
        tasks[: state.prepare] = [tasks[index] for index in order]
        agents = [
            each._replace(
                job=names.get(each.job, each.job), claimed=names.get(each.claimed, each.claimed)
            )
            for each in agents
        ]
    return state._replace(
        tasks=tuple(tasks), prepared=place.get(state.prepared, NOBODY), agents=tuple(agents)
    )


_FORGOTTEN = Agent(phase=GONE, is_known=False)


def _rank(state: State, number: int, agent: Agent) -> tuple[Any, ...]:
    held = [index for index, task in enumerate(state.tasks) if task.agent == number]
    job = agent.job if agent.job >= state.prepare or agent.job < 0 else 0
    # Children have no names here: what an agent has of them is told by their records.
    tasks = sorted(state.tasks[index][:2] for index in held)
    return (agent[0], job, *agent[2:4], *agent[5:], tasks, state.prepared == number, number)


def _who(agents: list[Agent], index: int) -> list[int]:
    return [n for n, agent in enumerate(agents) if index in (agent.job, agent.claimed)]


def main() -> None:
    """Explore 3 workers, 3 children, 2 crashes or stalls, 1 lost answer, 1 doubled entry."""
    began = time.monotonic()
    found = explore(children=3, workers=3, crashes=2, losses=1, doubles=1, guards=Guards())
    print(f"{found.states} states in {time.monotonic() - began:.0f} s: {found.violation or 'none'}")
    print("\n".join(found.story))
    sys.exit(bool(found.violation))


if __name__ == "__main__":
    main()
