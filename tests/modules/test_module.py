"""A module finds its submodules, asks its getters rightly, and stays an ordinary Python object."""

from __future__ import annotations

import copy
import pickle
import threading
import tracemalloc
from typing import Any

import pytest

from rootward.modules import ActionModule, ModuleBase, bind, parallel, pipeline
from rootward.modules.errors import TaskGetterError
from rootward.modules.runtime import attach
from rootward.modules.tasks import has_work, tasks_of
from rootward.modules.tree import Tree


class Part(ModuleBase):
    def forward(self, value: Any = None) -> Any:
        return value


class Whole(ModuleBase):
    def __init__(self, **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


def test_attributes_lists_tuples_dicts_and_flows_hold_submodules_in_order() -> None:
    a, b, c, d, e, f = (Part(name=letter) for letter in "abcdef")
    whole = Whole(one=a, several=[b, (c,)], named={"d": d, "deep": [{"e": e}]}, flow=pipeline(f))
    assert whole.submodules == [a, b, c, d, e, f]


def test_a_module_held_twice_is_one_submodule() -> None:
    part = Part()
    assert Whole(first=part, again=[part]).submodules == [part]


def test_replaced_deleted_and_mutated_attributes_are_seen() -> None:
    old, new, more = Part(name="old"), Part(name="new"), Part(name="more")
    whole = Whole(part=old, parts=[])
    whole.part = new
    whole.parts.append(more)
    assert whole.submodules == [new, more]
    del whole.part
    assert whole.submodules == [more]


def test_a_list_that_holds_itself_ends() -> None:
    circle: list[Any] = [Part()]
    circle.append(circle)
    assert len(Whole(circle=circle).submodules) == 1


def test_a_deeply_nested_list_is_searched_without_recursion() -> None:
    part = Part()
    nested: Any = part
    for _ in range(20_000):
        nested = [nested]
    assert Whole(nested=nested).submodules == [part]


def test_submodules_show_their_own_lines() -> None:
    whole = Whole(a=Part(name="a"), b=Whole(c=Part(name="c")))
    assert repr(whole.submodules) == "[<Module type=Part name=a>, <Module type=Whole>]"


def test_a_class_that_forgets_super_init_works() -> None:
    class Forgetful(ModuleBase):
        def __init__(self) -> None:
            self.part = Part(name="kept")

    module = Forgetful()
    assert (module.name, module.return_trace, module.eval_result) == (None, False, None)
    assert repr(module) == "<Module type=Forgetful>\n└- <Module type=Part name=kept>"


def test_a_users_own_attributes_are_the_users() -> None:
    class Own(ModuleBase):
        def __init__(self) -> None:
            super().__init__(return_trace=True)
            self.return_trace = "mine"
            self.name = "mine"

    assert vars(Own()) == {"return_trace": "mine", "name": "mine"}


def test_a_call_without_forward_names_the_class() -> None:
    with pytest.raises(NotImplementedError, match="Whole"):
        Whole()(1)


@pytest.mark.parametrize("kind", ["train", "deploy", "eval"])
def test_a_module_without_getters_has_no_work(kind: str) -> None:
    assert tasks_of(Part(), kind) is None
    assert not has_work(Part(), kind)


def with_tasks(tasks: Any) -> ModuleBase:
    module = Part(name="worker")
    module._get_train_tasks = lambda: tasks  # type: ignore[method-assign]
    return module


def test_a_getter_may_return_a_flow_a_function_or_a_list() -> None:
    flow = pipeline(print)
    assert tasks_of(with_tasks(flow), "train") == [flow]
    assert tasks_of(with_tasks([print, flow]), "train") == [print, flow]
    assert tasks_of(with_tasks(None), "train") is None
    assert tasks_of(with_tasks([]), "train") is None


@pytest.mark.parametrize("tasks", [3, "train", [print, 3], {"a": print}])
def test_a_getter_that_returns_something_else_is_named(tasks: Any) -> None:
    with pytest.raises(TaskGetterError, match=r"Part 'worker'.*_get_train_tasks"):
        tasks_of(with_tasks(tasks), "train")


def test_an_evalset_makes_eval_work_after_the_getters() -> None:
    class Judged(Part):
        def _get_eval_tasks(self) -> Any:
            return print

    module = Judged()
    module.evalset([1])
    tasks = tasks_of(module, "eval")
    assert tasks is not None
    assert (tasks[0], len(tasks)) == (print, 2)


def test_copies_and_pickles_leave_runtime_and_local_attributes_behind() -> None:
    module = LocalLock()
    attach(Tree(module, "somewhere"), None)
    assert module._runtime is not None
    assert module._runtime.path == "somewhere"
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert twin._runtime is None
        assert vars(twin) == {"value": [1]}


def test_a_deep_tree_is_attached_without_its_paths() -> None:
    """All of them together grow with the square of its depth."""
    module = ModuleBase()
    for _ in range(2000):
        above = ModuleBase()
        above.below = module  # type: ignore[attr-defined]
        module = above
    tree = Tree(module, "root")
    tracemalloc.start()
    try:
        attach(tree, None)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 1_000_000
    runtime = tree.nodes[0].module._runtime
    assert runtime is not None
    assert runtime.path == tree.nodes[0].path


class LocalLock(ModuleBase):
    local_attributes = ("lock",)

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.value = [1]


def test_a_class_beside_that_watches_attributes_sees_them() -> None:
    class Watching:
        def __setattr__(self, name: str, value: object) -> None:
            seen.append(name)
            super().__setattr__(name, value)

    class Both(ModuleBase, Watching):
        pass

    seen: list[str] = []
    Both(name="b").weight = 1
    assert seen == ["name", "weight"]


def test_an_action_holds_the_modules_of_its_flow_at_any_depth() -> None:
    a, b, c, d = (Part(name=letter) for letter in "abcd")
    action = ActionModule(a, parallel(b, pipeline(bind(c, 1), len)), bind(print, d))
    assert action.submodules == [a, b, c, d]


def test_an_action_runs_its_steps() -> None:
    action = ActionModule(lambda a, b=1: a + b, Part(), str, name="sum")
    assert action(2, b=3) == "5"
