"""rootward as a contestant: two workers of four slots each, deployments submitted by a program."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator

import redis
import server
from contestants import Crew, Place, TooLong, crew, python

from rootward import orchestrator


class Ours:
    """A client of running workers."""

    def __init__(self, client: orchestrator.Client, crew_: Crew, place: Place) -> None:
        self.client, self._crew, self._limit_s = client, crew_, place.limit_s
        self._server = redis.Redis.from_url(place.url)

    def run(self, shape_name: str) -> float:
        """Submit by reference, as `rootward deploy` does, and wait until it is ready."""
        target = f"nodes:{shape_name.replace('-', '_')}"
        start = time.perf_counter()
        deployment = self.client.submit(target, name=shape_name, kinds=("train", "deploy"))
        submitted = time.perf_counter() - start
        try:
            deployment.wait(timeout=self._limit_s)
        except TimeoutError as error:
            raise TooLong(f"{shape_name} took longer than {self._limit_s:g} s") from error
        return submitted

    def clear(self) -> None:
        """Nothing: each run is a generation of its own."""

    def cpu_s(self) -> float:
        """Return what its workers have used."""
        return self._crew.cpu_s()

    def own_cpu_s(self) -> float:
        """Return what the worker processes themselves have used, without what they started."""
        return self._crew.own_cpu_s()

    def served(self) -> server.Usage:
        """Return what Redis has used."""
        return server.usage(self._server)


@contextlib.contextmanager
def running(place: Place, workers: int = 2, slots: int = 4) -> Iterator[Ours]:
    """Run workers and a client."""
    secret = secrets.token_hex(32)
    environ = {**place.environ, "REDIS_URL": place.url, "ROOTWARD_SECRET": secret}
    command = python("-P", "-m", "rootward.worker", "--slots", str(slots))
    log = place.folder / "rootward.log"
    commands = [[*command, "--name", f"bench-{number}"] for number in range(workers)]
    with (
        crew(commands, environ, log, patience=20) as members,
        orchestrator.connect(place.url, secret=secret) as client,
    ):
        deadline = time.monotonic() + 30
        while len(client.workers()) < workers:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the workers don't come up: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield Ours(client, members, place)
