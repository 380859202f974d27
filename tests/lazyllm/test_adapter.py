"""Real lazyllm modules as trees: the same answers as lazyllm's own, here and on workers.

Each app in `apps` runs in a process of its own: unchanged with lazyllm alone, and through rootward.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.support.programs import Program, rootward
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
APPS = Path(__file__).parent / "apps"
ENGINE = Path(__file__).parent / "engine"
NAMES = ("classes", "servers", "flows", "engines", "sessions", "addresses", "chat")
THROUGH = ("-m", "rootward.lazyllm")

# What lazyllm 1.4 itself answers otherwise, and why.
LAZYLLM_DIFFERS: dict[str, Any] = {
    "flows": None,  # its bound inputs lose `unpack` on their way to the server
    "servers": [["<AB!>.", "a"], "X!", 6],  # of a stream its handle keeps the first piece alone
}

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("lazyllm") is None,
        reason="lazyllm is not installed; scripts/lazyllm installs it and runs this",
    ),
    pytest.mark.timeout(180),
]


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join(map(str, (APPS, ENGINE, ROOT)))
    return {**os.environ, "PYTHONPATH": path, **more}


def answers(app: str, how: tuple[str, ...], **more: str) -> Any:
    done = subprocess.run(
        [sys.executable, *how, "answer.py", app],
        cwd=APPS,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    for line in done.stdout.splitlines():
        if line.startswith("ANSWERS "):
            return json.loads(line.removeprefix("ANSWERS "))["answers"]
    return done.stderr[-3000:]


@contextmanager
def running(*hosts: str) -> Iterator[tuple[dict[str, str], list[subprocess.Popen[bytes]]]]:
    """Start a worker at each address; yield what a program needs to reach them, and the workers."""
    from rootward.orchestrator.embedded.server import EmbeddedServer

    with EmbeddedServer() as server:
        settings = {"REDIS_URL": server.url, "ROOTWARD_SECRET": "s" * 40}
        # A worker that was killed is missed soon, within the time that calls wait.
        settings["ROOTWARD_LEASE_SECONDS"] = "3"
        command = [sys.executable, "-m", "rootward", "worker", "--slots", "4"]
        started = [
            subprocess.Popen(
                [*command, "--name", f"w{number}", "--host", host], env=environment(**settings)
            )
            for number, host in enumerate(hosts)
        ]
        try:
            yield settings, started
        finally:
            for worker in started:
                worker.terminate()
            for worker in started:
                worker.wait(60)


@pytest.fixture(scope="module")
def workers() -> Iterator[dict[str, str]]:
    """Two workers and what a program needs to reach them."""
    with running("127.0.0.1", "127.0.0.1") as (settings, _):
        yield settings


@pytest.mark.parametrize("app", NAMES)
def test_an_app_answers_the_same_on_this_machine(app: str) -> None:
    ours = answers(app, THROUGH)
    assert isinstance(ours, list), ours
    if app == "chat":
        # Of a stream lazyllm's handle keeps the first piece, whatever that holds by then.
        assert ours == ["hello hello hello", "word word word"]
        return
    theirs = answers(app, ())
    if app in LAZYLLM_DIFFERS:
        assert theirs != ours
        assert LAZYLLM_DIFFERS[app] in (None, theirs)
    else:
        assert theirs == ours


@pytest.mark.parametrize("app", NAMES)
def test_an_app_answers_the_same_on_workers(app: str, workers: dict[str, str]) -> None:
    assert answers(app, THROUGH, **workers) == answers(app, THROUGH)


@pytest.mark.parametrize("app", NAMES)
def test_the_command_line_takes_an_app_as_it_is(app: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rootward", "up", f"{app}.py:tree", "--once"],
        cwd=APPS,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_an_engine_streams_through_the_gateway(tmp_path: Path) -> None:
    """The first piece is there while the engine still waits to make the last one."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    environ = {"PYTHONPATH": str(ENGINE), "ENGINE_GATE": str(gate)}
    (tmp_path / "chat.py").write_bytes((APPS / "chat.py").read_bytes())
    with Program(rootward("up", "chat.py:tree"), folder=tmp_path, environ=environ) as up:
        wait_until(
            lambda: "is ready" in up.stderr and "dashboard: " in up.stderr,
            description="the chat is ready",
            timeout=150,
        )
        base = up.stderr.partition("dashboard: ")[2].split()[0]
        with urllib.request.urlopen(f"{base}api/services", timeout=10) as listed:
            service = min((each["service"] for each in json.load(listed)), key=len)
        request = urllib.request.Request(
            f"{base}services/{service}",
            data=b'"hello"',
            headers={"Content-Type": "application/json", "Accept": "text/event-stream"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            first = answer.readline()
            gate.write_bytes(b"")
            pieces = [first, *answer]
        texts = [json.loads(line[6:]) for line in pieces if line.startswith(b'data: "')]
        assert "hello hello".startswith(texts[0])
        assert "".join(texts) == "hello hello hello"
        assert b"event: end\n" in pieces
        assert up.stop(signal.SIGINT) == 130, up.report()


@pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="gradio is not installed")
def test_a_page_is_served_by_a_replica() -> None:
    """The page that a script starts is a process of its own, and comes back when it is killed."""
    done = subprocess.run(
        [sys.executable, *THROUGH, "page_comes_back.py"],
        cwd=APPS,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="gradio is not installed")
def test_a_page_is_whole_behind_the_gateway(tmp_path: Path) -> None:
    """What it loads is found under the path that the gateway gives it."""
    (tmp_path / "page.py").write_bytes((APPS / "page.py").read_bytes())
    with Program(rootward("up", "page.py:tree", "--name", "page"), folder=tmp_path) as up:
        wait_until(
            lambda: "is ready" in up.stderr and "dashboard: " in up.stderr,
            description="the page is ready",
            timeout=150,
        )
        base = up.stderr.partition("dashboard: ")[2].split()[0]
        with urllib.request.urlopen(f"{base}services/page/", timeout=60) as answer:
            text = answer.read().decode()
        loaded = re.findall(r'(?:src|href)="([^"]*/assets/[^"]*)"', text)
        assert loaded
        with urllib.request.urlopen(
            urllib.parse.urljoin(f"{base}services/page/", loaded[0]), timeout=60
        ) as answer:
            assert answer.status == 200
        assert up.stop(signal.SIGINT) == 130, up.report()


def test_a_killed_replica_costs_no_call() -> None:
    import rootward.lazyllm  # noqa: F401 - puts lazyllm's modules through rootward

    lazyllm: Any = importlib.import_module("lazyllm")
    server = lazyllm.ServerModule(_pid_and, num_replicas=2)
    server.start()
    try:
        with called_by_four(server) as seen:
            for _ in range(3):
                os.kill(server(7)[0], signal.SIGKILL)
                # Each goes on only when calls succeed after the loss.
                for _ in range(50):
                    assert server(7)[1] == 7
        assert len(seen) >= 3
    finally:
        server.stop()


def test_a_killed_worker_costs_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    import rootward.lazyllm  # noqa: F401 - as above

    lazyllm: Any = importlib.import_module("lazyllm")
    with running("127.0.0.1", "127.0.0.1") as (settings, started):
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        server = lazyllm.ServerModule(_pid_and, num_replicas=2)
        server.start()
        try:
            with called_by_four(server) as seen:
                above = {each.pid for each in psutil.Process(server(7)[0]).parents()}
                (owner,) = (each for each in started if each.pid in above)
                before = set(seen)
                owner.kill()
                # Until what was lost has come back on the other worker.
                while seen <= before:
                    assert server(7)[1] == 7
        finally:
            server.stop()


def test_an_engine_is_reached_on_the_machine_where_it_runs() -> None:
    """It knows itself as 127.0.0.1 only; another address of this machine stands for another one."""
    with running("127.0.0.2") as (settings, _):
        found = answers("distant", THROUGH, **settings)
    assert found == ["127.0.0.2", answers("engines", THROUGH)[1]]


@contextmanager
def called_by_four(server: Any) -> Iterator[set[int]]:
    """Call a server of `_pid_and` all the while, none of which may fail; yield who has answered."""
    failures: list[BaseException] = []
    seen: set[int] = set()
    over = threading.Event()

    def call() -> None:
        while not over.is_set():
            try:
                pid, value = server(7)
                assert value == 7
                seen.add(pid)
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert failures == []


def _pid_and(value: int) -> tuple[int, int]:
    return os.getpid(), value


def test_trees_may_mix_both() -> None:
    import rootward

    lazyllm: Any = importlib.import_module("lazyllm")

    class Theirs(lazyllm.ModuleBase):  # type: ignore[misc, name-defined]
        def _get_train_tasks(self) -> Any:
            return lazyllm.pipeline(lambda: setattr(self, "factor", 10))

        def forward(self, value: int) -> int:
            return value * getattr(self, "factor", 1)

    class Ours(rootward.ModuleBase):
        def __init__(self, inner: Any) -> None:
            super().__init__(name="ours")
            self.inner = inner

        def forward(self, value: int) -> int:
            return int(self.inner(value)) + 1

    attribute, item, served = Theirs(), Theirs(), Theirs()
    root = rootward.ActionModule(Ours(attribute), rootward.pipeline(item))
    server = rootward.ServerModule(served)
    root.update()
    server.update()
    try:
        assert [m.class_name for m in root.submodules] == ["Ours", "Theirs"]
        assert (attribute.factor, item.factor) == (10, 10)
        assert (root(1), server(2)) == (110, 20)
    finally:
        server.stop()

    holder = lazyllm.ActionModule(Ours(Theirs()))
    import rootward.lazyllm

    holder.update()
    assert holder(2) == 21


def test_what_a_task_changes_is_on_the_object_that_the_caller_holds() -> None:
    import rootward.lazyllm  # noqa: F401 - as above

    lazyllm: Any = importlib.import_module("lazyllm")

    class Kept(lazyllm.ModuleBase):  # type: ignore[misc, name-defined]
        def forward(self, value: int) -> int:
            return value + 1

    module = Kept()
    module.evalset([1, 2])
    assert module.eval() is module
    assert (module.eval_result, type(module).__name__) == ([2, 3], "Kept")
    assert isinstance(module, Kept)
