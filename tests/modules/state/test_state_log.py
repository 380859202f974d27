"""What a task changes arrives in another copy of the tree, and nothing else does."""

from __future__ import annotations

import contextlib
import copy
import pickle
import threading
from typing import Any

import msgpack
import numpy as np
import pytest

from rootward.modules import ModuleBase
from rootward.modules.errors import NotPortable, StateTooLarge
from rootward.modules.state import entries, state_log, trees
from rootward.modules.tree import Tree

LIMIT = 1 << 20


class Member(ModuleBase):
    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.weights: list[int] = []
        self.score = 0.0


class Ensemble(ModuleBase):
    def __init__(self) -> None:
        super().__init__(name="ensemble")
        self.members = [Member("a"), Member("b")]
        self.best: Member | None = None
        self.notes: dict[str, int] = {"kept": 1}


def twins() -> tuple[Tree, Tree]:
    tree = Tree(Ensemble(), "ensemble")
    return tree, trees.unpack(trees.pack(tree))


def carry(source: Tree, path: str, change: Any, target: Tree) -> list[bytes]:
    with state_log.Recorder(source, path, LIMIT) as recorder:
        change(source.module_at(path))
    for entry in recorder.changes():
        state_log.apply(target, entry)
    return recorder.changes()


def test_set_replaced_mutated_and_deleted_attributes_of_the_own_module_arrive() -> None:
    source, target = twins()

    def change(member: Any) -> None:
        member.weights.append(3)
        member.score = 0.5
        member.extra = (1, 2)

    carry(source, "ensemble/a", change, target)
    member: Any = target.module_at("ensemble/a")
    assert (member.weights, member.score, member.extra) == ([3], 0.5, (1, 2))

    carry(source, "ensemble/a", lambda member: delattr(member, "extra"), target)
    assert not hasattr(member, "extra")


def test_an_alias_stays_the_same_object() -> None:
    source, target = twins()
    carry(source, "ensemble", lambda root: setattr(root, "best", root.members[1]), target)
    root: Any = target.root
    assert root.best is root.members[1]
    assert root.best is target.module_at("ensemble/b")


def test_what_is_set_on_another_module_arrives() -> None:
    source, target = twins()
    carry(source, "ensemble/a", lambda _: setattr(source.root, "notes", {"from": 1}), target)
    root: Any = target.root
    assert root.notes == {"from": 1}


def test_a_task_that_changes_nothing_makes_no_entry() -> None:
    source, target = twins()
    assert carry(source, "ensemble", lambda root: list(root.members), target) == []


def test_the_same_value_set_again_on_the_own_module_makes_no_entry() -> None:
    source, target = twins()
    assert carry(source, "ensemble/a", lambda m: setattr(m, "weights", []), target) == []


@pytest.mark.parametrize(
    ("before", "after"), [(0.0, -0.0), (1, True), (1, 1.0), ("", None), (1, 1 << 70), ([], 0)]
)
def test_values_that_are_equal_but_not_the_same_are_changes(before: object, after: object) -> None:
    source, target = twins()
    for tree in (source, target):
        vars(tree.module_at("ensemble/a"))["score"] = before

    def change(module: Any) -> None:
        module.score = after

    assert len(carry(source, "ensemble/a", change, target)) == 1
    score: Any = vars(target.module_at("ensemble/a"))["score"]
    assert (type(score), repr(score)) == (type(after), repr(after))


def test_a_failed_task_records_nothing_and_stops_watching() -> None:
    source, _ = twins()
    recorder = state_log.Recorder(source, "ensemble", LIMIT)

    def task() -> None:
        with recorder:
            source.root.broken = 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        task()
    source.root.later = 1
    assert recorder.changes() == []


def test_what_cannot_travel_is_named() -> None:
    source, _ = twins()
    with (
        pytest.raises(NotPortable, match=r"ensemble/a.*lock|lock.*ensemble/a"),
        state_log.Recorder(source, "ensemble/a", LIMIT),
    ):
        source.module_at("ensemble/a").lock = threading.Lock()


def test_local_attributes_stay_where_they_are() -> None:
    class Held(ModuleBase):
        local_attributes = ("lock",)

    root = Held(name="held")
    tree = Tree(root, "held")
    with state_log.Recorder(tree, "held", LIMIT) as recorder:
        root.lock = threading.Lock()
    assert recorder.changes() == []
    assert "lock" not in vars(trees.unpack(trees.pack(tree)).root)


