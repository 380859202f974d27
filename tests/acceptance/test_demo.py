"""What a newcomer does first: the demo, and a tree of their own in a folder of their own."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.programs import rootward, run

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.timeout(150)
def test_demo_trains_serves_and_votes_better_than_its_members(tmp_path: Path) -> None:
    program = run(
        rootward("up", f"{EXAMPLES / 'digits.py'}:tree", "--once", "--json"),
        folder=tmp_path,
        timeout=140,
    )
    assert program.process.returncode == 0, program.report()
    accuracies = json.loads(program.stdout)["eval"]
    vote = accuracies.pop("digits")
    assert len(accuracies) == 3
    assert all(accuracy > 0.95 for accuracy in accuracies.values())
    assert vote >= max(accuracies.values())


@pytest.mark.timeout(150)
def test_search_finds_texts_by_their_first_sentences(tmp_path: Path) -> None:
    program = run(
        rootward("up", f"{EXAMPLES / 'search' / 'app.py'}:tree", "--once", "--json"),
        folder=tmp_path,
        environ={"ROOTWARD_WORKSPACE": str(tmp_path / "work")},
        timeout=140,
    )
    assert program.process.returncode == 0, program.report()
    told = json.loads(program.stdout)
    [recall] = told["evaluations"]
    assert (recall["measure"], recall["items"]) == ("recall", 50)
    assert recall["result"] > 0.5
    [training] = [task for task in told["tasks"] if task["kind"] == "train"]
    assert training["progress"]["done"] == training["progress"]["total"] == 400
    assert not list((tmp_path / "work").rglob("*.npy")), "its checkpoints have served"
    assert len((EXAMPLES / "search" / "app.py").read_text().splitlines()) < 80


@pytest.mark.timeout(90)
def test_first_tree_runs_in_an_empty_folder(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "hello.py", tmp_path)
    program = run(rootward("up", "hello.py:tree", "--once", "--json"), folder=tmp_path, timeout=80)
    assert program.process.returncode == 0, program.report()
    assert json.loads(program.stdout)["eval"]["hello"] == [
        "Hello, Ada! How are you?",
        "Hello, Grace! How are you?",
    ]


def test_first_tree_can_be_planned_without_any_server(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "hello.py", tmp_path)
    program = run(rootward("plan", "hello.py:tree", "--json"), folder=tmp_path)
    assert program.process.returncode == 0, program.report()
    kinds = [task["kind"] for task in json.loads(program.stdout)["tasks"]]
    assert kinds.count("train") == 1
    assert kinds.count("deploy") == 2
    assert kinds[-1] == "eval"


def test_first_tree_runs_in_a_program_without_redis(tmp_path: Path) -> None:
    text = (EXAMPLES / "hello.py").read_text()
    program_file = tmp_path / "program.py"
    program_file.write_text(f"{text}\ntree.update()\nprint(tree('Ada'))\ntree.stop()\n")

    program = run([sys.executable, str(program_file)], folder=tmp_path)
    assert program.process.returncode == 0, program.report()
    assert program.stdout == "Hello, Ada! How are you?\n"
