"""Reading a tree: which module has which work, what a replica of it holds, who calls whom.

This is the one place where a plan's makers look at module objects. Every task getter is asked once,
so that one which returns something else is an error before anything is stored; what the getters
return is run elsewhere. `plan` makes tasks and edges of what is read here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, cast

from modules.module import ModuleBase, has_work
from modules.tree import Tree

from .plan import ALL_KINDS, Kind, Plan, PlannedModule, Service, make_plan, parse_kinds


def plan_tree(tree: Tree, kinds: Iterable[str] = ALL_KINDS, *, recursive: bool = True) -> Plan:
    """Return the plan of the tree, or of its root alone when not `recursive`.

    Raises TaskGetterError for a getter that returns something else, and PlanError for a kind that
    doesn't exist.
    """
    asked = parse_kinds(kinds)
    return make_plan(tree.name, collect(tree, asked, recursive=recursive), asked)


def collect(
    tree: Tree, kinds: frozenset[Kind], *, recursive: bool = True
) -> tuple[PlannedModule, ...]:
    """Return what the plan needs of each module, children first."""
    nodes = tree.nodes
    if not recursive:
        root = nodes[-1]
        work = _work(root.module, kinds)
        return (PlannedModule(path=root.path, kinds=work, service=_service(tree, root.path, ())),)
    parents = _callers(tree) if Kind.DEPLOY in kinds else {}
    return tuple(
        PlannedModule(
            path=node.path,
            children=node.children,
            kinds=_work(node.module, kinds),
            service=_service(tree, node.path, tuple(parents.get(node.path, ()))),
        )
        for node in nodes
    )


def _work(module: ModuleBase, kinds: frozenset[Kind]) -> frozenset[str]:
    return frozenset(str(kind) for kind in kinds if has_work(module, str(kind)))


def _callers(tree: Tree) -> dict[str, list[str]]:
    """Return, by the path of a served module, the served modules whose replicas call it."""
    callers: dict[str, list[str]] = defaultdict(list)
    for node in tree.nodes:
        if not node.module.serves:
            continue
        seen: set[str] = set()
        for held in tree.loaded_by(node.path):
            for index in tree.by_path[held].children:
                below = tree.nodes[index]
                if below.module.serves and below.path not in seen:
                    seen.add(below.path)
                    callers[below.path].append(node.path)
    return callers


def _service(tree: Tree, path: str, parents: tuple[str, ...]) -> Service | None:
    module = tree.by_path[path].module
    if not module.serves:
        return None
    options = cast(Any, module)  # a ServerModule: the tree's contract says no more than `serves`
    return Service(
        path=path,
        wanted=int(options.replicas),
        parents=parents,
        loads=tuple(tree.loaded_by(path)),
        port=options.port,
        resources=dict(options.resources or {}),
        env=dict(options.env or {}),
        startup_timeout=float(options.startup_timeout),
        repeatable=bool(options.repeatable),
        exclusive=bool(options.exclusive),
    )