def test_an_untouched_attribute_that_cannot_travel_is_no_error() -> None:
    source, _ = twins()
    source.root.lock = threading.Lock()
    with state_log.Recorder(source, "ensemble", LIMIT) as recorder:
        source.root.other = 1
    assert len(recorder.changes()) == 1


HELD = {
    "an item is added": lambda root: root.members.append(root.members[0]),
    "items change places": lambda root: root.members.reverse(),
    "an item is replaced": lambda root: root.members.__setitem__(0, root),
    "a number becomes a truth": lambda root: root.counts.__setitem__(0, True),
    "a key is replaced": lambda root: root.notes.update({"new": root.notes.pop("kept")}),
    "a value is replaced": lambda root: root.notes.update(kept=2),
    "what is in an item changes": lambda root: root.nested[0].append(1),
    "it is of another type": lambda root: setattr(root, "counts", (1, 2.5)),
}


@pytest.mark.parametrize("how", HELD)
def test_a_container_that_was_mutated_in_place_arrives(how: str) -> None:
    source, target = twins()
    for tree in (source, target):
        vars(tree.root).update(counts=[1, 2.5], nested=[[]])
    assert len(carry(source, "ensemble", HELD[how], target)) == 1

    def shown(tree: Tree) -> list[str]:
        root: Any = tree.root
        members = [tree.path_of(member) for member in root.members]
        return list(map(repr, (members, root.counts, root.nested, root.notes)))

    assert shown(source) == shown(target)


def test_a_container_of_equal_items_makes_no_entry() -> None:
    source, target = twins()
    vars(source.root)["counts"] = [2.5, float("nan"), "text"]

    def change(root: Any) -> None:
        root.members = root.members[:]
        root.counts[:] = [float("2.5"), float("nan"), "te" + "xt"[:2]]
        root.notes = dict(root.notes)

    assert carry(source, "ensemble", change, target) == []


