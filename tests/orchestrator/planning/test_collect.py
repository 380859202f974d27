"""Reading a tree: whose work it is, what a replica loads, who calls whom."""

from __future__ import annotations

import pytest

from rootward.modules.errors import CycleError, TaskGetterError
from rootward.modules.module import ModuleBase
from rootward.modules.server import ServerModule
from rootward.modules.tree import Tree
from rootward.orchestrator.errors import PlanError
from rootward.orchestrator.planning.collect import is_whole, plan_tree
from rootward.orchestrator.planning.definition import Definition


class Part(ModuleBase):
    """A module that trains, with any children."""

    def __init__(self, *children: ModuleBase, name: str | None = None) -> None:
        super().__init__(name=name)
        self.children = list(children)

    def _get_train_tasks(self) -> object:
        return [lambda: None]


class Broken(ModuleBase):
    """A module whose getter returns something that can't be run."""

    def _get_deploy_tasks(self) -> object:
        return "nonsense"


def served_pair() -> Tree:
    """Return r, served, which holds a plain module that holds a served one."""
    inner = ServerModule(Part(name="leaf"), name="inner", replicas=2)
    return Tree(ServerModule(Part(inner, name="middle"), name="outer"), "r")


def test_services_know_what_they_load_and_who_calls_them() -> None:
    """A replica loads what is below it up to the next served module."""
    outer, inner = reversed(plan_tree(served_pair()).services)
    assert outer.path == "r"
    assert inner.path == "r/middle/inner"
    assert set(outer.loads) == {"r", "r/middle"}
    assert set(inner.loads) == {"r/middle/inner", "r/middle/inner/leaf"}
    assert (outer.parents, inner.parents) == ((), ("r",))
    assert (outer.wanted, inner.wanted) == (1, 2)


def test_a_service_is_found_by_its_path_with_what_it_is_started_with() -> None:
    inner = ServerModule(Part(name="leaf"), name="inner", env={"A": "b"}, resources={"gpu": 1})
    plan = plan_tree(Tree(ServerModule(Part(inner, name="middle"), name="outer"), "r"))
    found, outer = plan.service("r/middle/inner"), plan.service("r")
    assert found is not None
    assert outer is not None
    assert (found.path, dict(found.env), dict(found.resources)) == (
        "r/middle/inner",
        {"A": "b"},
        {"gpu": 1},
    )
    assert (outer.path, dict(outer.env), dict(outer.resources)) == ("r", {}, {})
    assert plan.service("r/middle") is None


def test_prepare_waits_only_for_the_trains_that_its_replica_loads() -> None:
    """The outer replica doesn't load what the inner one serves."""
    plan = plan_tree(served_pair())
    assert plan.task("prepare:r").after == ("train:r/middle",)
    assert plan.task("prepare:r/middle/inner").after == ("train:r/middle/inner/leaf",)
    assert plan.task("deploy:r").after == ("join:train", "deploy:r/middle/inner")


def test_a_shared_module_has_its_tasks_once() -> None:
    """A diamond is four modules."""
    shared = Part(name="shared")
    tree = Tree(Part(Part(shared, name="a"), Part(shared, name="b")), "r")
    plan = plan_tree(tree)
    assert [t.id for t in plan.tasks] == ["train:r/a/shared", "train:r/a", "train:r/b", "train:r"]
    assert plan.task("train:r/b").after == ("train:r/a/shared",)


def test_work_that_one_object_alone_has_is_planned() -> None:
    """Its class has none, and other objects of the class were seen before."""
    plain, trained, evaluated = (ModuleBase(name=name) for name in ("a", "b", "c"))
    trained._get_train_tasks = lambda: print  # type: ignore[method-assign]
    evaluated.evalset([1])
    plan = plan_tree(Tree(Part(plain, trained, evaluated, name="root"), "r"))
    assert [task.id for task in plan.tasks] == ["train:r/b", "train:r", "join:train", "eval:r/c"]


class Chooser(ModuleBase):
    """A module whose getter returns what it was given."""

    def __init__(self, tasks: object) -> None:
        super().__init__()
        self.tasks = tasks

    def _get_train_tasks(self) -> object:
        return self.tasks


@pytest.mark.parametrize(
    ("tasks", "has_work"),
    [(None, False), ([], False), ((), False), (print, True), ([print], True), (Part().stop, True)],
)
def test_work_is_what_a_getter_returns(tasks: object, has_work: bool) -> None:
    """Nothing, an empty list, a callable of any kind, a list of some."""
    assert bool(plan_tree(Tree(Chooser(tasks), "r")).tasks) is has_work


def test_a_getter_that_returns_something_else_is_an_error() -> None:
    """Before anything is stored."""
    with pytest.raises(TaskGetterError, match="Broken"):
        plan_tree(Tree(Part(Broken()), "r"))


def test_a_cycle_is_an_error_that_names_its_modules() -> None:
    """A module can't wait for itself."""
    first = Part(name="first")
    second = Part(first, name="second")
    first.children.append(second)
    with pytest.raises(CycleError, match="second"):
        Definition.of(first)


def test_only_a_whole_tree_is_served() -> None:
    """A part has neither services nor tasks that would start one."""
    tree = served_pair()
    root = plan_tree(tree, recursive=False)
    part = plan_tree(tree, part="r/middle/inner")
    assert (root.tasks, root.services, part.services) == ((), (), ())
    assert [task.id for task in part.tasks] == ["train:r/middle/inner/leaf"]
    assert not is_whole(tree, recursive=False)
    assert is_whole(Tree(ServerModule(len), "r"), recursive=False)


@pytest.mark.parametrize(
    ("part", "recursive", "trained"),
    [
        ("r/left", True, ["r/left/a", "r/left"]),
        ("r/right", True, ["r/right/b", "r/right"]),
        ("r/right", False, ["r/right"]),
        (None, False, ["r"]),
    ],
)
def test_a_part_is_what_its_path_names(
    part: str | None, recursive: bool, trained: list[str]
) -> None:
    left = Part(Part(name="a"), name="left")
    right = Part(Part(name="b"), name="right")
    tree = Tree(Part(left, right, name="root"), "r")
    plan = plan_tree(tree, part=part, recursive=recursive)
    tasks = [task.id for task in plan.tasks if task.id.startswith("train:")]
    assert tasks == [f"train:{path}" for path in trained]


def test_a_live_tree_cannot_go_by_reference() -> None:
    """There is nothing to import."""
    with pytest.raises(PlanError, match="TARGET"):
        Definition.of(Part(), by_value=False)
