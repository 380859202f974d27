"""How busy a replica says that it is: an average over time, and nothing while nobody calls."""

from __future__ import annotations

import asyncio

import pytest

from rootward.worker.serving.metrics import PERIOD_S, LoadReports, Metrics


def test_calls_are_averaged_and_said_until_there_are_none() -> None:
    async def scenario() -> list[float]:
        said: asyncio.Queue[float] = asyncio.Queue()
        metrics = Metrics("s")
        reports = LoadReports(metrics, asyncio.get_running_loop(), said.put_nowait)
        found = []
        for _ in range(3):
            metrics.began()
        for _ in range(3):
            reports.began()
        async with asyncio.timeout(30):
            found.append(await said.get())
            for _ in range(3):
                metrics.finished(0.0, is_error=False)
            while found[-1]:
                found.append(await said.get())
        # Nothing comes after that, until there is another call.
        assert said.empty()
        metrics.began()
        reports.began()
        async with asyncio.timeout(30):
            found.append(await said.get())
        metrics.finished(0.0, is_error=False)
        return found

    found = asyncio.run(scenario())
    assert found[0] == pytest.approx(3.0, rel=0.01)
    assert found[-2] == 0.0
    assert found[-1] == pytest.approx(1.0, rel=0.01)


def test_work_is_the_time_of_all_calls_together() -> None:
    metrics = Metrics("s")
    assert metrics.work_s == 0.0
    metrics.began()
    metrics.began()
    first = metrics.work_s
    second = metrics.work_s
    assert 0 < first < second < 2 * PERIOD_S * 1000
    metrics.finished(0.0, is_error=False)
    metrics.finished(0.0, is_error=False)
    assert metrics.work_s == metrics.work_s
