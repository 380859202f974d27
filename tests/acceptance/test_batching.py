"""A module that is served in batches: every way to call it, and each caller's own answer."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import msgpack

from rootward.modules import ModuleBase, ServerModule
from rootward.orchestrator import connect
from tests.support.gateways import serving
from tests.support.programs import rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Network

APP = """
import os, time
from rootward import ModuleBase, ServerModule

class Sizes(ModuleBase):
    '''Gives each its input and how many there were; the first batch waits for a file.'''
    def forward(self, x: int) -> list:
        raise AssertionError('is served in batches')
    def forward_batch(self, inputs: list) -> list:
        while not os.path.exists(os.environ['GATE']):
            time.sleep(0.01)
        return [ValueError(f'not {x}') if x < 0 else [x, len(inputs)] for x in inputs]

class Root(ModuleBase):
    def __init__(self):
        super().__init__(name='app')
        self.sizes = ServerModule(Sizes(), max_batch=8)
    def forward(self, x):
        return self.sizes(x)

tree = Root()
"""


class Sum(ModuleBase):
    def forward_batch(self, inputs: list[Any]) -> list[Any]:
        return [sum(each) for each in inputs]


def under_way(url: str) -> int:
    """Return how many calls a replica says that it has now."""
    with urlopen(f"{url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return int(float(next(x for x in lines if "calls_in_flight{" in x).rpartition(" ")[2]))


def test_callers_of_every_kind_share_a_batch(network: Network) -> None:
    gate = network.folder / "gate"
    network.more["GATE"] = str(gate)
    with (
        serving(network, APP) as gateway,
        connect(network.url, secret=network.secret, prefix=network.prefix) as client,
        ThreadPoolExecutor(6) as pool,
    ):
        (endpoint,) = client.gateway.endpoints("app/sizes")
        address = f"{gateway.url}/services/app/sizes/call"

        def packed(x: int) -> Any:
            body, kind = msgpack.packb({"args": [x]}), {"Content-Type": "application/msgpack"}
            with urlopen(Request(address, body, kind), timeout=60) as answer:
                return msgpack.unpackb(answer.read())["result"]

        first = pool.submit(client.gateway.call, "app/sizes", 0)
        wait_until(lambda: under_way(endpoint.url) == 1, description="a batch runs")
        others = [
            pool.submit(client.gateway.call, "app/sizes", 1),
            pool.submit(gateway.result, "app/sizes", 2),
            pool.submit(packed, 3),
            pool.submit(gateway.ask, "/services/app/sizes/call", {"args": [-4]}),
            pool.submit(gateway.ask, "/services/app/sizes/call", {"args": ["x"]}),
        ]
        # What isn't as `forward` declares it is refused before, with 422.
        wait_until(lambda: under_way(endpoint.url) == 5, description="the others wait", timeout=40)
        gate.touch()
        assert first.result(60) == [0, 1]
        assert [each.result(60) for each in others[:3]] == [[1, 4], [2, 4], [3, 4]]
        status, body = others[3].result(60)
        assert status == 500
        assert json.loads(body)["error"] == {"type": "ValueError", "message": "not -4"}
        assert others[4].result(60)[0] == 422


def test_without_redis_it_is_the_same() -> None:
    module = ServerModule(Sum(), max_batch=4, replicas=2)
    module.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            inputs = [[n, n] for n in range(40)]
            assert list(pool.map(module, inputs)) == [2 * n for n in range(40)]
    finally:
        module.stop()


def test_max_batch_without_forward_batch_is_an_error_of_the_plan(
    network: Network, tmp_path: Path
) -> None:
    (tmp_path / "wrong.py").write_text(
        "from rootward import ModuleBase, ServerModule\n"
        "class Plain(ModuleBase): pass\n"
        "tree = ServerModule(Plain(), max_batch=16)\n"
    )
    program = run(rootward("plan", "wrong.py:tree"), folder=tmp_path, environ=network.environ)
    assert program.process.returncode == 2
    assert "max_batch=16 needs a method forward_batch" in program.stderr
    assert "Plain" in program.stderr
