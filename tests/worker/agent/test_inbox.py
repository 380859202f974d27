"""The bell tells of releases and commands, whichever incarnation they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rootward.worker.agent.inbox import Inbox
from tests.support.scenes import Scene
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootward.orchestrator.store.store import Store


class Rings:
    def __init__(self) -> None:
        self.released = 0
        self.commands: list[Mapping[str, Any]] = []

    def __call__(self, released: bool, commands: tuple[Mapping[str, Any], ...]) -> None:
        self.released += released
        self.commands += commands


def test_a_release_rings_and_a_command_arrives(store: Store) -> None:
    scene, rings = Scene(store), Rings()
    bell = Inbox(store, scene.agent, rings)
    bell.start()
    try:
        wait_until(lambda: rings.released, description="it begins with a ring")
        before = rings.released
        scene.submit({"train:a": []})
        wait_until(lambda: rings.released > before, description="the release rings")
        store.agents.command(scene.agent, {"op": "one"})
        wait_until(lambda: rings.commands == [{"op": "one"}], description="the command arrives")
    finally:
        bell.stop()


def test_another_incarnation_reads_its_own_inbox_from_the_beginning(store: Store) -> None:
    scene, rings = Scene(store), Rings()
    bell = Inbox(store, scene.agent, rings)
    bell.start()
    try:
        wait_until(lambda: rings.released, description="it listens")
        second = scene.join("w-2")
        store.agents.command(second, {"op": "early"})
        bell.rename(second)
        wait_until(
            lambda: rings.commands == [{"op": "early"}], description="it reads the new inbox"
        )
        store.agents.command(second, {"op": "late"})
        wait_until(lambda: len(rings.commands) == 2, description="it goes on there")
    finally:
        bell.stop()
