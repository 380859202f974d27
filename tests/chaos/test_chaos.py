"""The short form of the chaos tests, and proof that their judge can say no.

The long form is a command: `python -m tests.chaos.driver --faults 1000 --seed 7`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest

from tests.chaos.driver import chaos
from tests.chaos.faults import KINDS
from tests.chaos.planted import OF_THE_STORE, PLANTS, is_caught
from tests.chaos.town import Town
from tests.chaos.witness import Trace, ownerless
from tests.support.leaks import MARK

FAULTS = 100 if os.environ.get("CI") == "true" else 25


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_faults_at_random_lose_double_and_leave_nothing() -> None:
    """Invariants 1 to 6, by what the user's code and the process table say."""
    assert len(KINDS) >= 12
    # The path of the server's socket must be short.
    with (
        tempfile.TemporaryDirectory(prefix="rw-") as folder,
        Town(Path(folder), uuid.uuid4().hex) as town,
    ):
        wrong = chaos(town, seed=4, faults=FAULTS, per_round=25, kinds=list(KINDS))
        assert wrong == [], "\n".join(wrong)
        assert town.calls["right"] > 0


def lines(trace: Trace, *events: str) -> Trace:
    trace.path.write_text("".join(f"[0.0, 1, {event}]\n" for event in events))
    return trace


WELL = (
    '"begin", "run1", "leaf0"',
    '"end", "run1", "leaf0"',
    '"begin", "run1", "top"',
    '"total", "run1", 3',
    '"end", "run1", "top"',
)


def test_a_run_that_went_well_is_judged_so(tmp_path: Path) -> None:
    assert lines(Trace(tmp_path), *WELL).violations({"run1": 1}) == []


@pytest.mark.parametrize(
    ("events", "verdict"),
    [
        ((*WELL, '"doubled", 1, 2'), "second exclusive replica"),
        ((WELL[0], WELL[2], WELL[1], *WELL[3:]), "top began when only"),
        (WELL[:4], "its last task never ended"),
        ((*WELL[:3], '"total", "run1", 6', WELL[4]), "add up to"),
        ((), "its last task never ended"),
    ],
)
def test_the_judge_sees_what_went_wrong(
    tmp_path: Path, events: tuple[str, ...], verdict: str
) -> None:
    [first, *_] = lines(Trace(tmp_path), *events).violations({"run1": 1})
    assert verdict in first


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([(1, 7), (1, 7), (2, 7), (1, 8)], []),
        ([(1, 7), (2, 7), (1, 7)], ["process 1 answered for 7 after 2 had followed it"]),
    ],
)
def test_an_owner_that_was_followed_must_not_answer_again(
    tmp_path: Path, answers: list[tuple[int, int]], verdict: list[str]
) -> None:
    trace = Trace(tmp_path)
    trace.path.write_text("".join(f'[0.0, {pid}, "answered", {n}]\n' for pid, n in answers))
    assert trace.violations({}) == verdict


def test_a_process_without_an_owner_is_seen() -> None:
    mark = uuid.uuid4().hex
    code = "import threading; threading.Event().wait()"
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, MARK: mark}) as process:
        try:
            assert ownerless(mark, {os.getpid()}) == []
            assert [line.partition(":")[0] for line in ownerless(mark, {process.pid + 1})] == [
                str(process.pid)
            ]
        finally:
            process.kill()


def planted() -> list[str]:
    """All of them where somebody asks for them, else those that take no worker."""
    return list(PLANTS if os.environ.get("ROUNDS") == "all" else OF_THE_STORE)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", planted())
def test_a_figure_misses_its_goal_when_a_guard_is_missing(name: str) -> None:
    """What can't fail shows nothing."""
    assert is_caught(PLANTS[name])
