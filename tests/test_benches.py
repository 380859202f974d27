"""What the benchmarks rest on: that a wrong run is known for it, and that kept runs compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def benches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benches"))


Line = tuple[int, int, int, int]
RIGHT: dict[str, list[Line]] = {
    # Node, when it began and ended, what it counted.
    "binary-3": [(0, 1, 2, 1), (1, 1, 3, 1), (2, 4, 5, 3)],
    "stages-4": [(0, 1, 2, 1), (1, 1, 3, 1), (2, 4, 5, 1), (3, 6, 7, 4)],
}


def check(folder: Path, shape: str, lines: list[Line]) -> None:
    import traces
    from shapes import shape as known

    told = "".join(" ".join(map(str, (*line, 77))) + "\n" for line in lines)
    (folder / shape).write_text(told)
    traces.check(folder, known(shape))


@pytest.mark.parametrize("shape", RIGHT)
def test_a_right_trace_passes(tmp_path: Path, shape: str) -> None:
    check(tmp_path, shape, RIGHT[shape])


@pytest.mark.parametrize(
    ("shape", "node", "line", "message"),
    [
        ("binary-3", 1, None, "2 of 3 nodes ran"),
        ("binary-3", 1, (0, 1, 2, 1), "node 0 ran twice"),
        ("binary-3", 2, (2, 2, 5, 3), "began before its child 1 ended"),
        ("binary-3", 2, (2, 4, 5, 2), "the root counted 2"),
        ("stages-4", 2, (2, 2, 5, 1), "the second stage began before"),
    ],
)
def test_a_wrong_trace_is_refused(
    tmp_path: Path, shape: str, node: int, line: Line | None, message: str
) -> None:
    lines = [*RIGHT[shape]]
    lines[node : node + 1] = [line] if line else []
    with pytest.raises(AssertionError, match=message):
        check(tmp_path, shape, lines)


def run(contestant: str, repeat: int, **values: Any) -> Any:
    from runs import Group, Run

    group = Group(section="us", shape="chain-10", repeat=repeat)
    return Run(group=group, contestant=contestant, **values)


def test_kept_runs_are_gone_on_with_from_the_first_group_that_isnt_whole(tmp_path: Path) -> None:
    from runs import Results

    path, names = tmp_path / "results.json", ("raw", "rootward")
    first = Results({"code": "a"}, path)
    for each in (run("raw", 0), run("rootward", 0, makespan_s=2.0), run("raw", 1)):
        first.add(each)
    later = Results({"code": "a"}, path)
    assert later.runs == first.runs
    assert not later.begin(run("raw", 0).group, names)
    assert later.begin(run("raw", 1).group, names)
    assert [each.group.repeat for each in later.runs] == [0, 0]


def test_kept_runs_of_other_code_are_refused(tmp_path: Path) -> None:
    from runs import Results, WrongFile

    path = tmp_path / "results.json"
    Results({"code": "a", "cores": 2}, path).add(run("raw", 0))
    with pytest.raises(WrongFile, match="differ in code:"):
        Results({"code": "b", "cores": 2}, path)


def test_runs_are_compared_with_the_raw_loop_of_their_own_minute() -> None:
    import ratios
    from runs import Results

    results = Results({}, None)
    for repeat, (raw_s, ours_s) in enumerate([(1.0, 2.0), (10.0, 30.0), (2.0, 8.0)]):
        results.add(run("raw", repeat, makespan_s=raw_s, submit_s=1.0))
        results.add(run("rootward", repeat, makespan_s=ours_s, submit_s=2.0))
    assert ratios.makespan(results, "rootward", "chain-10") == 3.0
    assert ratios.least(results, "rootward", "chain-10") == 2.0
    assert "| **no** " not in ratios.goals(results)


def test_a_run_that_was_ended_or_failed_is_told_as_such() -> None:
    import ratios
    from runs import Results

    results = Results({}, None)
    results.add(run("raw", 0, makespan_s=0.5))
    results.add(run("rq", 0, makespan_s=60.0, is_over=True))
    results.add(run("celery", 0, failed="RuntimeError: gone"))
    told = {line.split("|")[2].strip(): line for line in ratios.relative(results).splitlines()}
    assert "> 120" in told["rq"]
    assert "failed" in told["celery"]
    assert ratios.makespan(results, "rq", "chain-10") is None
