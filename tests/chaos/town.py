"""A whole network of real processes that chaos tests live in: Redis, workers, runs, a caller.

It owns starting and restarting. What is broken, and when, is left to the faults and the driver, and
whether all is well to the judge. Redis keeps an append-only file, so that it
can be killed at any time.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil
from redis import Redis

from rootward import orchestrator
from rootward.orchestrator.embedded.server import EmbeddedServer, NoServer
from tests.chaos.witness import Owners, Trace
from tests.support.leaks import MARK, kill_marked
from tests.support.programs import Program, rootward
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from rootward.orchestrator.client.client import Client

LEASE_S = 2.0


@dataclass(slots=True)
class Run:
    """One submitted tree of tasks: how many leaves, and how it should end."""

    name: str
    leaves: int
    program: Program
    ends: tuple[str, ...] = ("ready",)
    was_killed: bool = False
    may_be_lost: bool = False


@dataclass(slots=True)
class Town:
    """Processes under one mark, in one folder; a context manager that ends them all."""

    folder: Path
    mark: str
    secret: str = "a secret of the chaos tests, as long as it takes"
    prefix: str = "chaos"
    lease_s: float = LEASE_S
    trace: Trace = field(init=False)
    redis: EmbeddedServer = field(init=False)
    client: Client = field(init=False)
    stack: contextlib.ExitStack = field(init=False)
    _caller: threading.Thread = field(init=False)
    programs: list[Program] = field(default_factory=list)
    workers: list[Program] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=lambda: {"right": 0, "failed": 0})
    wrong: list[str] = field(default_factory=list)
    version: int = 0
    # Of `live`: what somebody has asked for last is within.
    fewest: int = 2
    most: int = 2
    started: int = 0
    finished: int = 0
    submitted: int = 0
    is_emptied: bool = False
    _ending: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.trace = Trace(self.folder)
        self.redis = EmbeddedServer(self.folder / "redis")
        self.stack = contextlib.ExitStack()
        self.client = self.stack.enter_context(
            orchestrator.connect(self.redis.url, secret=self.secret, prefix=self.prefix)
        )
        self._caller = threading.Thread(target=self._call, daemon=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.set()
        if self._caller.is_alive():
            self._caller.join(30)
        for worker in self.workers:
            if worker.is_running:
                worker.process.send_signal(signal.SIGCONT)
                worker.process.terminate()
        for program in self.programs:
            with program:
                pass
        self.stack.close()
        self.redis.stop()
        # What was left was told; it shouldn't stay on the machine.
        kill_marked(self.mark)

    # Redis.

    def server(self) -> Redis:
        """Return a client that tries once."""
        return Redis.from_url(self.redis.url, socket_timeout=5, retry=None)

    def redis_pid(self) -> int:
        """Return the process of Redis."""
        with self.server() as server:
            return int(server.info("server")["process_id"])

    def restart_redis(self, *, forgets: bool = False) -> None:
        """Bring Redis up again after it was killed, with the data that it has on disk or none."""
        self.redis.stop()
        if forgets:
            shutil.rmtree(self.folder / "redis" / "appendonlydir", ignore_errors=True)

        def start() -> EmbeddedServer | None:
            try:
                return EmbeddedServer(self.folder / "redis")
            except NoServer:
                return None

        self.redis = wait_until(start, description="Redis is up again", timeout=20)

    def data_lost(self) -> None:
        """Take note that Redis is about to lose its data: what was submitted may be gone."""
        self.is_emptied = True
        for run in self.runs.values():
            run.may_be_lost = True

    # Programs.

    @property
    def environ(self) -> dict[str, str]:
        return {
            "REDIS_URL": self.redis.url,
            "ROOTWARD_SECRET": self.secret,
            "ROOTWARD_PREFIX": self.prefix,
            "ROOTWARD_LEASE_SECONDS": str(self.lease_s),
            MARK: self.mark,
            # A program that hangs tells where, when it is aborted.
            "PYTHONFAULTHANDLER": "1",
        }

    def program(self, command: list[str], name: str, **environ: str) -> Program:
        """Start a program of the town."""
        program = Program(
            command, folder=self.folder, environ={**self.environ, **environ}, name=name
        )
        self.programs.append(program)
        return program

    def add_worker(self, redis_url: str | None = None) -> Program:
        """Start one more worker, perhaps with its own way to Redis; it need not have joined yet."""
        self.started += 1
        command = [sys.executable, "-P", "-m", "rootward.worker", "--slots", "3"]
        name = f"w{self.started}"
        url = redis_url or self.redis.url
        worker = self.program([*command, "--name", name], name, REDIS_URL=url)
        self.workers.append(worker)
        return worker

    def keep_workers(self, count: int) -> None:
        """Replace the workers that have ended."""
        self.workers = [worker for worker in self.workers if worker.is_running]
        while len(self.workers) < count:
            self.add_worker()

    def below(self, worker: Program) -> list[psutil.Process]:
        """Return the processes that a worker has started, its nearest first."""
        try:
            return psutil.Process(worker.process.pid).children(recursive=True)
        except psutil.Error:
            return []

    def deploy(self) -> Program:
        """Deploy the next version of what is served, beside the one before."""
        self.version += 1
        file = self.folder / f"live{self.version}.py"
        file.write_text(f"import witnessed\ntree = witnessed.live({self.version})\n")
        command = rootward("deploy", f"{file}:tree", "--name", "live")
        return self.program(command, f"deploy{self.version}")

    def submit(
        self, leaves: int, *, pause: float = 0.1, poison: bool = False, retries: int = 0
    ) -> Run:
        """Submit a run of tasks by command line."""
        self.submitted += 1
        name = f"run{self.submitted}"
        file = self.folder / f"{name}.py"
        tree = f"witnessed.job({name!r}, {leaves}, {pause}, {poison})"
        file.write_text(f"import witnessed\ntree = {tree}\n")
        command = rootward("deploy", f"{file}:tree", "--name", name, "--retries", str(retries))
        run = Run(name, leaves, self.program(command, name))
        if poison:
            run.ends = ("failed",)
        self.runs[name] = run
        return run

    # The caller.

    def start_calling(self) -> None:
        """Call what is served, again and again, until the end."""
        self._caller.start()

    def _call(self) -> None:
        number, owners = 0, Owners()
        while not self._ending.wait(0.05):
            number += 1
            try:
                answer = self.client.gateway.call("live", number, hold=2)
            except Exception:
                self.calls["failed"] += 1
                continue
            self.calls["right"] += 1
            if answer[0] != number:
                self.wrong.append(f"call {number} was answered {answer}")
            self.wrong += owners.answered(*answer[1:])

    # When all is quiet.

    def state(self, name: str) -> str:
        """Return the state of a deployment's newest generation; '' when there is none."""
        try:
            return str(self.client.deployment(name).status().state)
        except orchestrator.UnknownDeployment:
            return ""
