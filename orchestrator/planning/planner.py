"""Making a plan: a pure function of an outline, which `collect` reads from a tree.

No Redis, no clock, no user code. Train after the trains below; everything of a kind before anything
of the next; deploy after the deploys below. Joins stand for the edges from all to all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import PlanError
from .graph import ALL_KINDS, Kind, Service, Step
from .plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# In place of the number of a task that a module doesn't have.
_NONE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What a plan needs of the modules of a tree, column by column, children first.

    `paths`, `children` (places of modules) and `kinds` (of work) have an entry for each module,
    `services` one for each that is served, by its place, `needs` one for each whose tasks need
    resources: amounts by kind.
    """

    paths: Sequence[str]
    children: Sequence[Sequence[int]]
    kinds: Sequence[frozenset[str]]
    services: Mapping[int, Service] = field(default_factory=dict)
    needs: Mapping[int, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)


def parse_kinds(kinds: Iterable[str]) -> frozenset[Kind]:
    """Return the kinds asked for; PlanError names one that nobody can ask for, or that none was."""
    asked = [kinds] if isinstance(kinds, str) else list(kinds)
    allowed = {str(kind): kind for kind in ALL_KINDS}
    unknown = [kind for kind in asked if str(kind) not in allowed]
    if unknown or not asked:
        what = f"{str(unknown[0])!r} is no kind of task" if unknown else "no kind of task was given"
        raise PlanError(f"{what}: choose from {', '.join(allowed)}")
    return frozenset(allowed[str(kind)] for kind in asked)


def make_plan(deployment: str, outline: Outline, kinds: Iterable[str] = ALL_KINDS) -> Plan:
    """Make the plan of the modules of an outline, with their tasks of the kinds."""
    wanted = parse_kinds(kinds)
    _check(outline)
    worked = frozenset[str]().union(*set(outline.kinds))
    asked = [str(kind) for kind in ALL_KINDS if kind in wanted and kind in worked]
    services = outline.services if Kind.DEPLOY in wanted else {}
    steps: list[Step] = []
    barrier: tuple[int, ...] = ()
    for kind in map(str, ALL_KINDS):
        numbers = _add_steps(steps, outline, kind, barrier) if kind in asked else []
        if kind == Kind.TRAIN:
            _add_prepares(steps, outline, services, numbers)
        if numbers and kind != asked[-1]:
            after = tuple([number for number in numbers if number != _NONE])
            barrier = (len(steps),)
            steps.append((str(Kind.JOIN), f"{Kind.JOIN}:{kind}", after))
    return Plan(
        deployment=deployment,
        modules=tuple(outline.paths),
        steps=tuple(steps),
        services=tuple(services[place] for place in sorted(services)),
        needs={
            f"{kind}:{outline.paths[place]}": amounts
            for place, by_kind in outline.needs.items()
            for kind, amounts in by_kind.items()
            if kind in asked and kind in outline.kinds[place]
        },
    )


def _add_steps(
    steps: list[Step], outline: Outline, kind: str, barrier: tuple[int, ...]
) -> list[int]:
    """Add the tasks of the kind, each behind the barrier and the tasks below it.

    Returns, for each module, the number of its task, or _NONE.
    """
    numbers: list[int] = []
    for place, (kinds, children) in enumerate(zip(outline.kinds, outline.children, strict=True)):
        if kind not in kinds:
            numbers.append(_NONE)
            continue
        after = barrier
        if children:
            below = [numbers[child] for child in children]
            if _NONE in below:
                below = [numbers[child] for child in _nearest(outline, place, kind)]
            after = (*barrier, *below)
        numbers.append(len(steps))
        steps.append((kind, place, after))
    return numbers


def _nearest(outline: Outline, place: int, kind: str) -> list[int]:
    """Return the places of the nearest modules below that have work of the kind.

    Edges pass through modules without such work. The walk is done for each module that has work
    instead of handing sets upwards, which would copy long ones once a level in a deep tree.
    """
    found: list[int] = []
    seen: set[int] = set()
    stack = list(reversed(outline.children[place]))
    while stack:
        index = stack.pop()
        if index in seen:
            continue
        seen.add(index)
        if kind in outline.kinds[index]:
            found.append(index)
        else:
            stack.extend(reversed(outline.children[index]))
    return found


def _add_prepares(
    steps: list[Step],
    outline: Outline,
    services: Mapping[int, Service],
    trains: Sequence[int],
) -> None:
    if not services:
        return
    trained = {path: n for path, n in zip(outline.paths, trains, strict=False) if n != _NONE}
    for place in sorted(services):
        loads = services[place].loads
        after = tuple([trained[path] for path in loads if path in trained])
        steps.append((str(Kind.PREPARE), place, after))


def _check(outline: Outline) -> None:
    paths = outline.paths
    if len(set(paths)) < len(paths):
        doubled = next(path for number, path in enumerate(paths) if path in paths[:number])
        raise PlanError(f"two modules have the path {doubled!r}: give one of them another name")
    for place, children in enumerate(outline.children):
        if children and max(children) >= place:
            raise PlanError(f"module {paths[place]!r} stands before a module that it holds")
