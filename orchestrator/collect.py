"""Reading a tree: which module has which work, what a replica of it holds, who calls whom.

This is the one place where a plan's makers look at module objects. Every task getter is asked once,
so that one which returns something else is an error before anything is stored; what the getters
return is run elsewhere. `plan` makes tasks and edges of what is read here.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

from modules.module import has_work

from .plan import ALL_KINDS, Kind, Plan, PlannedModule, Service, make_plan, parse_kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from modules.tree import Node, Tree


def plan_tree(
    tree: Tree,
    kinds: Iterable[str] = ALL_KINDS,
    *,
    recursive: bool = True,
    part: str | None = None,
) -> Plan:
    """Return the plan of the tree, or of the `part` at that path; of one module if not `recursive`.

    Only a whole tree is served: the plan of anything less has no services, and no task that would
    start one. Raises TaskGetterError for a getter that returns something else, PlanError for a kind
    that doesn't exist, and KeyError for a part that doesn't.
    """
    asked = parse_kinds(kinds)
    return make_plan(tree.name, collect(tree, asked, recursive=recursive, part=part), asked)


def is_whole(tree: Tree, *, recursive: bool, part: str | None = None) -> bool:
    """Whether a plan of that part covers the whole tree."""
    root = tree.nodes[-1]
    return part in {None, root.path} and (recursive or not root.children)


def collect(
    tree: Tree, kinds: frozenset[Kind], *, recursive: bool = True, part: str | None = None
) -> tuple[PlannedModule, ...]:
    """Return what the plan needs of each module that it covers, children first."""
    covered = _covered(tree, part, recursive=recursive)
    serves = Kind.DEPLOY in kinds and is_whole(tree, recursive=recursive, part=part)
    callers = _callers(tree) if serves else {}
    place = {index: number for number, index in enumerate(covered)}
    planned = []
    for index in covered:
        node = tree.nodes[index]
        is_served = node.module.serves
        wanted = kinds - {Kind.DEPLOY} if is_served and not serves else kinds
        planned.append(
            PlannedModule(
                path=node.path,
                children=tuple(place[child] for child in node.children if child in place),
                kinds=frozenset(str(kind) for kind in wanted if has_work(node.module, str(kind))),
                service=_service(tree, node, callers) if is_served and serves else None,
            )
        )
    return tuple(planned)


def _covered(tree: Tree, part: str | None, *, recursive: bool) -> list[int]:
    """Return the indexes of the nodes that a plan covers, in the order of the walk."""
    if part is None and recursive:
        return list(range(len(tree.nodes)))
    top = tree.nodes[-1] if part is None else tree.node_at(part)
    above = next(index for index, node in enumerate(tree.nodes) if node is top)
    below = {above}
    stack = [above] if recursive else []
    while stack:
        for child in tree.nodes[stack.pop()].children:
            if child not in below:
                below.add(child)
                stack.append(child)
    return sorted(below)


def _callers(tree: Tree) -> dict[str, list[str]]:
    """Return, by the path of a served module, the served modules whose replicas call it."""
    callers: dict[str, list[str]] = defaultdict(list)
    for node in tree.nodes:
        if not node.module.serves:
            continue
        seen: set[str] = set()
        for held in tree.loaded_by(node.path):
            for index in tree.node_at(held).children:
                below = tree.nodes[index]
                if below.module.serves and below.path not in seen:
                    seen.add(below.path)
                    callers[below.path].append(node.path)
    return callers


def _service(tree: Tree, node: Node, callers: Mapping[str, Sequence[str]]) -> Service:
    options = cast("Any", node.module)  # a ServerModule: the tree's contract says only `serves`
    return Service(
        path=node.path,
        wanted=int(options.replicas),
        parents=tuple(callers.get(node.path, ())),
        loads=tuple(tree.loaded_by(node.path)),
        port=options.port,
        resources=dict(options.resources or {}),
        env=dict(options.env or {}),
        startup_timeout=float(options.startup_timeout),
        repeatable=bool(options.repeatable),
        exclusive=bool(options.exclusive),
    )
