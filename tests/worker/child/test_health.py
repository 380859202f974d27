"""The health of modules: asked in rounds, failures counted in a row, the first success told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rootward.modules import ModuleBase, ServerModule
from rootward.modules.tree import Tree
from rootward.worker.child import health
from rootward.worker.child.health import WELL, Diagnosis, HealthRounds, checks_of


class Sick(ModuleBase):
    """Says what it is told to."""

    answer: Any = None

    def health(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Later(Sick):
    """The same as a coroutine."""

    async def health(self) -> Any:
        return super().health()


def reports(*findings: Diagnosis) -> list[tuple[int, str]]:
    left, heard = list(findings), []

    async def check() -> Diagnosis:
        return left.pop(0)

    async def scenario() -> None:
        rounds = HealthRounds([check], heard.append)
        while left:
            await rounds.run_once()

    asyncio.run(scenario())
    return [(message["failures"], message["reason"]) for message in heard]


def test_failures_in_a_row_are_counted_until_it_is_well() -> None:
    ill = Diagnosis("ill")
    assert reports(WELL, ill, ill, WELL, WELL, ill) == [
        (1, "ill"),
        (2, "ill"),
        (0, ""),
        (1, "ill"),
    ]


def test_what_does_not_count_is_told_and_leads_to_nothing() -> None:
    busy = Diagnosis("silent, and works", counts=0)
    assert reports(busy, busy, busy) == [(1, busy.why)] * 3


@pytest.mark.parametrize("kind", [Sick, Later])
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, ""),
        (True, ""),
        (False, "health() of root/m returned False"),
        (RuntimeError("its child has died"), "of root/m raised RuntimeError: its child has died"),
    ],
)
def test_health_raises_or_returns_false(kind: type[Sick], answer: Any, why: str) -> None:
    server = ServerModule(kind(), name="root")
    server.m.answer = answer
    [check] = checks_of(Tree(server, "root"), "root")
    assert why in asyncio.run(check()).why
    assert bool(asyncio.run(check()).why) is bool(why)


def test_modules_without_health_cost_nothing() -> None:
    assert checks_of(Tree(ServerModule(ModuleBase(), name="root"), "root"), "root") == []


def test_health_that_does_not_come_back_fails_and_is_asked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import threading

    monkeypatch.setattr(health, "LIMIT_S", 0.01)
    gate, asked = threading.Event(), []

    class Hanging(ModuleBase):
        def health(self) -> None:
            asked.append(1)
            gate.wait(20)

    async def scenario() -> None:
        [check] = checks_of(Tree(ServerModule(Hanging(), name="root"), "root"), "root")
        for _ in range(3):
            assert "doesn't come back" in (await check()).why
        assert asked == [1]
        gate.set()
        monkeypatch.setattr(health, "LIMIT_S", 20)
        assert await check() == WELL

    asyncio.run(scenario())
