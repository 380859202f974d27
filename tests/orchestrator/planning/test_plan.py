"""Plans: which tasks, which edges, in which order, and how they are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rootward.orchestrator.errors import PlanError
from rootward.orchestrator.planning import planner as planning
from rootward.orchestrator.planning.graph import ALL_KINDS, Kind, Service
from rootward.orchestrator.planning.plan import Plan
from rootward.orchestrator.planning.planner import Outline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WORK = frozenset({"train", "deploy", "eval"})


class Planned(NamedTuple):
    """A module of an outline."""

    path: str
    children: tuple[int, ...]
    kinds: frozenset[str]
    service: Service | None


def module(
    path: str, *children: int, kinds: frozenset[str] = WORK, service: Service | None = None
) -> Planned:
    """Return a module with all kinds of work unless told otherwise."""
    return Planned(path, children, kinds, service)


def make_plan(name: str, modules: Sequence[Planned], kinds: Iterable[str] = ALL_KINDS) -> Plan:
    """Return the plan of modules that stand children first."""
    outline = Outline(
        paths=[each.path for each in modules],
        children=[each.children for each in modules],
        kinds=[each.kinds for each in modules],
        services={place: each.service for place, each in enumerate(modules) if each.service},
    )
    return planning.make_plan(name, outline, kinds)


def edges(plan: Plan) -> dict[str, set[str]]:
    """Return what each task waits for, by id."""
    return {task.id: set(task.after) for task in plan.tasks}


def family() -> list[Planned]:
    """Return a root with two children."""
    return [module("r/a"), module("r/b"), module("r", 0, 1)]


def test_edges_are_the_literal_rules() -> None:
    """Each kind follows the tree, and joins stand between kinds that both have tasks."""
    assert edges(make_plan("r", family())) == {
        "train:r/a": set(),
        "train:r/b": set(),
        "train:r": {"train:r/a", "train:r/b"},
        "join:train": {"train:r/a", "train:r/b", "train:r"},
        "deploy:r/a": {"join:train"},
        "deploy:r/b": {"join:train"},
        "deploy:r": {"join:train", "deploy:r/a", "deploy:r/b"},
        "join:deploy": {"deploy:r/a", "deploy:r/b", "deploy:r"},
        "eval:r/a": {"join:deploy"},
        "eval:r/b": {"join:deploy"},
        "eval:r": {"join:deploy", "eval:r/a", "eval:r/b"},
    }


def test_reduced_leaves_out_what_follows_from_other_edges() -> None:
    """Redis stores few edges."""
    assert make_plan("r", family(), ["train", "deploy"]).reduced() == {
        "train:r/a": (),
        "train:r/b": (),
        "train:r": ("train:r/a", "train:r/b"),
        "join:train": ("train:r",),
        "deploy:r/a": ("join:train",),
        "deploy:r/b": ("join:train",),
        "deploy:r": ("deploy:r/a", "deploy:r/b"),
    }


def test_edges_pass_through_modules_without_work() -> None:
    """A parent waits for its grandchildren when its child has nothing to do."""
    modules = [module("r/m/x"), module("r/m", 0, kinds=frozenset()), module("r", 1)]
    assert edges(make_plan("r", modules, ["train"])) == {
        "train:r/m/x": set(),
        "train:r": {"train:r/m/x"},
    }


def test_a_kind_without_tasks_has_no_join() -> None:
    """Train and eval meet directly when nothing is deployed."""
    modules = [module("r", kinds=frozenset({"train", "eval"}))]
    assert edges(make_plan("r", modules)) == {
        "train:r": set(),
        "join:train": {"train:r"},
        "eval:r": {"join:train"},
    }


def test_prepare_waits_for_the_trains_that_the_replica_loads_and_nothing_waits_for_it() -> None:
    """A replica warms up while its children are still being deployed."""
    service = Service(path="r", loads=("r", "r/a"))
    modules = [module("r/a"), module("r/b"), module("r", 0, 1, service=service)]
    plan = make_plan("r", modules)
    assert plan.task("prepare:r").after == ("train:r", "train:r/a")
    assert all("prepare:r" not in task.after for task in plan.tasks)
    assert plan.services == (service,)


def test_without_deploy_nothing_is_prepared_or_kept() -> None:
    """Only a deployment has services."""
    modules = [module("r", service=Service(path="r", loads=("r",)))]
    plan = make_plan("r", modules, ["train", "eval"])
    assert [task.id for task in plan.tasks] == ["train:r", "join:train", "eval:r"]
    assert plan.services == ()


@pytest.mark.parametrize("kinds", [["trian"], [], ["prepare"], ["join"]])
def test_an_unknown_kind_is_an_error_that_lists_the_known(kinds: list[str]) -> None:
    """A caller asks for train, deploy and eval; the rest follows."""
    with pytest.raises(PlanError, match="train, deploy, eval"):
        make_plan("r", [module("r")], kinds)


def test_two_modules_with_one_path_are_an_error() -> None:
    """Ids are unique."""
    with pytest.raises(PlanError, match="'r/a'"):
        make_plan("r", [module("r/a"), module("r/a"), module("r", 0, 1)])


def test_a_module_that_stands_before_one_that_it_holds_is_an_error() -> None:
    """Tasks are made in the order of the modules, children first."""
    with pytest.raises(PlanError, match="'r' stands before a module that it holds"):
        make_plan("r", [module("r", 1), module("r/a")])


def test_levels_start_each_task_as_early_as_it_may() -> None:
    """Siblings share a level."""
    levels = make_plan("r", family(), ["train", "deploy"]).levels()
    assert [[task.id for task in level] for level in levels] == [
        ["train:r/a", "train:r/b"],
        ["train:r"],
        ["join:train"],
        ["deploy:r/a", "deploy:r/b"],
        ["deploy:r"],
    ]


def test_critical_path_follows_the_given_durations() -> None:
    """The slowest chain decides."""
    plan = make_plan("r", family(), ["train", "deploy"])
    path = plan.critical_path({"train:r/b": 9.0, "deploy:r/a": 2.0})
    assert [task.id for task in path] == [
        "train:r/b",
        "train:r",
        "join:train",
        "deploy:r/a",
        "deploy:r",
    ]


def test_bytes_give_the_same_plan_back() -> None:
    """What is stored is read again."""
    service = Service(path="r", wanted=3, parents=("q",), port=80, resources={"gpu": 1.0})
    plan = make_plan("r", [module("r", service=service)])
    assert Plan.from_bytes(plan.to_bytes()) == plan


@pytest.mark.parametrize(
    "step",
    [
        ("dance", 0, ()),
        ("train", 1, ()),
        ("train", -1, ()),
        ("train", 0, (0,)),
        ("train", 0, (-1,)),
        ("train", 0),
    ],
)
def test_bytes_of_a_plan_that_cannot_be_are_an_error(step: Any) -> None:
    """Unknown kinds, modules that aren't there, tasks that wait for themselves."""
    data = Plan(deployment="r", modules=("r",), steps=(step,)).to_bytes()
    with pytest.raises(PlanError, match="submit again"):
        Plan.from_bytes(data)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b"\x81\xa1v\x09"])
