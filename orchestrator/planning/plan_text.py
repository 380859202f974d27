"""Drawings of a plan: the tree that `rootward plan` prints, and a mermaid flowchart.

Only text is made here; what a plan holds is `graph`'s. A drawing depends on nothing but the plan:
the same plan is drawn the same way everywhere.
"""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING

from rootward.modules.needs.resources import resources_text

from .graph import Kind, PlanGraph, Service

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHAPES = {
    Kind.TRAIN: ("[", "]"),
    Kind.PREPARE: ("([", "])"),
    Kind.DEPLOY: ("[[", "]]"),
    Kind.EVAL: ("[/", "/]"),
    Kind.JOIN: ("((", "))"),
}


def draw(plan: PlanGraph, marks: Mapping[str, str] = MappingProxyType({})) -> str:
    """Draw the modules of the plan as a tree, each with its kinds of work, in plain text.

    `marks` are what is said of a module behind its line, by path.
    """
    kinds: dict[str, list[str]] = defaultdict(list)
    for task in plan.tasks:
        if task.path is not None:
            needs = resources_text(plan.needs.get(task.id, {}))
            kinds[task.path].append(f"{task.kind} ({needs})" if needs else str(task.kind))
    children: dict[str, list[str]] = defaultdict(list)
    roots: list[str] = []
    for path in plan.modules:
        above = path.rpartition("/")[0]
        (children[above] if above else roots).append(path)
    services = {service.path: service for service in plan.services}
    lines = [_headline(plan)]
    # An explicit stack: a chain of thousands of modules is drawn too.
    stack = [(path, "", "", "") for path in reversed(roots)]
    while stack:
        path, indent, branch, below = stack.pop()
        part = path if not branch else path.rpartition("/")[2]
        line = f"{indent}{branch}{_line(part, kinds[path], services.get(path))}".rstrip()
        lines.append(f"{line}  {marks[path]}" if path in marks else line)
        own = children[path]
        for index in range(len(own) - 1, -1, -1):
            last = index == len(own) - 1
            branch_below = "└- " if last else "|- "
            stack.append((own[index], indent + below, branch_below, "    " if last else "|   "))
    return "\n".join(lines)


def _headline(plan: PlanGraph) -> str:
    work = sum(task.kind is not Kind.JOIN for task in plan.tasks)
    levels = len(plan.levels())
    return (
        f"{plan.deployment}: {_count(work, 'task')} on {_count(levels, 'level')}, "
        f"{_count(len(plan.services), 'service')}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _line(part: str, kinds: list[str], service: Service | None) -> str:
    words = f"{part}  {', '.join(kinds)}" if kinds else part
    if service is None:
        return words
    bounds = service.bounds
    notes = [_count(service.wanted, "replica") if bounds is None else f"{bounds} replicas"]
    if service.port is not None:
        notes.append(f"port {service.port}: replaced stop-then-start")
    if service.resources:
        needs = resources_text(service.resources)
        notes.append(f"{needs}: replaced stop-then-start where a worker can't offer it twice")
    return f"{words}  ({'; '.join(notes)})"


def mermaid(plan: PlanGraph) -> str:
    """Draw the tasks and the edges that matter (the reduced ones) as a mermaid flowchart."""
    names = {task.id: f"t{index}" for index, task in enumerate(plan.tasks)}
    lines = ["flowchart BT"]
    for task in plan.tasks:
        opening, closing = _SHAPES[task.kind]
        label = task.id.replace('"', "#quot;")
        lines.append(f'    {names[task.id]}{opening}"{label}"{closing}')
    for task_id, before in plan.reduced().items():
        lines.extend(f"    {names[each]} --> {names[task_id]}" for each in before)
    return "\n".join(lines)
