"""What a task's own code learns of it, and says of itself."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import rootward
from rootward.modules import running
from rootward.modules.running import BadWorkspace, NoTask, RunningTask

if TYPE_CHECKING:
    from pathlib import Path


def test_outside_of_a_task_nothing_is_known_and_progress_goes_nowhere() -> None:
    rootward.progress(1, 2)
    for ask in (rootward.attempt, rootward.workspace):
        with pytest.raises(NoTask, match="no task runs"):
            ask()


def test_progress_is_reported_with_its_figures_from_any_thread() -> None:
    reports: list[Any] = []
    task = RunningTask(deployment="d", path="d/m", attempt=3, report=reports.append)
    with running.within(task):
        rootward.progress(np.int64(1), 4.0, "epoch 1", loss=np.float32(0.5))
        thread = threading.Thread(target=rootward.progress, args=(2,))
        thread.start()
        thread.join()
        assert rootward.attempt() == 3
    first, second = reports
    assert first.pop("at") <= second.pop("at")
    assert first == {"done": 1, "total": 4, "text": "epoch 1", "figures": {"loss": 0.5}}
    assert second == {"done": 2, "total": None, "text": None, "figures": {}}


@pytest.mark.parametrize(
    ("arguments", "figures", "error"),
    [
        (("x",), {}, TypeError),
        ((None,), {}, TypeError),
        ((math.nan,), {}, ValueError),
        ((-1,), {}, ValueError),
        ((1, math.inf), {}, ValueError),
        ((1,), {"loss": "small"}, TypeError),
    ],
)
def test_progress_that_is_no_number_is_an_error_that_names_it(
    arguments: tuple[Any, ...], figures: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"progress: (done|total|loss) is"):
        rootward.progress(*arguments, **figures)


def test_a_figure_may_be_any_number() -> None:
    """A loss that has become infinite is what people want to see."""
    reports: list[Any] = []
    with running.within(RunningTask(deployment="d", path="d", report=reports.append)):
        rootward.progress(1, loss=math.inf, gain=-2)
    assert reports[0]["figures"] == {"loss": "inf", "gain": -2}


def test_a_workspace_is_of_one_module_of_one_deployment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOTWARD_WORKSPACE", str(tmp_path))
    places = [("one", "one/a"), ("one", "one/a/b"), ("one", "one"), ("two", "one/a")]
    found = set()
    for attempt in (1, 2):
        for deployment, path in places:
            task = RunningTask(deployment=deployment, path=path, attempt=attempt)
            with running.within(task):
                folder = rootward.workspace()
            assert folder.is_dir()
            found.add(folder)
    assert len(found) == len(places)
    assert not any(a in b.parents for a in found for b in found)


def test_a_workspace_that_cannot_be_made_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ROOTWARD_WORKSPACE", str(tmp_path / "file"))
    with (
        running.within(RunningTask(deployment="d", path="d")),
        pytest.raises(BadWorkspace, match="file"),
    ):
        rootward.workspace()


def test_a_workspace_that_cannot_be_written_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOTWARD_WORKSPACE", str(tmp_path))
    monkeypatch.setattr("os.access", lambda *_: False)
    with (
        running.within(RunningTask(deployment="d", path="d")),
        pytest.raises(BadWorkspace, match="set ROOTWARD_WORKSPACE to a folder"),
    ):
        rootward.workspace()


def test_workspaces_lie_in_the_cache_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROOTWARD_WORKSPACE", raising=False)
    for variable, folder in (("ROOTWARD_CACHE", ""), ("XDG_CACHE_HOME", "rootward")):
        monkeypatch.delenv("ROOTWARD_CACHE", raising=False)
        monkeypatch.setenv(variable, str(tmp_path / variable))
        with running.within(RunningTask(deployment="d", path="d/m")):
            found = rootward.workspace()
        assert found == tmp_path / variable / folder / "workspaces" / "d" / "d+m"


def test_tasks_of_a_local_run_have_a_workspace_and_an_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOTWARD_WORKSPACE", str(tmp_path))

    class Learner(rootward.ModuleBase):
        def _get_train_tasks(self) -> Any:
            return self.train

        def train(self) -> None:
            rootward.progress(1, 1)
            (rootward.workspace() / "weights").write_text("7")
            self.seen = rootward.attempt()

    module = Learner(name="learner")
    module.update()
    assert module.seen == 1
    assert [file.name for file in tmp_path.rglob("weights")] == ["weights"]


def test_a_task_that_was_told_that_its_worker_leaves_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running, "_stop", False)
    task, called = RunningTask(deployment="d", path="d/m"), threading.Event()
    assert not rootward.stopping()
    with running.within(task):
        assert not rootward.stopping()
        running.announce_stop()
        assert not running.gives_back(None), "it has ended without a look"
        assert rootward.stopping()
        assert running.gives_back(None)
    with running.within(task):
        assert rootward.on_stopping(called.set) == called.set
        assert called.wait(30), "the worker is leaving already"
        assert not running.gives_back(None), "it has done all that it had to"
        assert running.gives_back({"type": "SystemExit"})
    assert not rootward.stopping(), "outside of a task nobody is told"
    with pytest.raises(NoTask):
        rootward.on_stopping(called.set)


def test_handlers_of_one_task_are_not_called_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_stop", False)
    first, second = threading.Event(), threading.Event()
    with running.within(RunningTask(deployment="d", path="d/m")):
        rootward.on_stopping(first.set)
    with running.within(RunningTask(deployment="d", path="d/n")):
        rootward.on_stopping(second.set)
        running.announce_stop()
        assert second.wait(30)
    assert not first.is_set()
