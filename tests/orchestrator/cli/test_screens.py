"""Whole screens, as they are shown on terminals of two sizes and in a pipe, against kept files.

A file in `screens/` is what a person sees. After a change that is meant, write them anew with
`SCREENS=write` in the environment and look at each difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rootward.orchestrator.cli.board import Board
from rootward.orchestrator.cli.choice import Choice
from rootward.orchestrator.cli.columns import cells
from rootward.orchestrator.cli.picture import board_lines, plain_text
from rootward.orchestrator.cli.status import status_lines
from rootward.orchestrator.status.status import EndpointStatus, ServiceStatus, Status, TaskStatus

SCREENS = Path(__file__).with_name("screens")
SIZES = {"80x24": (80, 24), "160x50": (160, 50)}
ALL = Choice.of(failed=False, waiting=False, depth=None, verbose=False)
NOW = 1_000_000_100.0
STARTED = 1_000_000_000.0
LONG_NAME = "一个名字非常非常非常长的模块用来看它在窄的终端里怎么显示而状态总是完整的"
LONGEST_STATE = "running train (attempt 2)"


def digits() -> Status:
    """Seven modules in the midst of it."""
    states = {
        "train:digits/m/forest/m": "succeeded",
        "train:digits/m/logistic/m": "running",
        "train:digits/m/neighbours/m": "queued",
        "deploy:digits/m/forest": "succeeded",
        "deploy:digits/m/logistic": "waiting",
        "deploy:digits/m/neighbours": "waiting",
        "deploy:digits": "waiting",
    }
    return status("digits", states, ready=("digits/m/forest",))


def sixty() -> Status:
    """A tree of groups: one is done, one has failed, one runs, the others wait."""
    states = {}
    for group in range(6):
        for member in range(9):
            states[f"train:search/group{group}/member{member}"] = _state(group, member)
        states[f"deploy:search/group{group}"] = "succeeded" if group == 0 else "waiting"
    states["deploy:search"] = "waiting"
    return status("search", states, ready=("search/group0",))


def thousand() -> Status:
    """As many as a person has ever looked at."""
    states = {}
    for group in range(30):
        for member in range(33):
            states[f"train:fleet/g{group:02}/m{member:02}"] = _state(group // 2, member)
    states |= {"train:fleet": "waiting"}
    return status("fleet", states)


def chinese() -> Status:
    """Names that take two cells a character, one of them long."""
    states = {
        "train:检索/向量模型": "succeeded",
        "train:检索/重排序模型": "running",
        f"train:检索/{LONG_NAME}": "failed",
        "deploy:检索": "skipped",
    }
    return status("检索", states)


def _state(group: int, member: int) -> str:
    if group == 0:
        return "succeeded"
    if group == 1:
        return "failed" if member == 4 else "succeeded"
    if group == 2:
        return ("succeeded", "running", "queued")[min(member // 3, 2)]
    return "waiting"


def status(name: str, states: dict[str, str], ready: tuple[str, ...] = ()) -> Status:
    tasks = tuple(task(id_, state, n) for n, (id_, state) in enumerate(states.items()))
    services = tuple(service(name, path, n) for n, path in enumerate(ready))
    return Status(
        deployment=name,
        generation=3,
        state="progressing",
        created_at=STARTED,
        tasks=tasks,
        services=services,
    )


def task(task_id: str, state: str, number: int) -> TaskStatus:
    kind, _, module = task_id.partition(":")
    began = STARTED + number if state in {"succeeded", "running", "failed"} else None
    ended = STARTED + 2 * number + 1.5 if state in {"succeeded", "failed"} else None
    return TaskStatus(
        id=task_id,
        kind=kind,
        module=module,
        state=state,
        attempt=2 if state == "running" else 1,
        worker=f"worker-{number % 3}" if began else None,
        started_at=began,
        ended_at=ended,
    )


def service(name: str, path: str, number: int) -> ServiceStatus:
    endpoint = EndpointStatus(
        url=f"http://127.0.0.1:4100{number}",
        replica=f"r{number}",
        worker="worker-1",
        state="ready",
        lease_ms=9000,
    )
    return ServiceStatus(service=path, deployment=name, generation=3, endpoints=(endpoint,))


TREES = {"7": digits, "60": sixty, "1000": thousand, "chinese": chinese}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tree", TREES)
def test_a_screen_is_as_it_was(tree: str, size: str) -> None:
    """To the character."""
    width, height = SIZES[size]
    board = Board(TREES[tree]())
    lines = board_lines(f"{board_name(board)}@3", board, NOW, width=width, height=height)
    compare(f"{tree}.{size}", plain_text(lines))


@pytest.mark.parametrize("tree", TREES)
def test_a_pipe_gets_all_of_a_small_tree_and_of_a_large_one_what_failed(tree: str) -> None:
    """Without a width nothing is cut."""
    lines = status_lines(TREES[tree](), ALL, NOW, width=None, height=24)
    compare(f"{tree}.pipe", plain_text(lines))


def compare(name: str, screen: str) -> None:
    text = screen + "\n"
    kept = SCREENS / f"{name}.txt"
    if os.environ.get("SCREENS") == "write":
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(text)
    assert text == kept.read_text()


@pytest.mark.parametrize("width", [40, 60, 80, 160])
@pytest.mark.parametrize("tree", TREES)
def test_no_line_is_wider_than_the_terminal_and_every_state_is_whole(tree: str, width: int) -> None:
    """Labels give way, states never."""
    board = Board(TREES[tree]())
    lines = board_lines("name@3", board, NOW, width=width, height=24)
    assert len(lines) <= 24
    assert all(cells(line) <= width for line in plain_text(lines[:-1]).splitlines())
    text = plain_text(lines)
    assert LONGEST_STATE in text
    assert "failed train" in text or tree == "7"


def board_name(board: Board) -> str:
    return next(iter(board.modules)).partition("/")[0]
