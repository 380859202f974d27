"""Replicas that follow their calls, through the command line, with real workers and a gateway."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.gateways import serving
from tests.support.programs import rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network
    from tests.support.gateways import Gateway

# Many commands one after the other, on machines that have other work.
pytestmark = pytest.mark.timeout(180)

APP = """
import os, threading
from rootward import ModuleBase, ServerModule

class Slow(ModuleBase):
    def forward(self, path: str = '') -> int:
        '''Answer when the file is there.'''
        pause = threading.Event()
        while path and not os.path.exists(path):
            pause.wait(0.02)
        return os.getpid()

class Link(ModuleBase):
    def __init__(self, below=None):
        super().__init__()
        self.below = below
    def forward(self, x: int = 0) -> list:
        return [x] if self.below is None else [x, *self.below(x + 1)]

class Stream(ModuleBase):
    def forward(self, n: int = 2):
        yield from range(n)

class Root(ModuleBase):
    def __init__(self):
        super().__init__(name='app')
        self.slow = ServerModule(Slow(), replicas=(1, 4), target=2, scale_down_after=1)
        sleepy = {'replicas': (0, 2), 'scale_to_zero_after': 1}
        below = ServerModule(Link(), name='d', **sleepy)
        for name in 'cb':
            below = ServerModule(Link(below), name=name, **sleepy)
        self.chain = ServerModule(Link(below), name='a', **sleepy)
        self.stream = ServerModule(Stream(), name='stream', **sleepy)

tree = Root()
"""


@pytest.fixture
def served(network: Network) -> Iterator[Gateway]:
    """A gateway in front of a deployment whose services follow their calls."""
    with serving(network, APP) as gateway:
        yield gateway


def command(network: Network, *words: str, code: int = 0) -> str:
    done = run(rootward(*words), folder=network.folder, environ=network.environ)
    assert done.process.returncode == code, done.report()
    return done.stdout if code == 0 else done.stderr


def service(network: Network, path: str) -> dict[str, Any]:
    status = json.loads(command(network, "status", "app", "--json"))
    found: dict[str, Any] = next(each for each in status["services"] if each["service"] == path)
    return {**found, "deployment_state": status["state"]}


def scaled(network: Network, path: str) -> list[dict[str, Any]]:
    lines = command(network, "events", "app", "--json").splitlines()
    events = [json.loads(line) for line in lines]
    return [each for each in events if each["event"] == "scaled" and each["path"] == path]


@contextlib.contextmanager
def callers(served: Gateway, network: Network, count: int) -> Iterator[list[Any]]:
    """So many calls of the slow service under way, until the end of the block."""
    answers: list[Any] = []
    go = network.folder / "go"
    threads = [
        threading.Thread(target=lambda: answers.append(served.result("app/slow", str(go))))
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        go.write_text("")
        for thread in threads:
            thread.join()


def test_more_calls_bring_more_replicas_and_fewer_calls_take_them_away(
    served: Gateway, network: Network
) -> None:
    wait_until(
        lambda: service(network, "app/slow").get("bounds") == "1..4",
        description="the service follows its calls",
        timeout=60,
    )
    assert service(network, "app/slow")["wanted"] == 1
    with callers(served, network, 7) as answers:
        up = wait_until(
            lambda: next(iter(scaled(network, "app/slow")), None),
            description="more replicas are wanted",
            timeout=30,
        )
        last = wait_until(
            lambda: (
                found
                if (found := service(network, "app/slow"))["wanted"] == 4
                and [each["state"] for each in found["endpoints"]] == ["ready"] * 4
                else None
            ),
            description="as many as the calls need are ready",
            timeout=60,
        )
        assert last["deployment_state"] == "ready"
        assert last["bounds"] == "1..4"
        assert last["why"].endswith("calls under way, one replica for 2")
    assert up["before"] == 1
    assert "calls under way" in up["reason"]
    assert len(answers) == 7
    wait_until(
        lambda: service(network, "app/slow").get("wanted") == 1,
        description="fewer are wanted after a second of fewer calls",
        timeout=60,
    )
    assert "needed for 1 s" in scaled(network, "app/slow")[-1]["reason"]


CHAIN = ["app/a", "app/a/m/b", "app/a/m/b/m/c", "app/a/m/b/m/c/m/d"]


def states(network: Network, paths: list[str]) -> list[str]:
    listed = json.loads(command(network, "gateway", "list", "--json"))
    found = {each["service"]: each["state"] for each in listed}
    return [found[path] for path in paths]


def test_a_chain_sleeps_when_nobody_calls_and_one_call_wakes_all_of_it(
    served: Gateway, network: Network
) -> None:
    asleep = [*CHAIN, "app/stream"]
    wait_until(
        lambda: states(network, asleep) == ["asleep"] * 5,
        description="all that nobody calls is asleep",
        timeout=60,
    )
    assert service(network, "app/a")["deployment_state"] == "ready"
    assert "nobody has called for 1 s" in service(network, "app/a")["why"]
    assert "asleep" in command(network, "status", "app")
    assert served.result("app/a", 0) == [0, 1, 2, 3]
    woken = [scaled(network, path)[1] for path in CHAIN]
    assert [(each["before"], each["wanted"]) for each in woken] == [(0, 1)] * 4
    # All were woken before the first of them was ready to call the next.
    lines = command(network, "events", "app", "--json").splitlines()
    later = [each for line in lines if (each := json.loads(line))["at"] > woken[0]["at"]]
    first_ready = next(each["at"] for each in later if each["event"] == "replica.ready")
    assert max(each["at"] for each in woken) <= first_ready
    status, body = served.ask("/services/app/stream", 2, Accept="text/event-stream")
    assert status == 200
    told, _, events = body.partition(b"data: ")
    assert told.startswith(b": app/stream is being woken\n\n")
    assert b"data: " + events == b"data: 0\n\ndata: 1\n\nevent: end\ndata: {}\n\n"


def test_a_program_and_the_command_line_wake_what_sleeps(served: Gateway, network: Network) -> None:
    del served
    wait_until(
        lambda: states(network, CHAIN) == ["asleep"] * 4,
        description="the chain is asleep",
        timeout=60,
    )
    assert json.loads(command(network, "gateway", "call", "app/a", "0")) == [0, 1, 2, 3]


def test_what_is_asked_for_by_hand_lasts_until_it_is_given_back(
    served: Gateway, network: Network
) -> None:
    del served
    command(network, "scale", "app/slow", "2..3")
    wait_until(
        lambda: (
            service(network, "app/slow").get("bounds") == "2..3"
            and len(service(network, "app/slow")["endpoints"]) == 2
        ),
        description="two replicas run, of two to three",
        timeout=60,
    )
    again = command(network, "deploy", "app.py:tree", "--json")
    assert again
    kept = service(network, "app/slow")
    assert kept["generation"] == 2
    assert kept["wanted"] == 2
    assert "asked for by hand" in kept["why"]
    command(network, "scale", "app/slow", "auto")
    wait_until(
        lambda: (
            service(network, "app/slow").get("bounds") == "1..4"
            and service(network, "app/slow").get("wanted") == 1
        ),
        description="the tree's own range holds again",
        timeout=60,
    )
    assert "3..2" in command(network, "scale", "app/slow", "3..2", code=2)