class Trained(ModuleBase):
    """Holds arrays, or whatever stands for them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(name="trained")
        vars(self).update(attributes)


def trained(**attributes: Any) -> tuple[Tree, Tree]:
    tree = Tree(Trained(**attributes), "trained")
    return tree, trees.unpack(trees.pack(tree))


@pytest.mark.parametrize("value", [np.arange(3.0), [1, 2], {"x": 1}, {1, 2}, bytearray(b"ab")])
def test_two_names_of_one_object_stay_two_names_of_one(value: Any) -> None:
    source, target = trained()

    def change(module: Any) -> None:
        module.a = value
        module.b = module.a
        module.held = [1, {"x": (value,)}]

    assert len(carry(source, "trained", change, target)) == 1
    module: Any = target.root
    assert module.b is module.a
    assert module.held[1]["x"][0] is module.a
    assert repr(module.a) == repr(value)


@pytest.mark.parametrize("value", [np.arange(3.0), [1, 2]])
def test_a_new_name_of_what_was_there_before_is_a_name_of_the_same_object(value: Any) -> None:
    source, target = trained(a=value, apart=[5])
    carry(source, "trained", lambda module: setattr(module, "b", module.a), target)
    module: Any = target.root
    apart = module.apart
    assert module.b is module.a
    carry(source, "trained", lambda module: module.b.__setitem__(0, 7), target)
    assert module.b is module.a
    assert module.a[0] == 7
    assert module.apart is apart


def test_an_equal_value_that_is_shared_from_now_on_is_a_change() -> None:
    source, target = trained(a=[1], b=[1])
    carry(source, "trained", lambda module: setattr(module, "b", module.a), target)
    module: Any = target.root
    assert module.a is module.b


def test_an_equal_value_that_is_no_longer_shared_is_a_change() -> None:
    one = [1]
    source, target = trained(a=one, b=one)
    carry(source, "trained", lambda module: setattr(module, "b", [1]), target)
    module: Any = target.root
    assert module.a == module.b == [1]
    assert module.a is not module.b


def test_what_one_task_puts_into_two_modules_is_one_object() -> None:
    source, target = twins()

    def change(root: Any) -> None:
        root.shared = np.arange(2)
        root.members[0].weights = root.members[1].weights = root.shared

    carry(source, "ensemble", change, target)
    root: Any = target.root
    assert root.members[0].weights is root.members[1].weights is root.shared


class Box:
    """Holds something where only a pickler looks."""

    def __init__(self, inside: Any) -> None:
        self.inside = inside


def test_what_an_object_holds_is_shared_too_and_the_rest_stays_plain() -> None:
    source, target = trained()

    def change(module: Any) -> None:
        module.held, module.apart = [1], [2]
        module.box = Box(module.held)

    (entry,) = carry(source, "trained", change, target)
    module: Any = target.root
    assert module.box.inside is module.held
    assert entries.plain_values(entry, ("held", "apart")) == [("trained", {"apart": [2]})]


def test_values_that_share_nothing_are_written_without_a_pickle() -> None:
    source, target = twins()

    def change(member: Any) -> None:
        member.weights = [[1, 2], [3, (4, {5})]]
        member.extra = {"a": {"b": [None]}}

    (entry,) = carry(source, "ensemble/a", change, target)
    assert b"cloudpickle" not in entry
    assert msgpack.unpackb(entry)[1] is None


class Slotted(ModuleBase):
    """Keeps its attributes in slots, one of them private."""

    __slots__ = ("__secret", "empty", "m", "weights")

    def __init__(self) -> None:
        super().__init__(name="slotted")
        self.weights = [1]
        self.m = Member("inner")
        self.__secret = 1
        self.ordinary = 1

    def change(self) -> None:
        self.weights.append(2)
        self.__secret = 2
        self.ordinary = 2


def test_attributes_in_slots_are_attributes_like_any_other() -> None:
    source = Tree(Slotted(), "slotted")
    target = trees.unpack(trees.pack(source))
    assert source.paths() == target.paths() == ["slotted/inner", "slotted"]
    carry(source, "slotted", lambda module: module.change(), target)
    module: Any = target.root
    assert vars(module).keys() == {"name", "ordinary"}
    assert (module.weights, module._Slotted__secret, module.ordinary) == ([1, 2], 2, 2)
    assert source.root.state_dict().keys() == {"weights", "_Slotted__secret", "ordinary"}
    carry(source, "slotted", lambda module: delattr(module, "weights"), target)
    assert not hasattr(module, "weights")
    for copied in (copy.copy(source.root), pickle.loads(pickle.dumps(source.root))):
        assert (copied._Slotted__secret, copied.ordinary) == (2, 2)


@pytest.mark.parametrize("value", [1 << 63, 1 << 64, -(1 << 63), -(1 << 80), "\udc80", b"\xff"])
def test_plain_values_of_any_size_and_text_arrive(value: object) -> None:
    source, target = twins()
    carry(source, "ensemble/a", lambda member: setattr(member, "extra", value), target)
    assert vars(target.module_at("ensemble/a"))["extra"] == value


def test_a_state_over_the_limit_says_what_to_do() -> None:
    source, _ = twins()
    with (
        pytest.raises(StateTooLarge, match="shared storage"),
        state_log.Recorder(source, "ensemble/a", 1_000),
    ):
        source.module_at("ensemble/a").blob = b"x" * 2_000


@pytest.mark.parametrize(("length", "is_allowed"), [(997, True), (998, False)])
def test_the_limit_counts_the_values_alone(length: int, is_allowed: bool) -> None:
    source, _ = twins()
    recorder = state_log.Recorder(source, "ensemble/a", 1_000)
    with contextlib.nullcontext() if is_allowed else pytest.raises(StateTooLarge), recorder:
        source.module_at("ensemble/a").text = "x" * length
    assert len(recorder.changes()) == is_allowed


def test_a_local_run_records_names_without_needing_portable_values() -> None:
    source, _ = twins()
    with state_log.Recorder(source, "ensemble/a", None):
        source.module_at("ensemble/a").lock = threading.Lock()
    assert list(source.root.state_dict()) == ["a.lock"]


def test_state_dict_holds_what_tasks_changed_and_loads_into_a_fresh_tree() -> None:
    source, target = twins()
    with state_log.Recorder(source, "ensemble/a", LIMIT):
        source.module_at("ensemble/a").score = 0.75
    with state_log.Recorder(source, "ensemble", LIMIT):
        source.root.notes = {"x": 1}
    states = source.root.state_dict()
    assert states == {"notes": {"x": 1}, "a.score": 0.75}
    target.root.load_state_dict(states)
    fresh: Any = target.root
    assert (fresh.notes, fresh.members[0].score) == ({"x": 1}, 0.75)
    assert target.root.state_dict() == states


def test_loading_a_state_of_another_shape_changes_nothing() -> None:
    source, _ = twins()
    with pytest.raises(KeyError, match="nobody"):
        source.root.load_state_dict({"notes": {}, "nobody.score": 1})
    root: Any = source.root
    assert root.notes == {"kept": 1}
