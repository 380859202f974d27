"""The board: a snapshot, then only what has changed since."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from rootward.orchestrator.gateway.live.board import KEPT_DROPS, LiveBoard

if TYPE_CHECKING:
    from rootward.orchestrator.gateway.live.board import Changes


def everything(key: str) -> bool:
    return True


def told(changes: Changes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(changes.to_text(1.0))
    return found


def test_only_what_is_newer_is_told() -> None:
    board = LiveBoard()
    board.update({"d/a": {"n": 1}, "d/b": {"n": 1}}, below=("d/",))
    whole = told(board.changes("", everything))
    assert whole["whole"]
    assert whole["set"] == {"d/a": {"n": 1}, "d/b": {"n": 1}}
    board.update({"d/a": {"n": 2}, "d/c": {"n": 1}}, below=("d/",))
    more = told(board.changes(whole["version"], everything))
    assert not more["whole"]
    assert more["set"] == {"d/a": {"n": 2}, "d/c": {"n": 1}}
    assert more["drop"] == ["d/b"]


def test_the_same_again_is_no_change() -> None:
    board = LiveBoard()
    assert board.update({"d/a": {"n": 1}}, below=("d/",))
    version = board.version
    assert not board.update({"d/a": {"n": 1}}, below=("d/",))
    assert board.version == version


def test_others_prefixes_are_left_alone() -> None:
    board = LiveBoard()
    board.put("q", 1)
    board.update({}, below=("d/",))
    assert board.text("q") == "1"


def test_a_version_of_another_run_gets_everything() -> None:
    board, other = LiveBoard(), LiveBoard()
    board.put("q", 1)
    other.put("q", 1)
    assert board.changes(other.version, everything).is_whole
    assert board.changes("nonsense", everything).is_whole
    assert board.changes(f"{board.version}0", everything).is_whole


def test_who_missed_forgotten_drops_gets_everything() -> None:
    board = LiveBoard()
    before = board.version
    board.update({f"t/{n}": n for n in range(KEPT_DROPS + 10)}, below=("t/",))
    board.update({}, below=("t/",))
    assert board.changes(before, everything).is_whole
    assert not board.changes(board.version, everything).is_whole


def test_a_change_wakes_who_waits() -> None:
    async def wait() -> None:
        board = LiveBoard()
        waiting = asyncio.ensure_future(board.changed())
        asyncio.get_running_loop().call_soon(board.put, "q", 1)
        async with asyncio.timeout(5):
            await waiting

    asyncio.run(wait())
