"""Replicas that don't answer: one that works is left alone, one that is stuck is replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.gateways import Gateway, serving
from tests.support.programs import rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network

APP = """
import ctypes, os, re, time
from rootward import ModuleBase, ServerModule

class Busy(ModuleBase):
    def forward(self, seconds: float):
        '''Hold the interpreter's lock for so long, in one call of C.'''
        for length in range(18, 60):
            began = time.monotonic()
            re.match('(a+)+$', 'a' * length + 'b')
            if time.monotonic() - began > seconds:
                return os.getpid()

class Stuck(ModuleBase):
    def forward(self, path: str):
        '''Sleep for ever with the interpreter's lock, the first time.'''
        if not os.path.exists(path):
            open(path, 'w').close()
            ctypes.PyDLL(None).sleep(1000)
        return os.getpid()

class Slow(ModuleBase):
    def forward(self, seconds: float):
        time.sleep(seconds)
        return os.getpid()

class Root(ModuleBase):
    def __init__(self):
        super().__init__(name='app')
        self.busy = ServerModule(Busy(), ping_timeout=1)
        self.stuck = ServerModule(Stuck(), ping_timeout=1)
        self.slow = ServerModule(Slow(), call_timeout=1)

tree = Root()
"""


@pytest.fixture
def served(network: Network) -> Iterator[Gateway]:
    with serving(network, APP) as gateway:
        yield gateway


def printed(network: Network, *command: str) -> str:
    program = run(rootward(*command), folder=network.folder, environ=network.environ)
    assert program.process.returncode == 0, program.report()
    return program.stdout


def test_a_call_that_holds_the_interpreters_lock_is_left_to_end(
    served: Gateway, network: Network
) -> None:
    before = served.result("app/busy", 0.0)
    assert served.result("app/busy", 4.0) == before
    assert served.result("app/busy", 0.0) == before
    assert "this replica has ended" not in printed(network, "logs", "app", "app/busy")


def test_a_dead_locked_replica_is_replaced_and_its_end_has_a_reason(
    served: Gateway, network: Network
) -> None:
    path = str(network.folder / "once")
    assert isinstance(served.result("app/stuck", path), int)
    why = "did not answer for 1 s, and used no CPU meanwhile"
    assert why in printed(network, "events", "app", "--json")
    wait_until(
        lambda: why in printed(network, "logs", "app", "app/stuck"),
        description="its log has the reason",
    )


def test_a_call_beyond_its_limit_is_ended_and_the_next_one_is_served(
    served: Gateway, network: Network
) -> None:
    before = served.result("app/slow", 0)
    status, body = served.ask("/services/app/slow", 60)
    assert status == 504
    assert b"call_timeout of 1 s" in body
    assert served.result("app/slow", 0) != before
    assert "call_timeout of 1 s" in printed(network, "events", "app", "--json")
