"""The rounds of an agent: they come when something can be found, not only each second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rootward.orchestrator.security.signing import Signer
from rootward.orchestrator.store import part
from rootward.worker.agent import controller_loop
from tests.support.scenes import Scene
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import pytest

    from rootward.orchestrator.store.store import Store


def test_a_lease_that_ends_is_seen_when_it_ends(
    store: Store, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead worker's endpoints shouldn't stay for another round."""
    monkeypatch.setattr(controller_loop, "ROUND_S", 300.0)
    monkeypatch.setattr(part, "LONGEST_BLOCK_S", 300.0)
    scene = Scene(store)
    scene.join("dead-1", 700)
    one = controller_loop.ControllerLoop(store, Signer(secret), scene.agent, 60.0)
    one.start()
    try:
        wait_until(
            lambda: [agent.info.id for agent in store.agents.all()] == [scene.agent],
            description="the dead one is gone", timeout=30,
        )  # fmt: skip
    finally:
        one.stop()
        # Wakes it: nothing that waits is left behind.
        scene.submit({"deploy:a": []}, services={"a": 1})
        scene.put("a")


def test_a_round_comes_at_once_when_something_has_become_active(store: Store, secret: str) -> None:
    """While nothing is, nobody leads, and the next sweep is far away."""
    scene = Scene(store)
    one = controller_loop.ControllerLoop(store, Signer(secret), scene.agent, 60.0)
    one.start()
    client, keys = store.clients.scripts, store.keys
    try:
        wait_until(lambda: client.hexists(keys.sweep, "swept"), description="it has swept")
        assert not client.exists(keys.controller)
        scene.submit({"train:a": []})
        one.rouse()
        wait_until(lambda: client.exists(keys.controller), description="it leads")
    finally:
        one.stop()
        # Wakes it: nothing that waits is left behind.
        scene.submit({"deploy:a": []}, services={"a": 1})
        scene.put("a", generation=2)
