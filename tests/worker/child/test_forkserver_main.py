"""Templates load a tree once, start slots and replicas from it, and end with all below them."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from rootward.modules import ModuleBase, parallel
from rootward.modules.errors import NestedDeployment
from rootward.modules.processes.forkserver import LoadFailed
from rootward.modules.processes.scarcity import NoProcess
from rootward.worker.child import process_tree
from tests.support.hosted import TIMEOUT_S, Owner
from tests.support.leaks import MARK, kill_marked, marked_processes
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


class Loud(ModuleBase):
    """Prints, changes itself and others, fails, or ends its process."""

    def __init__(self, how: str = "well") -> None:
        super().__init__(name="loud")
        self.how = how
        self.count = 0
        self.other = Silent()

    def _get_train_tasks(self) -> Any:
        return [self.speak, self.act]

    def speak(self) -> None:
        print("on stdout")
        print("on stderr", file=sys.stderr)

    def act(self) -> None:
        match self.how:
            case "well":
                self.count += 1
                self.other.word = "changed"
            case "raise":
                raise LookupError("not there")
            case "exit":
                sys.exit(3)
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "deploy":
                self.update()
            case "secrets":
                self.seen = sorted({"REDIS_URL", "ROOTWARD_SECRET"} & os.environ.keys())
            case "fork":
                pid = os.fork()
                if pid == 0:
                    os._exit(0)
                os.waitpid(pid, 0)


class Silent(ModuleBase):
    """Is changed by others."""

    word = "unchanged"

    def _get_train_tasks(self) -> Any:
        def check() -> None:
            self.seen = self.word

        return check


class Unloadable(ModuleBase):
    """Can't be rebuilt in another process."""

    def __setstate__(self, state: Any) -> None:
        print("loading")
        raise ImportError("no module named missing_library")


class Flowing(ModuleBase):
    """Runs a flow when it is loaded."""

    def __setstate__(self, state: Any) -> None:
        vars(self).update(state)
        assert parallel(int, int)("7") == (7, 7)


class Threaded(ModuleBase):
    """Leaves a thread running when it is loaded."""

    def __setstate__(self, state: Any) -> None:
        import threading

        vars(self).update(state)
        threading.Thread(target=threading.Event().wait, daemon=True).start()

    def _get_train_tasks(self) -> Any:
        def train() -> None:
            self.pid = os.getpid()

        return train


@pytest.fixture(autouse=True)
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A mark on every process that the test starts; none may be left."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    yield mark
    try:
        wait_until(lambda: not marked_processes(mark), description="no process is left")
    finally:
        kill_marked(mark)


def test_slot_runs_tasks_and_tells_what_they_changed() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            template = await owner.load(Loud())
            assert owner.info.fork_safe
            one, two = owner.slot(template), owner.slot(template)
            done = await one.run("loud", "train")
            one.go_on()
            assert done["error"] is None
            assert one.output == {1: b"on stdout\n", 2: b"on stderr\n"}
            assert len(done["states"]) == 2
            # The other slot knows nothing of it until it is sent the states.
            other = await two.run("loud/other", "train", done["states"])
            third = await one.run("loud/other", "train")
            assert other["states"] == third["states"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("how", "kind"),
    [("raise", "LookupError"), ("exit", "SystemExit"), ("deploy", NestedDeployment.__name__)],
)
def test_error_of_a_task_is_its_outcome(how: str, kind: str) -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            slot = owner.slot(await owner.load(Loud(how)))
            done = await slot.run("loud", "train")
            assert done["error"]["type"] == kind
            assert "in act" in done["error"]["traceback"]
            assert "execution.py" not in done["error"]["traceback"]
            # It is spoiled: what was to come next can be taken back.
            number = slot.begin("loud", "train", [])
            assert slot.child.lane.take_back() == [number]

    asyncio.run(scenario())


def test_end_of_a_slot_is_told_after_its_output() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            slot = owner.slot(await owner.load(Loud("die")))
            slot.begin("loud", "train", [])
            status = await slot.ended()
            assert status is not None
            assert os.WTERMSIG(status) == signal.SIGKILL
            assert slot.output[1] == b"on stdout\n"

    asyncio.run(scenario())


