"""The protocol of barrier, lease, adoption and finish as a transition system in plain Python.

Children are trained, one parent is deployed after them and may adopt what a prepare has started
before. Agents crash, stall past their lease, lose answers and ask again; queue entries are doubled.
`step` yields every possible next state; `Guards` holds what keeps it right, each of which can be
taken away. Nothing here imports the product: the machine of the property tests ties the scripts to
the same rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import NamedTuple

WAITING, QUEUED, RUNNING, DONE, SKIPPED = "wqrdk"
IDLE, ASKED, BUSY, SENT, GONE = "iabsg"
NOBODY, SOMEBODY = -1, -2


class Violation(Exception):
    """Something happened that must not."""


class Task(NamedTuple):
    """A task in the store: `attempt` is in its token; `entries` of the shared queue name it."""

    state: str
    attempt: int = 0
    agent: int = NOBODY
    accepted: int = 0
    entries: int = 0


class Agent(NamedTuple):
    """An incarnation: what it believes, and whether the store still knows it.

    `replica` is '' or 'p' (prepared) or 'u' (published); `claimed` is what the store remembers of
    its last request; `own` says that its own queue holds the parent.
    """

    phase: str = IDLE
    job: int = NOBODY
    attempt: int = 0
    is_known: bool = True
    claimed: int = NOBODY
    own: bool = False
    replica: str = ""
    is_listed: bool = False


class State(NamedTuple):
    """Tasks are the children, then the prepare, then the parent."""

    tasks: tuple[Task, ...]
    wait: int
    prepared: int
    has_begun: bool
    agents: tuple[Agent, ...]
    crashes: int
    losses: int
    doubles: int

    @property
    def prepare(self) -> int:
        return len(self.tasks) - 2

    @property
    def parent(self) -> int:
        return len(self.tasks) - 1


@dataclass(frozen=True)
class Guards:
    """Each is one thing that the scripts or the agents check; a variant lacks one."""

    finish_compares_the_token: bool = True
    finish_looks_at_the_state: bool = True
    token_is_new_with_each_attempt: bool = True
    claim_looks_at_the_state: bool = True
    claim_remembers_its_request: bool = True
    claim_asks_for_a_lease: bool = True
    barrier_waits_for_all: bool = True
    release_asks_whether_the_preparer_lives: bool = True
    late_prepare_is_skipped: bool = True
    sweep_requeues: bool = True
    sweep_empties_the_own_queue: bool = True
    sweep_drops_endpoints: bool = True
    publishing_asks_for_a_lease: bool = True
    fenced_agents_void_their_replicas: bool = True


VARIANTS = tuple(field.name for field in fields(Guards))


def start(children: int, workers: int, crashes: int, losses: int, doubles: int) -> State:
    """Return the state right after the submission."""
    return State(
        tasks=(
            *[Task(state=QUEUED, entries=1)] * children,
            Task(state=QUEUED, entries=1),
            Task(state=WAITING),
        ),
        wait=children,
        prepared=NOBODY,
        has_begun=False,
        agents=(Agent(),) * workers,
        crashes=crashes,
        losses=losses,
        doubles=doubles,
    )


def step(state: State, guards: Guards) -> Iterator[tuple[str, State]]:
    """Yield what may happen next, each with the state that follows; raises Violation."""
    for number, agent in enumerate(state.agents):
        if agent.phase == GONE:
            if agent.is_known:
                yield f"sweep {number}", sweep(state, number, guards)
            continue
        yield from act(state, number, guards)
        if state.crashes:
            less = state._replace(crashes=state.crashes - 1)
            yield f"crash {number}", replaced(less, number)
            if agent.is_known:
                # It stalls for longer than its lease, and comes back.
                yield f"stall {number}", sweep(less, number, guards)
    if state.doubles:
        for index, task in enumerate(state.tasks):
            if task.state in (QUEUED, RUNNING, DONE) and index != state.prepare:
                more = put(state, index, task._replace(entries=task.entries + 1))
                yield f"double {index}", more._replace(doubles=state.doubles - 1)


def act(state: State, number: int, guards: Guards) -> Iterator[tuple[str, State]]:
    """Yield what one living agent may do."""
    agent = state.agents[number]
    if not agent.is_known and agent.phase != BUSY and guards.claim_asks_for_a_lease:
        # Any request tells it; what it was about to send is refused like any late finish.
        yield f"fenced {number}", replaced(state, number, is_void=True, guards=guards)
        return
    if agent.phase == IDLE:
        for index in claimable(state, number):
            after, told = claim(state, number, index, guards)
            yield f"claim {index} by {number}", told
            if state.losses and after is not told:
                yield f"claim {index} by {number}, unheard", after._replace(losses=state.losses - 1)
    elif agent.phase == ASKED:
        yield f"ask {number} again", ask_again(state, number, guards)
    else:
        done = finish(state, number, guards)
        heard = agent_of(done, number, phase=IDLE, job=NOBODY, attempt=0)
        yield f"finish {agent.job} by {number}", heard
        if state.losses and agent.phase == BUSY:
            unheard = agent_of(done, number, phase=SENT)
            yield (
                f"finish {agent.job} by {number}, unheard",
                unheard._replace(losses=state.losses - 1),
            )


def put(state: State, index: int, task: Task) -> State:
    return state._replace(tasks=(*state.tasks[:index], task, *state.tasks[index + 1 :]))


def agent_of(state: State, number: int, **changes: object) -> State:
    agent = state.agents[number]._replace(**changes)  # type: ignore[arg-type]
    return state._replace(agents=(*state.agents[:number], agent, *state.agents[number + 1 :]))


def replaced(
    state: State, number: int, *, is_void: bool = False, guards: Guards | None = None
) -> State:
    """End an incarnation and begin another; what it ran ends with it."""
    stays = is_void and guards is not None and not guards.fenced_agents_void_their_replicas
    replica = state.agents[number].replica if stays else ""
    gone = agent_of(state, number, phase=GONE, job=NOBODY, attempt=0, replica=replica)
    return gone._replace(agents=(*gone.agents, Agent()))


def claimable(state: State, number: int) -> list[int]:
    shared = [index for index, task in enumerate(state.tasks) if task.entries]
    return [*shared, state.parent] if state.agents[number].own else shared


def claim(state: State, number: int, index: int, guards: Guards) -> tuple[State, State]:
    """Take an entry; return the state when its answer is lost, and when it is heard."""
    task, agent = state.tasks[index], state.agents[number]
    if index == state.parent and agent.own:
        state = agent_of(state, number, own=False)
    else:
        task = task._replace(entries=task.entries - 1)
        state = put(state, index, task)
    if task.state != QUEUED and (guards.claim_looks_at_the_state or task.state == WAITING):
        return state, state
    if index == state.prepare and state.has_begun and guards.late_prepare_is_skipped:
        state = put(state, index, task._replace(state=SKIPPED))
        return state, state
    if index == state.parent and any(t.state != DONE for t in state.tasks[: state.prepare]):
        raise Violation("the parent started before each child had succeeded")
    if task.state == RUNNING and state.agents[task.agent].is_known:
        raise Violation("a task was given to two living agents")
    attempt = task.attempt + 1 if guards.token_is_new_with_each_attempt else 1
    task = task._replace(state=RUNNING, attempt=attempt, agent=number)
    state = put(state, index, task)
    if index == state.prepare:
        state = state._replace(prepared=number)
    state = agent_of(state, number, claimed=index)
    heard = agent_of(state, number, phase=BUSY, job=index, attempt=attempt)
    return agent_of(state, number, phase=ASKED), heard


def ask_again(state: State, number: int, guards: Guards) -> State:
    """Repeat a request whose answer was lost: it gets what it claimed the first time."""
    index = state.agents[number].claimed
    task = state.tasks[index]
    if not guards.claim_remembers_its_request or (task.state, task.agent) != (RUNNING, number):
        return agent_of(state, number, phase=IDLE)
    return agent_of(state, number, phase=BUSY, job=index, attempt=task.attempt)


def finish(state: State, number: int, guards: Guards) -> State:
    """Apply a finish, which may be late or doubled; a deploy publishes before it finishes."""
    agent = state.agents[number]
    index, task = agent.job, state.tasks[agent.job]
    if index == state.prepare and not agent.replica:
        state = agent_of(state, number, replica="p")
    if index == state.parent and agent.phase == BUSY:
        may = agent.is_known or not guards.publishing_asks_for_a_lease
        state = agent_of(state, number, replica="u", is_listed=may)
    is_ours = task.attempt == agent.attempt and task.agent != NOBODY
    if guards.finish_compares_the_token and not is_ours:
        return state
    if guards.finish_looks_at_the_state and task.state != RUNNING:
        return state
    if task.state not in (RUNNING, DONE):
        return state
    if not agent.is_known:
        raise Violation("a finish was accepted from an agent that had lost its lease")
    if task.accepted:
        raise Violation("a task's finish was accepted twice")
    state = put(state, index, task._replace(state=DONE, accepted=1, agent=SOMEBODY))
    return state if index >= state.prepare else release(state, guards)


def release(state: State, guards: Guards) -> State:
    """Take a child out of the parent's barrier; when it opens, the parent is queued."""
    state = state._replace(wait=state.wait - 1)
    parent = state.tasks[state.parent]
    opens = state.wait == 0 if guards.barrier_waits_for_all else state.wait <= 1
    if not opens or parent.state != WAITING:
        return state
    preparer = state.prepared
    lives = preparer != NOBODY and (
        state.agents[preparer].is_known or not guards.release_asks_whether_the_preparer_lives
    )
    if lives:
        state = put(state, state.parent, parent._replace(state=QUEUED))
        return agent_of(state, preparer, own=True)
    queued = parent._replace(state=QUEUED, entries=parent.entries + 1)
    return put(state, state.parent, queued)._replace(has_begun=True)


def sweep(state: State, number: int, guards: Guards) -> State:
    """End the lease of an agent: what it held goes back, what it listed goes out."""
    agent = state.agents[number]
    for index, task in enumerate(state.tasks):
        if task.state == RUNNING and task.agent == number and guards.sweep_requeues:
            back = task._replace(state=QUEUED, agent=NOBODY, entries=task.entries + 1)
            state = put(state, index, back)
    if state.prepared == number and state.tasks[state.prepare].state != DONE:
        state = state._replace(prepared=NOBODY)
    if agent.own and guards.sweep_empties_the_own_queue:
        parent = state.tasks[state.parent]
        state = put(state, state.parent, parent._replace(entries=parent.entries + 1))
    listed = agent.is_listed and not guards.sweep_drops_endpoints
    own = agent.own and not guards.sweep_empties_the_own_queue
    return agent_of(state, number, is_known=False, own=own, claimed=NOBODY, is_listed=listed)
