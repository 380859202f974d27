"""Reconciling: what is started and stopped so that what runs becomes what was asked for."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rootward.orchestrator.control.reconcile import (
    DRAIN_GRACE_S,
    Action,
    Desired,
    FailGeneration,
    Observed,
    SeenReplica,
    ServiceWish,
    StartReplica,
    StopReplica,
    Trial,
    Wish,
    backoff_s,
    reconcile,
)

LIVE = ("starting", "ready", "unready")


def replica(id_: str, path: str = "r/s", state: str = "ready", **options: Any) -> SeenReplica:
    """Return a replica on some agent."""
    return SeenReplica(id=id_, path=path, agent_id=f"agent-of-{id_}", state=state, **options)


def kept(wanted: int, **options: Any) -> Desired:
    """Return the wish for one service of a generation that is ready."""
    return Desired(wish=Wish.KEEP, services=(ServiceWish(path="r/s", wanted=wanted, **options),))


def stopped(actions: list[Action]) -> list[str]:
    """Return the replicas that are told to stop."""
    return [action.replica for action in actions if isinstance(action, StopReplica)]


def test_missing_replicas_are_started() -> None:
    """What died with its worker comes back."""
    observed = Observed(replicas=(replica("1"), replica("2", state="lost")))
    assert reconcile(kept(3), observed, 0.0) == [StartReplica(path="r/s")] * 2


def graces(desired: Desired, *replicas: SeenReplica) -> dict[str, float | None]:
    """Return how long each replica that is told to stop may take."""
    actions = reconcile(desired, Observed(replicas=replicas, deployed=frozenset({"r/s"})), 0.0)
    return {a.replica: a.grace_s for a in actions if isinstance(a, StopReplica)}


def test_replica_that_is_replaced_or_relieved_may_end_its_calls() -> None:
    """None is for as long as they last."""
    services = (ServiceWish(path="r/s", wanted=1),)
    replaced = Desired(wish=Wish.END, services=services, is_replaced=True)
    assert graces(replaced, replica("1")) == {"1": None}
    assert graces(replaced, replica("1", state="draining")) == {}
    assert graces(kept(1), replica("1"), replica("2")) == {"1": None}
    assert graces(kept(1), replica("1"), replica("2", is_leaving=True)) == {"2": None}


def test_stop_is_prompt_also_for_what_drains_already() -> None:
    """A replica that was replaced may have been given longer."""
    ended = Desired(wish=Wish.END, services=(ServiceWish(path="r/s", wanted=1),))
    drains = replica("2", state="draining")
    assert graces(ended, replica("1"), drains) == dict.fromkeys("12", DRAIN_GRACE_S)


def test_what_a_successor_waits_for_is_not_left_to_its_callers() -> None:
    """Its port, its resource or its lock is needed before the next one can start."""
    assert graces(kept(1, gives_way=True), replica("1")) == {"1": DRAIN_GRACE_S}
    leaving = replica("1", is_leaving=True)
    assert graces(kept(1, is_exclusive=True), leaving) == {"1": DRAIN_GRACE_S}


def test_children_are_repaired_before_their_parents() -> None:
    """A parent may call its children as soon as it is set up."""
    services = (
        ServiceWish(path="r", wanted=1),
        ServiceWish(path="r/s", wanted=2, parents=("r",)),
        ServiceWish(path="r/t", wanted=0, parents=("r",)),
    )
    desired = Desired(wish=Wish.KEEP, services=services)
    assert reconcile(desired, Observed(), 0.0) == [StartReplica(path="r/s")] * 2
    begun = Observed(replicas=(replica("1", state="starting"),), open_starts={"r/s": 1})
    assert reconcile(desired, begun, 0.0) == []
    one = Observed(replicas=(replica("1"),), open_starts={"r/s": 1})
    assert reconcile(desired, one, 0.0) == [StartReplica(path="r")]


def test_what_leaves_is_replaced_before_it_is_let_go() -> None:
    """Each one that is ready elsewhere lets one go."""
    leaving = [replica(id_, is_leaving=True) for id_ in ("1", "2")]
    observed = Observed(replicas=(*leaving, replica("3", state="starting")))
    assert reconcile(kept(2), observed, 0.0) == [StartReplica(path="r/s")]
    observed = Observed(replicas=(*leaving, replica("3")), open_starts={"r/s": 1})
    assert len(stopped(reconcile(kept(2), observed, 0.0))) == 1
    observed = Observed(replicas=(*leaving, replica("3"), replica("4")))
    assert stopped(reconcile(kept(2), observed, 0.0)) == ["1", "2"]


def test_an_exclusive_replica_that_leaves_is_let_go_before_it_is_replaced() -> None:
    """Two of them would answer at once otherwise."""
    observed = Observed(replicas=(replica("1", is_leaving=True),))
    desired = kept(1, is_exclusive=True)
    assert stopped(reconcile(desired, observed, 0.0)) == ["1"]
    assert len(reconcile(desired, observed, 0.0)) == 1
    draining = Observed(replicas=(replica("1", state="draining"),))
    assert reconcile(desired, draining, 0.0) == [], "it still ends its calls"
    assert reconcile(desired, Observed(), 0.0) == [StartReplica(path="r/s")]


def test_a_start_under_way_counts() -> None:
    """Nothing is asked for twice."""
    assert reconcile(kept(2), Observed(open_starts={"r/s": 2}), 0.0) == []


def test_starts_that_keep_failing_are_spaced_out() -> None:
    """0.2 s, doubled, at most 30 s."""
    tried = Observed(trials={"r/s": Trial(count=3, last_at=100.0)})
    assert reconcile(kept(1), tried, 100.7) == []
    assert reconcile(kept(1), tried, 100.8) == [StartReplica(path="r/s")]
    assert backoff_s(1) == 0.2
    assert backoff_s(10_000) == 30.0


def test_surplus_goes_youngest_and_least_ready_first() -> None:
    """Scaling down costs as little as it can."""
    replicas = (
        replica("old"),
        replica("young", since=9.0),
        replica("sick", state="unready"),
        replica("new", state="starting"),
    )
    actions = reconcile(kept(1), Observed(replicas=replicas), 0.0)
    assert stopped(actions) == ["sick", "new", "young"]


def test_a_progressing_generation_adds_replicas_only_to_deployed_services() -> None:
    """A service's first replica is its deploy task's."""
    desired = Desired(wish=Wish.GROW, services=kept(2).services)
    assert reconcile(desired, Observed(), 0.0) == []
    assert len(reconcile(desired, Observed(deployed=frozenset({"r/s"})), 0.0)) == 2


def test_services_end_parents_before_children() -> None:
    """A child stays until the last replica that calls it is gone."""
    services = (
        ServiceWish(path="r/s", wanted=1, parents=("r",)),
        ServiceWish(path="r", wanted=1),
    )
    desired = Desired(wish=Wish.END, services=services)
    both = Observed(replicas=(replica("child"), replica("parent", "r")))
    assert stopped(reconcile(desired, both, 0.0)) == ["parent"]
    draining = Observed(replicas=(replica("child"), replica("parent", "r", "draining")))
    assert stopped(reconcile(desired, draining, 0.0)) == ["parent"]
    alone = Observed(replicas=(replica("child"),))
    assert stopped(reconcile(desired, alone, 0.0)) == ["child"]


def test_a_deadline_fails_only_what_still_progresses() -> None:
    """`timeout` is for becoming ready."""
    late = Desired(wish=Wish.GROW, deadline_at=5.0)
    assert reconcile(late, Observed(), 4.9) == []
    assert isinstance(reconcile(late, Observed(), 5.0)[0], FailGeneration)
    assert reconcile(Desired(wish=Wish.KEEP, deadline_at=5.0), Observed(), 9.0) == []


def test_a_service_gives_way_when_both_cannot_run() -> None:
    """A fixed port is freed for the replacement."""
    actions = reconcile(kept(1, gives_way=True), Observed(replicas=(replica("1"),)), 0.0)
    assert stopped(actions) == ["1"]


def test_a_failed_first_generation_keeps_what_was_deployed() -> None:
    """Its replicas stay and nothing is started; what was only prepared ends."""
    desired = Desired(wish=Wish.LEAVE, services=kept(2).services)
    seen = (replica("1"), replica("2", state="starting"))
    deployed = frozenset({"r/s"})
    assert reconcile(desired, Observed(replicas=seen, deployed=deployed), 0.0) == []
    assert stopped(reconcile(desired, Observed(replicas=seen), 0.0)) == ["2"]


def test_a_prepared_replica_that_nobody_adopted_is_replaced() -> None:
    """It would count for ever and never be ready."""
    seen = Observed(replicas=(replica("1", state="starting"),))
    assert reconcile(kept(1), seen, 90.0) == []
    actions = reconcile(kept(1), seen, 90.1)
    assert stopped(actions) == ["1"]
    assert StartReplica(path="r/s") in actions


PATHS = ("r", "r/a", "r/a/b", "r/c")
PARENTS = {"r": (), "r/a": ("r",), "r/a/b": ("r/a",), "r/c": ("r",)}

wishes = st.builds(
    lambda wish, wanted: Desired(
        wish=wish,
        services=tuple(
            ServiceWish(path=path, wanted=number, parents=PARENTS[path])
            for path, number in zip(PATHS, wanted, strict=True)
        ),
    ),
    st.sampled_from(Wish),
    st.tuples(*[st.integers(0, 3)] * 4),
)
states = st.sampled_from([*LIVE, "draining", "lost", "stopped"])


@st.composite
def observations(draw: st.DrawFn) -> Observed:
    """Draw any mix of replicas and starts under way."""
    seen = draw(st.lists(st.tuples(st.sampled_from(PATHS), states), max_size=8))
    return Observed(
        replicas=tuple(replica(str(i), path, state) for i, (path, state) in enumerate(seen)),
        deployed=draw(st.frozensets(st.sampled_from(PATHS))),
        open_starts=draw(st.dictionaries(st.sampled_from(PATHS), st.integers(0, 2))),
    )


@settings(max_examples=200, deadline=None)
@given(wishes, observations())
def test_actions_never_overshoot_and_never_break_the_order(
    desired: Desired, observed: Observed
) -> None:
    """Never more than wanted, never a service before its callers, never the same twice."""
    actions = reconcile(desired, observed, 0.0)
    assert actions == reconcile(desired, observed, 0.0)
    stops = stopped(actions)
    assert len(stops) == len(set(stops))
    by_id = {each.id: each for each in observed.replicas}
    assert all(by_id[id_].state not in ("lost", "stopped") for id_ in stops)
    starts = Counter(action.path for action in actions if isinstance(action, StartReplica))
    live = Counter(each.path for each in observed.replicas if each.state in LIVE)
    for service in desired.services:
        going = observed.open_starts.get(service.path, 0)
        ready = {each.path for each in observed.replicas if each.state == "ready"}
        if service.wanted and service.path not in ready:
            assert not any(starts[parent] for parent in service.parents)
        if starts[service.path]:
            assert live[service.path] + going + starts[service.path] == service.wanted
        if any(by_id[id_].path == service.path for id_ in stops) and desired.wish is Wish.END:
            present = {e.path for e in observed.replicas if e.state not in ("lost", "stopped")}
            assert not present & set(service.parents)


@settings(max_examples=100, deadline=None)
@given(wishes, observations())
def test_carrying_the_actions_out_settles(desired: Desired, observed: Observed) -> None:
    """However it begins, a few rounds lead to a state that needs nothing more."""
    for _ in range(8):
        actions = reconcile(desired, observed, 0.0)
        observed = _carried_out(observed, actions)
        if not actions:
            return
    assert reconcile(desired, observed, 0.0) == []


def _carried_out(observed: Observed, actions: list[Action]) -> Observed:
    """Return what is seen once every action, and every start under way, has had its effect."""
    ended = set(stopped(actions))
    kept_on = [each for each in observed.replicas if each.id not in ended]
    kept_on = [each for each in kept_on if each.state in LIVE]
    begun = [action.path for action in actions if isinstance(action, StartReplica)]
    begun += [path for path, number in observed.open_starts.items() for _ in range(number)]
    first = len(observed.replicas) + 100
    started = [replica(str(first + index), path) for index, path in enumerate(begun)]
    return Observed(replicas=(*kept_on, *started), deployed=observed.deployed)


@given(
    wanted=st.dictionaries(st.sampled_from(["r", "r/a", "r/b"]), st.integers(0, 3)),
    exclusive=st.booleans(),
    now=st.floats(0, 1000),
)
def test_where_all_that_is_wanted_is_ready_there_is_nothing_to_do(
    wanted: dict[str, int], exclusive: bool, now: float
) -> None:
    """Which is why the controller reads no replicas then."""
    services = tuple(
        ServiceWish(path=path, wanted=count, is_exclusive=exclusive, parents=("r",))
        for path, count in wanted.items()
    )
    replicas = tuple(
        replica(f"{path}-{n}", path) for path, count in wanted.items() for n in range(count)
    )
    observed = Observed(replicas=replicas, deployed=frozenset(wanted))
    assert reconcile(Desired(wish=Wish.KEEP, services=services), observed, now) == []
