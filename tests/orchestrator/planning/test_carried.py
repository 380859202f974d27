"""Which tasks of an earlier generation hold for a new one, and what waits for them."""

from __future__ import annotations

import pytest

from rootward.modules.module import ModuleBase
from rootward.modules.state import state_log
from rootward.modules.state.entries import origin_of
from rootward.modules.tree import Tree
from rootward.orchestrator.planning.carried import (
    CantTakeOver,
    Trained,
    barriers,
    take_over,
    untakeable,
)
from rootward.orchestrator.planning.collect import plan_tree


class Learns(ModuleBase):
    """A module that learns, and may teach another."""

    def __init__(self, name: str, *children: ModuleBase) -> None:
        super().__init__(name=name)
        self.children = list(children)
        self.teach = lambda: None

    def _get_train_tasks(self) -> object:
        return self.train

    def _get_eval_tasks(self) -> object:
        return self.train

    def train(self) -> None:
        self.weight = 1
        self.teach()


def family() -> tuple[Learns, Learns, Learns]:
    left, right = Learns("left"), Learns("right")
    return Learns("root", left, right), left, right


def trained(root: Learns, *, skip: str = "") -> Trained:
    """Run every training of a tree; return what that generation leaves."""
    tree = Tree(root, "root")
    entries: list[bytes] = []
    plan = plan_tree(tree, ("train", "eval"))
    for task in plan.tasks:
        if task.kind == "join" or task.id == skip:
            continue
        recorder = state_log.Recorder(tree, task.path or "", 1 << 20, str(task.kind))
        with recorder:
            recorder.module.train()
        entries += recorder.changes()
    done = frozenset(plan.ids) - {skip}
    return Trained(id="root@1", generation=1, succeeded=done, entries=entries)


def test_the_states_of_what_is_taken_are_carried_as_they_are_and_in_order() -> None:
    root, _, _ = family()
    earlier = trained(root)
    plan = plan_tree(Tree(root, "root"), ("train",))
    taken = take_over(plan, earlier, ["train:root/left", "train:root/right"])
    assert [origin_of(entry).writer for entry in taken.states] == [
        "train:root/left",
        "train:root/right",
    ]
    assert all(entry in earlier.entries for entry in taken.states)
    assert (taken.source, taken.tasks) == (1, {"train:root/left", "train:root/right"})


def test_a_training_above_one_that_runs_anew_is_refused() -> None:
    root, _, _ = family()
    plan = plan_tree(Tree(root, "root"), ("train",))
    refused = untakeable(plan, trained(root), ["train:root", "train:root/left"])
    assert refused == {"train:root": "train:root/right, which it builds on, runs anew"}
    with pytest.raises(CantTakeOver, match=r"root@1 can't be taken over: train:root: "):
        take_over(plan, trained(root), ["train:root", "train:root/left"])


def test_a_training_that_has_changed_a_module_that_is_trained_anew_is_refused() -> None:
    root, left, right = family()
    left.teach = lambda: setattr(right, "lesson", 1)
    plan = plan_tree(Tree(root, "root"), ("train",))
    refused = untakeable(plan, trained(root), ["train:root/left"])
    assert refused == {"train:root/left": "it has changed root/right, too, which is trained anew"}
    whole = ["train:root/left", "train:root/right"]
    assert take_over(plan, trained(root), whole).tasks == set(whole)


def test_a_training_that_has_changed_a_module_that_is_gone_is_refused() -> None:
    root, left, right = family()
    left.teach = lambda: setattr(right, "lesson", 1)
    earlier = trained(root)
    smaller = plan_tree(Tree(Learns("root", Learns("left")), "root"), ("train",))
    refused = untakeable(smaller, earlier, ["train:root/left"])
    assert refused == {"train:root/left": "it has changed root/right, which is gone"}


def test_what_has_not_succeeded_or_is_no_training_is_refused() -> None:
    root, _, _ = family()
    plan = plan_tree(Tree(root, "root"), ("train", "eval"))
    earlier = trained(root, skip="train:root/left")
    chosen = ["train:root/left", "join:train", "train:other"]
    assert untakeable(plan, earlier, chosen) == {
        "train:root/left": "it has not succeeded in root@1",
        "join:train": "it is no task whose states could be carried",
        "train:other": "it is no task whose states could be carried",
    }


def test_an_evaluation_holds_only_when_nothing_is_trained_anew() -> None:
    root, _, _ = family()
    plan = plan_tree(Tree(root, "root"), ("train", "eval"))
    assert set(untakeable(plan, trained(root), ["eval:root", "train:root/left"])) == {"eval:root"}
    carried = [id_ for id_ in plan.ids if not id_.startswith("join:")]
    assert untakeable(plan, trained(root), carried) == {}


def test_states_of_a_version_that_named_no_writer_are_refused() -> None:
    root, _, _ = family()
    tree = Tree(root, "root")
    with state_log.Recorder(tree, "root", 1 << 20) as recorder:
        root.train()
    earlier = Trained(
        id="root@1", generation=1, succeeded=frozenset({"train:root"}), entries=recorder.changes()
    )
    with pytest.raises(CantTakeOver, match="an older version of rootward"):
        take_over(plan_tree(tree, ("train",)), earlier, ["train:root"])


def test_dependants_wait_for_what_a_done_task_would_have_waited_for() -> None:
    after = [(), (0,), (1,), (1, 2)]
    assert barriers(after, [False, True, False, False]) == [(), (0,), (0,), (0, 2)]
    assert barriers(after, [True, True, False, False]) == [(), (), (), (2,)]
    assert barriers(after, [False] * 4) == after
