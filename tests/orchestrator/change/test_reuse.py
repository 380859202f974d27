"""What of an earlier generation holds for an edited tree: pure, over two records."""

from __future__ import annotations

import msgpack
import pytest

from rootward.modules.identity.changes import changes
from rootward.modules.identity.record import ModuleIdentity, TreeIdentity
from rootward.orchestrator.change.reuse import (
    holding_tasks,
    is_nothing_to_do,
    reusable,
    trained_before,
)
from rootward.orchestrator.errors import PlanError
from rootward.orchestrator.planning.carried import Trained
from rootward.orchestrator.planning.planner import Outline, make_plan

EVERYTHING = frozenset({"train", "eval"})
# `r` loads `plain` and calls the served `far`.
PLAN = make_plan(
    "r",
    Outline(
        paths=["r/plain", "r/far", "r"],
        children=[(), (), (0, 1)],
        kinds=[EVERYTHING, EVERYTHING, frozenset({"eval"})],
    ),
    ("train", "eval"),
)


def record(plain: str = "1", far: str = "1") -> TreeIdentity:
    """Return the identity of the tree with this code of two of its modules."""
    return TreeIdentity(
        modules={
            "r/plain": ModuleIdentity(cls="app.Plain", uses=("app.Plain",)),
            "r/far": ModuleIdentity(cls="app.Far", uses=("app.Far",)),
            "r": ModuleIdentity(cls="app.Top", holds=("r/plain",), calls=("r/far",)),
        },
        code={"app.Plain": plain, "app.Far": far},
    )


def trained(*tasks: str) -> Trained:
    """Return a generation in which these tasks have succeeded, without any state."""
    return Trained(id="r@1", generation=1, succeeded=frozenset(tasks), entries=())


ALL = [id_ for id_ in PLAN.ids if not id_.startswith("join:")]


def test_an_evaluation_holds_only_when_nothing_that_is_reached_has_changed() -> None:
    """A training also when a served child is another."""
    found = holding_tasks(PLAN, changes(record(), record(far="2")))
    assert found == {"train:r/plain", "eval:r/plain"}
    found = holding_tasks(PLAN, changes(record(), record(plain="2")))
    assert found == {"train:r/far", "eval:r/far"}
    assert holding_tasks(PLAN, changes(record(), record())) == set(ALL)


def test_nothing_is_to_be_done_when_all_of_it_has_been_done() -> None:
    """And not when an evaluation is asked for that has never run."""
    same = changes(record(), record())
    assert is_nothing_to_do(PLAN, same, ALL)
    assert not is_nothing_to_do(PLAN, same, [id_ for id_ in ALL if id_ != "eval:r"])
    assert not is_nothing_to_do(PLAN, changes(record(), record(far="2")), ALL)


def test_evaluations_run_again_when_anything_is_trained_again() -> None:
    """They measure what they were not trained with."""
    taken = reusable(PLAN, trained(*ALL), record(), record(far="2"))
    assert taken is not None
    assert taken.tasks == {"train:r/plain"}
    assert taken.source == 1
    both = record(plain="2", far="2")
    assert reusable(PLAN, trained(*ALL), record(), both) is None


def test_training_that_does_not_fit_is_refused_by_name() -> None:
    """By the code of the module, by what has succeeded, and without a record."""
    taken = trained_before(PLAN, trained(*ALL), record(), record())
    assert taken.tasks == {"train:r/plain", "train:r/far"}
    with pytest.raises(PlanError, match=r"untrained: r/far \(its code is another than that of r@1"):
        trained_before(PLAN, trained(*ALL), record(), record(far="2"))
    with pytest.raises(PlanError, match=r"r/plain \(it has not succeeded in r@1\)"):
        trained_before(PLAN, trained("train:r/far"), record(), record())
    with pytest.raises(PlanError, match="r@1 has no record"):
        trained_before(PLAN, trained(*ALL), None, record())


def test_a_record_comes_back_as_it_was_and_nothing_else_is_taken_for_one() -> None:
    """Deep trees stay small: a path is its parent and its own part."""
    from rootward.modules.errors import CodecError

    made = record()
    assert TreeIdentity.from_bytes(made.to_bytes()) == made
    for bad in (b"", b"x", made.to_bytes()[:-1], msgpack.packb({"v": 1})):
        with pytest.raises(CodecError):
            TreeIdentity.from_bytes(bad)
