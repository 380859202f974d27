"""The gateway follows the registry: what is signed and current is routed, in milliseconds."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from rootward.orchestrator.gateway.proxy.follower import Follower
from rootward.orchestrator.planning.graph import Service
from rootward.orchestrator.planning.plan import Plan
from rootward.orchestrator.rollout.counting import CanaryShare, Counting, unpack_pair
from rootward.orchestrator.security.signing import Signer
from rootward.orchestrator.store.connection import Clients
from rootward.orchestrator.store.keys import Keys
from rootward.orchestrator.store.records import Rollout
from rootward.orchestrator.store.store import Store
from tests.support.scenes import Scene
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rootward.orchestrator.gateway.proxy.views import CanaryView, ServiceView

SIGNER = Signer(b"a secret that only these tests know")
PATH = "demo"


class Followed:
    """A scene in a store, and what a follower has told of it."""

    def __init__(self, store: Store) -> None:
        self.scene = Scene(store)
        self.views: dict[str, Sequence[ServiceView]] = {}
        self.canaries: dict[str, CanaryView | None] = {}
        self.reached = threading.Event()
        self.counting = Counting()
        self.follower = Follower(store, SIGNER, self._put, self._reached, counting=self.counting)

    def submit(
        self, *, repeatable: bool = True, makes_current: bool = True, percent: float | None = None
    ) -> int:
        """Submit and run a plan that serves `demo`."""
        store = self.scene.store
        number = store.deployments.reserve("demo", f"{time.monotonic_ns()}").generation
        plan = Plan(deployment="demo", services=(Service(path=PATH, repeatable=repeatable),))
        self.scene.submit(
            {"deploy:demo": []},
            generation=number,
            services={PATH: 1},
            makes_current=makes_current,
            rollout=Rollout(percent=percent),
        )
        key = store.keys.part("demo", number, "plan")
        store.clients.scripts.set(key, SIGNER.seal_plan(plan.to_bytes(), "demo", number), xx=True)
        self.scene.run_all()
        return number

    def ready(self, replica: str, generation: int = 1, **options: Any) -> None:
        url, token = f"http://127.0.0.1:{1000 + len(replica)}", f"token-{replica}"
        record = self.scene.record(
            PATH, replica=replica, generation=generation, url=url, token=token
        )
        signed = {"signature": SIGNER.sign_endpoint(record), **options}
        changed = replace(record, **signed)
        assert self.scene.store.registry.put(self.scene.agent, changed)

    def replicas(self) -> set[str]:
        return {each.replica for view in self.views.get("demo", ()) for each in view.endpoints}

    def _put(self, name: str, views: Sequence[ServiceView], canary: CanaryView | None) -> None:
        self.views[name], self.canaries[name] = views, canary

    def _reached(self, is_reached: bool) -> None:
        if is_reached:
            self.reached.set()


@pytest.fixture
def followed(redis_url: str, prefix: str) -> Iterator[Followed]:
    clients = Clients(redis_url, name="rootward-tests")
    followed = Followed(Store(clients, Keys(prefix=prefix)))
    yield followed
    followed.follower.close()
    clients.close()


def start(followed: Followed) -> None:
    followed.follower.start()
    assert followed.reached.wait(10)


def test_what_is_there_is_read_and_what_changes_follows(followed: Followed) -> None:
    followed.submit()
    followed.ready("r1")
    start(followed)
    assert followed.replicas() == {"r1"}
    followed.ready("r2")
    wait_until(lambda: followed.replicas() == {"r1", "r2"}, description="r2 is routed to")
    assert followed.scene.store.registry.drop("demo", 1, "r1", "it ended")
    wait_until(lambda: followed.replicas() == {"r2"}, description="r1 is gone")


def test_what_is_not_signed_is_not_routed_to(followed: Followed) -> None:
    followed.submit()
    followed.ready("good")
    followed.ready("forged", signature=b"x" * 32)
    followed.ready("moved", url="http://169.254.169.254:80")
    start(followed)
    assert followed.replicas() == {"good"}


def test_calls_stay_with_the_current_generation(followed: Followed) -> None:
    followed.submit()
    followed.ready("old")
    start(followed)
    assert followed.submit() == 2
    followed.ready("new", 2)
    wait_until(lambda: followed.replicas() == {"new"}, description="the newer one is current")


def test_a_first_generation_is_known_before_it_is_current(followed: Followed) -> None:
    start(followed)
    followed.submit()
    wait_until(lambda: followed.views.get("demo"), description="it is known")
    (view,) = followed.views["demo"]
    assert (view.endpoints, view.is_coming) == ((), True)
    assert "demo@1 is" in view.reason


def test_what_has_been_stopped_is_not_coming(followed: Followed) -> None:
    followed.submit()
    followed.ready("r1")
    start(followed)
    followed.scene.store.deployments.stop("demo")
    followed.scene.store.registry.drop("demo", 1, "r1", "stopped")
    wait_until(lambda: not followed.views["demo"][0].is_coming, description="nothing is on its way")


def test_the_plan_says_what_may_be_repeated(followed: Followed) -> None:
    followed.submit(repeatable=False)
    followed.ready("r1")
    start(followed)
    assert not followed.views["demo"][0].repeatable


def test_a_forged_plan_is_only_its_own_deployments_trouble(followed: Followed) -> None:
    number = followed.submit()
    followed.ready("r1")
    store = followed.scene.store
    key = store.keys.part("demo", number, "plan")
    store.clients.scripts.set(key, b"forged", xx=True)
    start(followed)
    (view,) = followed.views["demo"]
    assert [each.replica for each in view.endpoints] == ["r1"]
    assert not view.repeatable


def test_a_canary_is_told_with_its_share_and_what_was_counted_of_it_is_stored(
    followed: Followed,
) -> None:
    followed.submit()
    followed.ready("r1")
    followed.follower.start()
    wait_until(lambda: followed.replicas() == {"r1"}, description="the current one is told")
    assert followed.canaries["demo"] is None
    followed.submit(percent=12.5)
    followed.ready("r2", 2)
    canary = wait_until(lambda: followed.canaries["demo"], description="the canary is told")
    assert canary.share == CanaryShare(canary=2, current=1, percent=12.5)
    (service,) = canary.services
    assert [each.replica for each in service.endpoints] == ["r2"]
    assert followed.replicas() == {"r1"}

    followed.counting.follow("demo", canary.share, [1, 2])
    followed.counting.observe("demo", 2, 0.1, is_error=True)
    rollouts = followed.scene.store.rollouts
    stored = wait_until(lambda: rollouts.figures("demo", 2), description="figures are stored")
    assert unpack_pair(stored[followed.counting.reporter]).canary.errors == 1

    assert rollouts.promote("demo", 2, "by hand")
    wait_until(lambda: followed.canaries["demo"] is None, description="it is a canary no more")
    assert followed.replicas() == {"r2"}