def test_user_code_sees_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOTWARD_SECRET", "hush")
    monkeypatch.setenv("REDIS_URL", "redis://:hush@127.0.0.1:1")

    async def scenario() -> bytes:
        async with Owner() as owner:
            done = await owner.slot(await owner.load(Loud("secrets"))).run("loud", "train")
            return bytes(done["states"][0])

    states = asyncio.run(scenario())
    assert b"seen" in states
    assert b"REDIS_URL" not in states


def test_fork_in_a_task_harms_nobody() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            slot = owner.slot(await owner.load(Loud("fork")))
            assert (await slot.run("loud", "train"))["error"] is None
            slot.go_on()
            assert (await slot.run("loud", "train"))["error"] is None

    asyncio.run(scenario())


def test_tree_that_can_not_be_loaded_is_told_with_its_output() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            with pytest.raises(LoadFailed) as caught:
                await owner.load(Unloadable())
            assert caught.value.error["type"] == "ImportError"
            assert "missing_library" in caught.value.error["traceback"]
            assert "loading" in caught.value.output_tail

    asyncio.run(scenario())


def test_flows_that_ran_while_a_tree_was_loaded_leave_it_safe_to_fork() -> None:
    """Their threads rest for a while, and must not be there at the fork."""

    async def scenario() -> None:
        async with Owner() as owner:
            await owner.load(Flowing())
            assert owner.info.fork_safe

    asyncio.run(scenario())


def test_template_with_threads_turns_into_its_child() -> None:
    """Forking a process with threads could leave a lock locked for ever."""

    async def scenario() -> None:
        async with Owner() as owner:
            template = await owner.load(Threaded())
            assert not owner.info.fork_safe
            slot = owner.slot(template)
            assert (await slot.run("threaded", "train"))["error"] is None
            assert slot.child.pid == template.pid
            slot.child.kill()
            status = await slot.ended()
            assert status is not None
            assert os.WTERMSIG(status) == signal.SIGKILL
            await template.ended

    asyncio.run(scenario())


class Narrow(ModuleBase):
    """Leaves no room for open files in the process that loads it."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Each takes the lowest that is free, so below the last of them none is left.
        self.taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(64)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(self.taken) + 1, hard))


@pytest.mark.skipif(not process_tree.IS_LINUX, reason="looks at the kernel's own list of files")
def test_a_template_without_room_for_open_files_refuses_a_process_and_lives_on() -> None:
    """Nothing was begun, so that what was to run there can be tried elsewhere, uncounted."""

    async def scenario() -> None:
        async with Owner() as owner:
            template = await owner.load(Narrow(name="narrow"))
            for _ in range(2):
                slot = owner.slot(template)
                assert await slot.ended() is None
                assert isinstance(slot.child.refusal, NoProcess)
                assert "open no more files" in str(slot.child.refusal)
            assert not template.ended.done()
            template.close()
            await template.ended

    asyncio.run(scenario())


@pytest.mark.parametrize("stopped", [False, True])
def test_close_ends_everything_below(mark: str, stopped: bool) -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            template = await owner.load(Loud())
            slot = owner.slot(template)
            await slot.run("loud", "train")
            if stopped:
                assert template.pid is not None
                os.kill(template.pid, signal.SIGSTOP)
                slot.child.kill(signal.SIGSTOP)
            template.close()
            async with asyncio.timeout(TIMEOUT_S):
                await template.ended
            await slot.ended()
            assert len(marked_processes(mark)) == 1

    asyncio.run(scenario())


def test_killed_bare_template_takes_all_along() -> None:
    async def scenario() -> None:
        owner = Owner()
        async with owner:
            template = await owner.load(Loud())
            slot = owner.slot(template)
            await slot.run("loud", "train")
            assert owner.bare.pid is not None
            os.kill(owner.bare.pid, signal.SIGKILL)
            await slot.ended()
            await template.ended

    asyncio.run(scenario())