def test_bytes_that_are_no_plan_are_an_error(data: bytes) -> None:
    """Rubbish says so."""
    with pytest.raises(PlanError):
        Plan.from_bytes(data)


def test_a_plan_of_another_version_says_which_is_read_here() -> None:
    """All else of it may look as it does now."""
    fields = msgpack.unpackb(make_plan("r", family()).to_bytes())
    with pytest.raises(PlanError, match=r"has version 999, and this rootward reads \d+"):
        Plan.from_bytes(msgpack.packb({**fields, "v": 999}))


def test_json_is_an_order_in_which_it_could_run() -> None:
    """The document of `plan --json`."""
    document = make_plan("r", [module("r", kinds=frozenset({"train", "deploy"}))]).to_json()
    assert document == {
        "deployment": "r",
        "tasks": [
            {"id": "train:r", "kind": "train", "module": "r", "after": []},
            {"id": "join:train", "kind": "join", "module": None, "after": ["train:r"]},
            {"id": "deploy:r", "kind": "deploy", "module": "r", "after": ["join:train"]},
        ],
    }


def test_text_draws_the_tree_and_says_what_is_replaced_stop_then_start() -> None:
    """What `rootward plan` prints."""
    deploy = frozenset({"deploy"})
    modules = [
        module("r/a", kinds=deploy, service=Service(path="r/a", wanted=2)),
        module("r/b/c", kinds=frozenset()),
        module("r/b", 1, kinds=deploy, service=Service(path="r/b", port=8000)),
        module("r", 0, 2, kinds=deploy),
    ]
    assert str(make_plan("r", modules)).splitlines() == [
        "r: 5 tasks on 2 levels, 2 services",
        "r  deploy",
        "|- a  prepare, deploy  (2 replicas)",
        "└- b  prepare, deploy  (1 replica; port 8000: replaced stop-then-start)",
        "    └- c",
    ]


