"""Repeats are a fifth of the calls and a few; those of a lost replica's calls are free."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from rootward.orchestrator.gateway.proxy import budget
from rootward.orchestrator.gateway.proxy.budget import FLOOR, SHARE, WINDOW_S, Budget
from tests.support.doors import CALL, TIMEOUT_S, House, Replica, answer_of, resets, run, until

if TYPE_CHECKING:
    import pytest


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=400))
def test_no_window_has_more_repeats_than_its_share(steps: list[tuple[float, bool]]) -> None:
    """Each step is a pause and then a call, which is repeated or not, if it may be."""
    budget, now = Budget(), 100.0
    calls: list[float] = []
    repeats: list[float] = []
    for pause, wants in steps:
        now += pause
        budget.called(now)
        calls.append(now)
        if wants and budget.spend(now):
            repeats.append(now)
        recent = sum(at > now - WINDOW_S for at in repeats)
        # The window before counts in part, as if its calls were spread evenly.
        assert recent <= 2 * max(FLOOR, SHARE * sum(at > now - 3 * WINDOW_S for at in calls))


def test_a_busy_service_repeats_a_fifth() -> None:
    budget = Budget()
    granted = 0
    for number in range(10_000):
        now = 100.0 + number * WINDOW_S / 2000
        budget.called(now)
        granted += budget.spend(now)
    assert granted <= SHARE * 10_000 + FLOOR
    assert granted >= SHARE * 10_000 - FLOOR


def test_what_was_spent_is_there_again_after_two_windows() -> None:
    budget = Budget()
    while budget.spend(100.0):
        pass
    assert not budget.spend(101.0)
    assert budget.spend(101.0 + 2 * WINDOW_S)


def test_repeats_dont_double_the_load_of_a_service_that_breaks_every_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One window, however long the machine takes over it: each has repeats of its own.
    monkeypatch.setattr(budget, "WINDOW_S", 3600.0)
    calls = 600

    async def scenario() -> None:
        async with House(hold_s=TIMEOUT_S) as house:
            # Enough, so that one is open while the others are left out.
            replicas = [await house.replica(f"r{number}", resets) for number in range(8)]
            house.serve("app/echo", *replicas)
            for _ in range(calls // 50):
                replies = await asyncio.gather(*(house.post(CALL) for _ in range(50)))
                assert {reply.status for reply in replies} == {502}
            received = sum(len(replica.requests) for replica in replicas)
            assert calls <= received <= calls * (1 + SHARE) + FLOOR
            meter = next(iter(house.table)).meter
            assert meter.repeats == received - calls
            assert meter.unrepeated > 0

    run(scenario)


def test_the_end_of_a_working_replica_costs_no_call_however_many_it_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A loaded machine may take more than a second to send them all again.
    monkeypatch.setattr(budget, "FREE_S", 3600.0)
    calls = 3 * FLOOR
    opened = asyncio.Event()

    async def works_once(replica: Replica, request: bytes, writer: asyncio.StreamWriter) -> None:
        if len(replica.requests) > 1:
            await opened.wait()
        writer.write(answer_of(replica.name.encode()))

    async def scenario() -> None:
        async with House(hold_s=TIMEOUT_S) as house:
            first, second = await house.replica("r1", works_once), await house.replica("r2")
            house.serve("app/echo", first)
            assert (await house.post(CALL)).body == b"r1"
            under_way = [asyncio.create_task(house.post(CALL)) for _ in range(calls)]
            await until(lambda: len(first.requests) == calls + 1)
            await first.stop()
            house.serve("app/echo", second)
            assert {(await call).body for call in under_way} == {b"r2"}
            opened.set()

    run(scenario)
