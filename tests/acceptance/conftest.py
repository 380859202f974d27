"""Fixtures of the acceptance tests: a network of workers, and proof that nothing stays behind.

After each test no process that it started is left, directly or through others, and no key that
would stay for ever. What was left is killed, so that the next test starts clean all the same.
"""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.support import leaks
from tests.support.programs import Program, rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GONE_TIMEOUT_S = 30.0


@dataclass(slots=True, kw_only=True)
class Network:
    """A server, the settings to reach it and `more`, and the workers that a test has started."""

    url: str
    prefix: str
    secret: str
    folder: Path
    workers: list[Program] = field(default_factory=list)
    more: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        """What a program needs in its environment to take part."""
        return {
            "REDIS_URL": self.url,
            "ROOTWARD_PREFIX": self.prefix,
            "ROOTWARD_SECRET": self.secret,
            **self.more,
        }

    def worker(self, *options: str) -> Program:
        """Start one more `rootward worker`, which is stopped after the test."""
        number = len(self.workers) + 1
        program = Program(
            rootward("worker", *options),
            folder=self.folder,
            environ=self.environ,
            name=f"worker{number}",
        )
        self.workers.append(program)
        return program

    def call(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Run `rootward` to its end; return what it wrote to standard output and error."""
        done = run(rootward(*arguments), folder=self.folder, environ=self.environ)
        assert done.process.returncode == code, done.report()
        return done.stdout, done.stderr


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test after which a process that it started still lives."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(leaks.MARK, mark)
    yield
    try:
        wait_until(
            lambda: not leaks.marked_processes(mark),
            description=f"no process is left: {leaks.marked_processes(mark)}",
            timeout=GONE_TIMEOUT_S,
        )
    finally:
        leaks.kill_marked(mark)


@pytest.fixture
def network(
    redis_url: str, prefix: str, secret: str, tmp_path: Path, nothing_left: None
) -> Iterator[Network]:
    """Settings of a network of the test's own, whose workers end with the test."""
    from redis import Redis

    network = Network(url=redis_url, prefix=prefix, secret=secret, folder=tmp_path)
    with contextlib.ExitStack() as stack:
        yield network
        for worker in network.workers:
            stack.enter_context(worker)
    with Redis.from_url(redis_url) as server:
        assert leaks.lasting_keys(server, prefix) == []