def test_mermaid_draws_the_edges_that_matter() -> None:
    """A flowchart from children to parents."""
    text = make_plan("r", family(), ["train"]).to_mermaid()
    assert text.splitlines() == [
        "flowchart BT",
        '    t0["train:r/a"]',
        '    t1["train:r/b"]',
        '    t2["train:r"]',
        "    t0 --> t2",
        "    t1 --> t2",
    ]


def test_a_chain_of_a_thousand_is_planned_and_drawn() -> None:
    """Depth is no limit."""
    depth = 1000
    paths = ["/".join(["r", *["x"] * below]) for below in range(depth)]
    modules = [
        module(path, *([index - 1] if index else [])) for index, path in enumerate(reversed(paths))
    ]
    plan = make_plan("r", modules)
    assert len(plan.levels()) == len(plan.critical_path()) == 3 * depth + 2
    assert sum(len(after) for after in plan.reduced().values()) == len(plan.tasks) - 1
    assert str(plan).startswith("r: 3000 tasks on 3002 levels")


@st.composite
def trees(draw: st.DrawFn) -> list[Planned]:
    """Draw a tree of modules, some shared, some without work, some served; children first."""
    size = draw(st.integers(1, 9))
    modules = []
    for index in range(size):
        last = index == size - 1
        below = st.lists(st.integers(0, index - 1), unique=True) if index else st.just([])
        children = draw(below)
        path = "r" if last else f"r/{index}"
        kinds = draw(st.frozensets(st.sampled_from(sorted(WORK))))
        served = draw(st.booleans())
        service = Service(path=path, loads=(path,)) if served else None
        work = kinds | {"deploy"} if served else kinds
        modules.append(module(path, *children, kinds=work, service=service))
    return modules


def closure(order: list[str], after: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return all that each task waits for, directly or not."""
    reached: dict[str, set[str]] = {}
    for task in order:
        reached[task] = set(after[task]).union(*(reached[before] for before in after[task]), set())
    return reached


@settings(max_examples=150, deadline=None)
@given(trees())
def test_reduction_keeps_the_order_and_no_edge_too_many(modules: list[Planned]) -> None:
    """The reduced plan waits for exactly the same, by the fewest edges."""
    plan = make_plan("r", modules)
    order = [task.id for task in plan.tasks]
    literal = edges(plan)
    reduced = {task: set(before) for task, before in plan.reduced().items()}
    reached = closure(order, reduced)
    assert reached == closure(order, literal)
    for task, before in reduced.items():
        for each in before:
            others = before - {each}
            assert each not in set().union(*(reached[other] for other in others), set()), task


@settings(max_examples=150, deadline=None)
@given(trees(), st.sets(st.sampled_from(["train", "deploy", "eval"]), min_size=1))
def test_every_plan_is_in_runnable_order(modules: list[Planned], kinds: set[str]) -> None:
    """A task stands after all that it waits for, and parents wait for what is below them."""
    plan = make_plan("r", modules, kinds)
    seen: set[str] = set()
    for task in plan.tasks:
        assert set(task.after) <= seen
        assert task.id not in seen
        seen.add(task.id)
    reached = closure([task.id for task in plan.tasks], edges(plan))
    kind_of = {task.id: task.kind for task in plan.tasks}
    for task_id, before in reached.items():
        assert all(kind_of[each] is not Kind.PREPARE for each in before)
        if kind_of[task_id] is Kind.DEPLOY and Kind.TRAIN in kinds:
            assert {t.id for t in plan.tasks if t.kind is Kind.TRAIN} <= before
