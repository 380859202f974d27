"""Reading a tree: which module has which work, what a replica of it holds, who calls whom.

This is the one place where a plan's makers look at module objects. Every task getter is asked once,
so that one which returns something else is an error before anything is stored; what the getters
return is run elsewhere. `plan` makes tasks and edges of what is read here.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

from rootward.modules.command import CommandModule
from rootward.modules.needs.resources import task_needs
from rootward.modules.processes.gc_pause import GcPaused
from rootward.modules.tasks import WorkFinder

from ..errors import PlanError
from .graph import ALL_KINDS, PING_TIMEOUT_S, Kind, Service
from .planner import Outline, make_plan, parse_kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rootward.modules.tree import Tree, TreeNode

    from .plan import Plan


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
    that doesn't exist.
    """
    asked = parse_kinds(kinds)
    with GcPaused():
        return make_plan(tree.name, collect(tree, asked, recursive=recursive, part=part), asked)


def is_whole(tree: Tree, *, recursive: bool, part: str | None = None) -> bool:
    """Whether a plan of that part covers the whole tree."""
    root = tree.nodes[-1]
    return part in {None, root.path} and (recursive or not root.children)


def untrained(tree: Tree) -> list[str]:
    """Return the paths of the modules that have training, while no training has changed anything.

    What was changed on a module, or on any below it, counts as its state.
    """
    finder = WorkFinder((str(Kind.TRAIN),))
    has_state: list[bool] = []
    found = []
    for node, path in zip(tree.nodes, tree.paths(), strict=True):
        changed = bool(node.module._changed) or any(has_state[child] for child in node.children)
        has_state.append(changed)
        if not changed and finder.kinds_of(node.module):
            found.append(path)
    return found


def collect(
    tree: Tree, kinds: frozenset[Kind], *, recursive: bool = True, part: str | None = None
) -> Outline:
    """Return what the plan needs of the modules that it covers, children first."""
    paths, nodes = tree.paths(), tree.nodes
    serves = Kind.DEPLOY in kinds and is_whole(tree, recursive=recursive, part=part)
    all_work = WorkFinder(map(str, kinds))
    unserved = all_work if serves else WorkFinder(map(str, kinds - {Kind.DEPLOY}))
    covered = _covered(tree, part, recursive=recursive)
    if covered is not None:
        place = {index: number for number, index in enumerate(covered)}
        paths = [paths[index] for index in covered]
        nodes = [nodes[index] for index in covered]
    children: list[tuple[int, ...]] = [node.children for node in nodes]
    if covered is not None:
        children = [tuple([place[c] for c in below if c in place]) for below in children]
    needs = ((place, task_needs(node.module)) for place, node in enumerate(nodes))
    return Outline(
        paths=paths,
        children=children,
        kinds=[
            (unserved if node.module.serves else all_work).kinds_of(node.module) for node in nodes
        ],
        services=_services(tree, paths) if serves else {},
        needs={place: by_kind for place, by_kind in needs if by_kind},
    )


def _services(tree: Tree, paths: Sequence[str]) -> dict[int, Service]:
    """Return the services of a whole tree by the places of their modules."""
    served = [place for place, node in enumerate(tree.nodes) if node.module.serves]
    loads = {paths[place]: tree.loaded_by(paths[place]) for place in served}
    callers = _callers(tree, loads)
    return {
        place: _service(tree.nodes[place], loads[paths[place]], callers[paths[place]])
        for place in served
    }


def _covered(tree: Tree, part: str | None, *, recursive: bool) -> list[int] | None:
    """Return the indexes of the nodes that a plan covers, children first; None for all."""
    if part is None and recursive:
        return None
    last = len(tree.nodes) - 1
    above = last if part is None else next(i for i, n in enumerate(tree.nodes) if n.path == part)
    below = {above}
    stack = [above] if recursive else []
    while stack:
        for child in tree.nodes[stack.pop()].children:
            if child not in below:
                below.add(child)
                stack.append(child)
    return sorted(below)


def _callers(tree: Tree, loads: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return, by the path of a served module, the served modules whose replicas call it."""
    callers: dict[str, list[str]] = defaultdict(list)
    if not loads:
        return callers
    by_path = {node.path: node for node in tree.nodes}
    for path, held in loads.items():
        below = (tree.nodes[index] for each in held for index in by_path[each].children)
        for called in dict.fromkeys(node.path for node in below if node.module.serves):
            callers[called].append(path)
    return callers


def _service(node: TreeNode, loads: Sequence[str], callers: Sequence[str]) -> Service:
    options = cast("Any", node.module)  # a ServerModule: the tree's contract says only `serves`
    bounds = getattr(options, "bounds", None)
    return Service(
        path=loads[-1],  # children stand first
        wanted=int(options.replicas) if bounds is None else bounds.first,
        parents=tuple(callers),
        loads=tuple(loads),
        port=options.port,
        resources=dict(options.resources or {}),
        env=dict(options.env or {}),
        startup_timeout=float(options.startup_timeout),
        repeatable=bool(options.repeatable),
        exclusive=bool(options.exclusive),
        # What isn't a ServerModule has no limits of its own.
        call_timeout=getattr(options, "call_timeout", None),
        ping_timeout=float(getattr(options, "ping_timeout", PING_TIMEOUT_S)),
        is_foreign=isinstance(node.module, CommandModule),
        bounds=bounds,
    )


def refuse_untrained(tree: Tree) -> None:
    """Raise PlanError when modules would be served whose training has never run."""
    missing = untrained(tree)
    if missing:
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise PlanError(
            f"{tree.name} would be served untrained: {', '.join(missing[:10])}{more} have training"
            " and no state; deploy with train too (`--kinds train,deploy`)"
        )
