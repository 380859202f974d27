"""Autoscaling in the controller's rounds, on a server: what is stored, woken, said, refused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from rootward import orchestrator
from rootward.modules.errors import Unavailable
from rootward.modules.rpc.bounds import ReplicaBounds
from rootward.modules.rpc.endpoints import PushedRoutes
from rootward.orchestrator.control.controller import Controller
from rootward.orchestrator.errors import MissingSecret, PlanError
from rootward.orchestrator.scaling.autoscaler import MISSING_AFTER_S, UNCHANGED
from rootward.orchestrator.scaling.by_hand import read_wish
from rootward.orchestrator.store.records.scaling import MOST_CALLS, pack_loads, read_loads
from tests.orchestrator.control.test_controller import Served, stop_told
from tests.support.scripted import ScriptedWorker
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootward.modules.module import ModuleBase
    from rootward.orchestrator.client.client import Client
    from rootward.orchestrator.store.records import GenerationRecord


class Ranged(Served):
    """A served module whose replicas follow its calls."""

    def __init__(self, name: str, *children: ModuleBase, lowest: int = 1, **options: Any) -> None:
        super().__init__(name, *children, **options)
        self.bounds = ReplicaBounds(lowest=lowest, highest=4, zero_after_s=30.0)


@pytest.fixture
def client(redis_url: str, prefix: str, secret: str) -> Iterator[Client]:
    with orchestrator.connect(redis_url, secret=secret, prefix=prefix) as client:
        yield client


class Rounds:
    """A controller whose clock the test moves, and the worker that does what it asks for."""

    def __init__(self, client: Client) -> None:
        self.client, self.worker = client, ScriptedWorker(client)
        self.now = time.time()
        self.controller = self.another()

    def another(self) -> Controller:
        """Return a controller that knows nothing of before."""
        return Controller(self.client.store, self.client.signer, self.worker.info.id, 600.0)

    def deploy(self, tree: ModuleBase) -> Rounds:
        self.client.submit(tree)
        self.worker.work()
        return self.round()

    def round(self, seconds: float = 1.0, **calls: float) -> Rounds:
        """Do one round later, with so many calls under way by service."""
        loads = {("s", 1, path.replace("_", "/")): (number, 0.0) for path, number in calls.items()}
        self.client.store.registry.report_load("test", loads)
        self.now += seconds
        self.controller.run_once(self.now)
        self.worker.work()
        for replica in stop_told(self.client, self.worker):
            self.client.store.registry.drop("s", 1, replica)
        return self

    @property
    def record(self) -> GenerationRecord:
        record = self.client.store.deployments.generation("s", 1)
        assert record is not None
        return record

    @property
    def scaled(self) -> list[tuple[str | None, int | None, int | None]]:
        events = self.client.deployment("s").events(follow=False)
        return [(e.path, e.before, e.wanted) for e in events if e.event == "scaled"]

    def why(self, path: str) -> str | None:
        return self.client.gateway.service(path).why


@pytest.fixture
def rounds(client: Client) -> Rounds:
    return Rounds(client)


def test_calls_bring_replicas_and_every_decision_is_told_with_its_numbers(rounds: Rounds) -> None:
    rounds.deploy(Ranged("s"))
    assert rounds.why("s") == UNCHANGED
    rounds.round(s=10)
    assert rounds.record.services == {"s": 3}
    rounds.round(s=10)
    assert rounds.record.ready == {"s": 3}
    assert rounds.why("s") == "10 calls under way, one replica for 4"
    rounds.round(59).round(0.5)
    assert rounds.record.services == {"s": 3}
    rounds.round(61).round()
    assert rounds.record.services == {"s": 1}
    assert rounds.record.ready == {"s": 1}
    assert rounds.scaled == [("s", 1, 3), ("s", 3, 1)]


def test_a_deployment_that_grows_or_sleeps_is_ready_and_not_degraded(rounds: Rounds) -> None:
    rounds.deploy(Ranged("s", lowest=0))
    rounds.client.store.registry.report_load("test", {("s", 1, "s"): (10.0, 0.0)})
    rounds.now += 1
    rounds.controller.run_once(rounds.now)
    # Nobody has started any of those that are wanted.
    assert (rounds.record.services, rounds.record.ready) == ({"s": 3}, {"s": 1})
    assert str(rounds.record.state) == "ready"
    rounds.round(31).round()
    assert (rounds.record.services, rounds.record.ready) == ({"s": 0}, {"s": 0})
    assert str(rounds.record.state) == "ready"
    assert rounds.client.gateway.service("s").state == "asleep"
    names = [event.event for event in rounds.client.deployment("s").events(follow=False)]
    assert "deployment.degraded" not in names


def test_one_that_may_not_sleep_is_degraded_when_its_last_replica_is_gone(rounds: Rounds) -> None:
    rounds.deploy(Ranged("s", lowest=0)).round(s=1)
    (replica, _) = rounds.client.store.registry.replicas("s", 1)[0]
    rounds.client.store.registry.drop("s", 1, replica.replica)
    assert str(rounds.record.state) == "degraded"


def test_a_call_wakes_a_whole_chain_in_one_round(rounds: Rounds) -> None:
    chain = Ranged("s", Ranged("c", Ranged("d", lowest=0), lowest=0), lowest=0)
    rounds.deploy(chain).round(31).round()
    paths = ["s", "s/c", "s/c/d"]
    assert rounds.record.scaling.asleep == set(paths)
    assert rounds.client.store.deployments.wake("s", 1, "s")
    assert not rounds.client.store.deployments.wake("s", 1, "s")
    rounds.now += 1
    rounds.controller.run_once(rounds.now)
    assert rounds.record.services == dict.fromkeys(paths, 1)
    # All of them are being started, none waits for what it calls.
    assert sorted(rounds.record.repairs.values()) == sorted(paths)
    assert rounds.why("s/c/d") == "woken with s/c, which calls it"
    rounds.worker.work()
    assert rounds.record.ready == dict.fromkeys(paths, 1)


def test_a_caller_in_a_program_wakes_what_it_calls(rounds: Rounds) -> None:
    rounds.deploy(Ranged("s", lowest=0)).round(31).round()
    routes = rounds.client.registry.routes("s")
    wait_until(lambda: routes.is_asleep("s"), description="the mirror has heard")
    with pytest.raises(Unavailable):
        rounds.client.gateway.call("s", hold=0.05)
    assert rounds.record.services == {"s": 1}
    assert "a call waits" in str(rounds.why("s"))


def test_another_controller_does_not_take_away_what_it_has_not_seen(rounds: Rounds) -> None:
    rounds.deploy(Ranged("s")).round(s=10).round(s=10)
    rounds.controller = rounds.another()
    rounds.round(s=1).round(50)
    assert rounds.record.services == {"s": 3}
    rounds.round(61)
    assert rounds.record.services == {"s": 1}


def test_what_is_missing_is_said_and_what_is_there_stays(rounds: Rounds) -> None:
    rounds.deploy(Ranged("s"))
    rounds.client.store.registry.report_load("test", {("s", 1, "s"): (10.0, 0.0)})
    for _ in range(3):
        rounds.now += MISSING_AFTER_S
        rounds.client.store.registry.report_load("test", {("s", 1, "s"): (10.0, 0.0)})
        rounds.controller.run_once(rounds.now)
    assert rounds.record.ready == {"s": 1}
    why = str(rounds.why("s"))
    assert why.startswith("10 calls under way, one replica for 4; not to be had: 2 of 3, as ")
    # When they come nothing is missing any more.
    rounds.round(s=10).round(s=10)
    assert rounds.record.ready == {"s": 3}
    assert rounds.why("s") == "10 calls under way, one replica for 4"


def test_replicas_that_nobody_has_begun_to_start_are_taken_back(rounds: Rounds) -> None:
    rounds.deploy(Ranged("s"))
    rounds.client.store.registry.report_load("test", {("s", 1, "s"): (16.0, 0.0)})
    rounds.now += 1
    rounds.controller.run_once(rounds.now)
    assert len(rounds.record.repairs) == 3
    rounds.client.scale("s", "s", 2)
    assert len(rounds.record.repairs) == 1
    rounds.worker.work()
    assert rounds.record.ready == {"s": 2}


def test_a_number_by_hand_holds_against_the_calls_and_for_later_generations(
    rounds: Rounds,
) -> None:
    rounds.deploy(Ranged("s"))
    assert rounds.client.scale("s", "s", 2) == 2
    rounds.round(s=16).round(s=16)
    assert rounds.record.services == {"s": 2}
    rounds.client.submit(Ranged("s"))
    newer = rounds.client.store.deployments.generation("s", 2)
    assert newer is not None
    assert newer.services == {"s": 2}
    assert newer.scaling.asked["s"][0] == "2"


def test_a_number_by_hand_holds_for_a_generation_that_is_on_its_way(rounds: Rounds) -> None:
    rounds.deploy(Ranged("s"))
    rounds.client.submit(Ranged("s"))
    assert rounds.client.scale("s", "s", 2) == 2
    for number in (1, 2):
        record = rounds.client.store.deployments.generation("s", number)
        assert record is not None
        assert record.services == {"s": 2}


def test_auto_gives_it_back_to_the_range_of_the_tree(rounds: Rounds) -> None:
    rounds.deploy(Ranged("s"))
    rounds.client.scale("s", "s", "2..3")
    rounds.round(s=16).round(s=16)
    assert rounds.record.services == {"s": 3}
    assert rounds.client.gateway.service("s").bounds == "2..3"
    rounds.client.scale("s", "s", "auto")
    rounds.round(s=16).round(s=16)
    assert rounds.record.services == {"s": 4}
    deployment = rounds.client.store.deployments.get("s")
    assert deployment is not None
    assert deployment.scaled == {}


def test_a_range_makes_a_fixed_service_follow_its_calls(rounds: Rounds) -> None:
    rounds.deploy(Served("s"))
    assert rounds.client.scale("s", "s", (1, 3)) == 1
    rounds.round(s=9).round(s=9)
    assert rounds.record.services == {"s": 3}


def test_a_range_that_nobody_with_the_secret_asked_for_is_not_obeyed(rounds: Rounds) -> None:
    rounds.deploy(Ranged("s"))
    store, redis = rounds.client.store, rounds.client.store.clients.scripts
    redis.hset(rounds.client.keys.part("s", 1, "scaling"), "asked:s", f"{'0' * 64} 1..900")
    rounds.round(s=4000).round(s=4000)
    assert rounds.record.services == {"s": 4}
    false = (rounds.client.signer.sign_range("s", 1, "s", "1..3"), "1..900", "")
    for asked in (("1..900", false[0]), ("1..900", false[1])):
        store.deployments.scale("s", 1, "s", 1, asked=asked)
        rounds.round(s=4000).round(s=4000)
        assert rounds.record.services == {"s": 4}


def test_a_range_needs_the_secret(redis_url: str, prefix: str, rounds: Rounds) -> None:
    rounds.deploy(Served("s"))
    with (
        orchestrator.connect(redis_url, prefix=prefix) as other,
        pytest.raises(MissingSecret),
    ):
        other.scale("s", "s", "1..3")


@pytest.mark.parametrize(
    "wish", ["3..2", "1..", "x", "-1", 1001, True, 1.5, (1, 2, 3), (1, "a"), "0..0", "1..5000", ""]
)
def test_a_wish_that_can_not_be_is_an_error_that_names_it(rounds: Rounds, wish: Any) -> None:
    rounds.deploy(Ranged("s"))
    with pytest.raises(PlanError, match=r"replicas|range"):
        rounds.client.scale("s", "s", wish)
    assert rounds.scaled == []


def test_what_tells_a_number_from_a_range() -> None:
    assert read_wish("7") == read_wish(7) == 7
    assert read_wish("auto") is None
    assert str(read_wish((1, 2))) == "1..2"


def test_reports_are_summed_and_what_is_none_counts_nothing() -> None:
    one, two = ("s", 1, "s"), ("s", 1, "t")
    reports = [pack_loads({one: (1.5, 2.0), two: (0.0, 0.0)}), pack_loads({one: (1.0, 0.0)})]
    broken = b"\x91\x95\xa1s\x01\xa1s\xa1x\xcb\x7f\xf8" + b"\0" * 6
    nonsense = [b"", b"\xc1", b"\x93\x01\x02\x03", broken]
    assert read_loads([*reports, *nonsense]) == {one: (2.5, 2.0)}
    many = pack_loads({one: (1e300, -5.0)})
    assert read_loads([many]) == {one: (MOST_CALLS, 0.0)}


def test_a_report_counts_until_the_next_or_until_it_is_old(client: Client) -> None:
    place = ("s", 1, "s")
    client.store.registry.report_load("one", {place: (2.0, 1.0)})
    client.store.registry.report_load("two", {place: (3.0, 0.0)})
    assert client.store.registry.loads() == {place: (5.0, 1.0)}
    client.store.registry.report_load("one", {})
    assert client.store.registry.loads() == {place: (3.0, 0.0)}
    old = f"{int((time.time() - 10) * 1000)} ".encode() + pack_loads({place: (9.0, 0.0)})
    client.store.clients.scripts.hset(client.keys.loads, "gone", old)
    assert client.store.registry.loads() == {place: (3.0, 0.0)}
    assert client.store.clients.scripts.hlen(client.keys.loads) == 1


def test_one_that_falls_asleep_while_a_call_is_held_is_called_for_again() -> None:
    routes, told = PushedRoutes(b"key"), list[tuple[str, int]]()
    routes.on_held = lambda path, count: told.append((path, count))
    routes.hold("s", 1)
    routes.update({"": [], "s": [], "\0asleep": [["s"]]})
    assert routes.is_asleep("s")
    assert routes.is_coming("s")
    assert told == [("s", 1), ("s", 1)]
    routes.hold("s", -1)
    routes.update({"": [], "s": [], "\0asleep": [["s"]]})
    assert told == [("s", 1), ("s", 1), ("s", 0)]
