"""Who runs tasks: what was entered in this thread, else the environment, else this process."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from rootward.modules import ModuleBase, executor
from rootward.modules.errors import NestedDeployment, TaskFailed
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


class Named:
    """An executor that is only asked for its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, root: ModuleBase, **options: Any) -> None:
        """Run nothing."""

    def stop(self, root: ModuleBase) -> None:
        """Stop nothing."""

    def wait(self, root: ModuleBase) -> None:
        """Wait for nothing."""


def name_here() -> str:
    return getattr(executor.resolve(), "name", "this process")


def test_two_threads_each_have_what_they_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    both = threading.Barrier(2, timeout=20)
    seen: dict[str, list[str]] = {"one": [], "other": []}

    def work(name: str) -> None:
        mine = Named(name)
        executor.enter(mine)
        both.wait()
        seen[name].append(name_here())
        both.wait()
        executor.leave(mine)
        seen[name].append(name_here())

    threads = [threading.Thread(target=work, args=(name,)) for name in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert seen == {name: [name, "this process"] for name in seen}


def test_two_coroutines_each_have_what_they_entered() -> None:
    async def work(name: str) -> str:
        executor.enter(Named(name))
        await asyncio.sleep(0)
        return name_here()

    async def both() -> list[str]:
        return list(await asyncio.gather(work("one"), work("other")))

    assert asyncio.run(both()) == ["one", "other"]


def test_what_is_entered_within_is_asked_until_it_is_left() -> None:
    outer, inner = Named("outer"), Named("inner")

    def nested() -> list[str]:
        names = []
        executor.enter(outer)
        executor.enter(inner)
        names.append(name_here())
        executor.leave(inner)
        executor.leave(inner)
        names.append(name_here())
        return names

    assert contextvars.copy_context().run(nested) == ["inner", "outer"]


def test_what_one_thread_imports_forbids_nothing_to_another() -> None:
    found: list[object] = []
    with executor.forbidden("a test"):
        with pytest.raises(NestedDeployment, match="a test"):
            executor.resolve()
        thread = threading.Thread(target=lambda: found.append(executor.resolve()))
        thread.start()
        thread.join(20)
    assert len(found) == 1


class Task(ModuleBase):
    """Does in its train task what it is told."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(name="task")
        self.error = error

    def _get_train_tasks(self) -> Any:
        return self.fail

    def fail(self) -> NoReturn:
        raise self.error


class Home(BaseException):
    """Is no Exception."""


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), Home("go")])
def test_a_task_that_raises_no_exception_has_failed(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    with pytest.raises(
        TaskFailed, match=f"train task of task raised {type(error).__name__}"
    ) as got:
        Task(error).update()
    assert got.value.__cause__ is error


def test_an_interrupt_is_one_sentence_in_its_place() -> None:
    with pytest.raises(KeyboardInterrupt) as got:
        Task(KeyboardInterrupt()).update()
    assert str(got.value) == "interrupted in the train task of task"
    assert got.value._render_traceback_() == [str(got.value)]  # type: ignore[attr-defined]


PROGRAM = """
import time
from rootward import ModuleBase

class Slow(ModuleBase):
    def _get_train_tasks(self):
        return self.train
    def train(self):
        print("begun", flush=True)
        time.sleep(600)

Slow(name="slow").update()
"""


def test_ctrl_c_in_update_prints_one_line_and_ends_as_an_interrupt(tmp_path: Path) -> None:
    import signal

    (tmp_path / "slow.py").write_text(PROGRAM)
    with (tmp_path / "out").open("w+") as out, (tmp_path / "err").open("w+") as err:
        process = subprocess.Popen(
            [sys.executable, "slow.py"], cwd=tmp_path, stdout=out, stderr=err
        )
        wait_until(
            lambda: "begun" in (tmp_path / "out").read_text(), description="it runs", timeout=30
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT
    assert (tmp_path / "err").read_text() == "interrupted in the train task of slow\n"
