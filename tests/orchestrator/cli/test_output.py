"""What is printed where, and what is imported for it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from rootward.orchestrator.cli import run
from rootward.orchestrator.cli.output import duration, plain

if TYPE_CHECKING:
    from pathlib import Path

IMPORTED = """
import sys
from rootward.orchestrator.cli import run
assert run(sys.argv[1:]) == 0
heavy = {"redis", "rq", "rich", "asyncio", "cloudpickle", "msgpack", "starlette", "uvicorn"}
sys.exit(f"imported: {heavy & set(sys.modules)}" if heavy & set(sys.modules) else 0)
"""


class Array:
    """Something that turns into a list, as numpy's arrays do."""

    def tolist(self) -> list[int]:
        """Return the list."""
        return [1, 2]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["version"], ["gateway", "-h"]])
def test_nothing_heavy_is_imported_for(arguments: list[str]) -> None:
    """Help and version feel instant."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["staus"], "Did you mean 'status'?"),
        (["gateway", "lst"], "Did you mean 'list'?"),
        (["plan", "x:y", "--kinds", "trian"], "did you mean 'train'?"),
        (["status", "--wach"], "--watch"),
        (["plan", "nothing"], "is no TARGET"),
        (["plan", "missing.py:tree"], "there is no file"),
        (["worker", "--resource", "gpu"], "NAME=AMOUNT"),
        (["gateway", "call", "x", "{"], "is no JSON"),
    ],
)
def test_wrong_usage_is_told_with_the_nearest_name(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, nothing on standard output."""
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert printed.out == ""


def test_no_redis_is_exit_code_3(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Given none, the user is told of the ways to have one; a dead one is named."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert run(["status"]) == 3
    assert "rootward up" in capsys.readouterr().err
    assert run(["status", "--redis-url", "redis://:hunter2@127.0.0.1:1/0"]) == 3
    told = capsys.readouterr().err
    assert "127.0.0.1:1" in told
    assert "hunter2" not in told


def test_a_bad_setting_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is named."""
    monkeypatch.setenv("REDIS_URL", "nonsense")
    assert run(["status"]) == 2
    assert "REDIS_URL" in capsys.readouterr().err


def test_a_misspelt_variable_is_a_line_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It names the nearest one, and isn't mixed with the data."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("ROOTWARD_PREFX", "x")
    run(["deployments"])
    assert "did you mean ROOTWARD_PREFIX" in capsys.readouterr().err


def test_version_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One document, and nothing else."""
    assert run(["version", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"rootward", "python"}


def test_a_closed_pipe_is_quiet() -> None:
    """`rootward ... | head` ends without a word."""
    command = (
        f"{sys.executable} -c 'from rootward.orchestrator.cli import main; main()' version | true"
    )
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2.5, "x", None, True), [1, 2.5, "x", None, True]),
        ({1: {"a": float("nan")}}, {"1": {"a": None}}),
        ({3}, [3]),
        (b"bytes", "bytes"),
        ([Array()], [[1, 2]]),
    ],
)
def test_values_get_jsons_types(value: Any, expected: Any) -> None:
    """What Python has and JSON has not becomes what comes nearest."""
    assert plain(value) == expected


def test_a_value_without_a_json_form_is_named() -> None:
    """The type says what the module returned."""
    with pytest.raises(TypeError, match="object"):
        plain(object())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.421, "0.42s"),
        (12.34, "12.3s"),
        (245, "4m05s"),
        (11220, "3h07m"),
        (200000, "2d"),
        (-1, "0.00s"),
    ],
)
def test_durations_read_as_a_person_says_them(seconds: float | None, text: str) -> None:
    """Short, and precise where it matters."""
    assert duration(seconds) == text
