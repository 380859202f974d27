"""What tasks need is asked of their modules, checked, and said where the plan is shown."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from rootward.modules import ModuleBase, ServerModule
from rootward.modules.tree import Tree
from rootward.orchestrator.planning.collect import plan_tree
from rootward.orchestrator.planning.plan import Plan


class Trained(ModuleBase):
    task_resources: ClassVar[Any] = {"train": {"gpu": 1, "memory": 0}, "eval": {"gpu": 0.5}}

    def _get_train_tasks(self) -> Any:
        return lambda: None


def plan_of(module: ModuleBase) -> Plan:
    return plan_tree(Tree(module, "app"))


def test_tasks_that_exist_need_what_their_class_says() -> None:
    plan = plan_of(Trained())
    assert plan.needs_of_tasks() == {"train:app": {"gpu": 1.0}}
    assert Plan.from_bytes(plan.to_bytes()).needs_of_tasks() == plan.needs_of_tasks()
    assert "app  train (gpu=1)" in str(plan)


def test_what_replicas_need_is_needed_by_the_tasks_that_start_them() -> None:
    plan = plan_of(ServerModule(Trained(), resources={"gpu": 2}))
    needs = plan.needs_of_tasks()
    assert needs["deploy:app"] == needs["prepare:app"] == {"gpu": 2.0}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"deploy": {"gpu": 1}}, ("Trained", "'deploy'", "train, eval")),
        ({"train": {"gpu": -1}}, ("Trained", "train", "gpu", "-1")),
        ({"train": {"gpu": "two"}}, ("train", "gpu", "'two'")),
        ({"train": {"9": 1}}, ("train", "'9'")),
        ({"train": 3}, ("train", "dict", "3")),
        ([("train", 1)], ("Trained", "dict")),
    ],
)
def test_wrong_needs_are_errors_that_name_class_kind_and_value(
    given: Any, words: tuple[str, ...]
) -> None:
    module = Trained()
    vars(module)["task_resources"] = given
    with pytest.raises((TypeError, ValueError)) as error:
        plan_of(module)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("resources", [{"gpu": -1}, {"gpu": float("nan")}, {"a b": 1}, [1], 3])
def test_a_server_module_refuses_wrong_resources(resources: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="resources of a ServerModule"):
        ServerModule(Trained(), resources=resources)
