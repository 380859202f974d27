"""One trace from a caller to the last replica, and one from a submission to its last task."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.collector import Collector, Span
from tests.support.gateways import gateway, opened
from tests.support.programs import rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network
    from tests.support.programs import Program

APP = """
import os
from opentelemetry import trace
from rootward import ModuleBase, ServerModule

class Inner(ModuleBase):
    def _get_train_tasks(self):
        return self.train
    def train(self):
        with trace.get_tracer('mine').start_as_current_span('a step of my own'):
            self.weight = 2
    def forward(self, x):
        if x < 0:
            raise ValueError('below 0')
        return x * self.weight

class Outer(ModuleBase):
    def __init__(self):
        super().__init__()
        self.inner = ServerModule(Inner(), name='inner')
    def _get_train_tasks(self):
        return lambda: None
    def forward(self, x):
        if x == 'environ':
            return dict(os.environ)
        return self.inner(x) + 1

tree = ServerModule(Outer(), name='app')
"""


@pytest.fixture
def collector(network: Network) -> Iterator[Collector]:
    """A collector that all programs of the network send to."""
    with Collector() as collector:
        network.more = collector.environ
        yield collector


def deploy(network: Network, expect: int = 0) -> Program:
    (network.folder / "app.py").write_text(APP)
    deployed = run(
        rootward("deploy", "app.py:tree"), folder=network.folder, environ=network.environ
    )
    assert deployed.process.returncode == expect, deployed.report()
    return deployed


def spans(collector: Collector, *names: str) -> list[Span]:
    """Wait until one of each name has come, and return them."""
    wait_until(
        lambda: all(collector.named(name) for name in names),
        description=f"the spans {names} are there: {[span.name for span in collector.spans]}",
        timeout=20,
    )
    return [collector.named(name)[0] for name in names]


@pytest.mark.slow
def test_a_call_is_one_trace_from_the_caller_through_gateway_replica_and_child(
    network: Network, collector: Collector
) -> None:
    network.worker()
    deploy(network)
    trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with gateway(network) as program:
        served = opened(program, network.folder)
        context = {"traceparent": f"00-{trace}-{caller}-01"}
        assert served.ask("/services/app", 4, **context) == (200, b'{"result": 9}')
        way = spans(collector, "POST /services/app", "call app", "call app/m/inner")
        assert {span.trace for span in way} == {trace}
        assert [span.parent for span in way] == [caller, way[0].id, way[1].id]
        assert [span.service for span in way] == [
            "rootward-gateway",
            "rootward-replica",
            "rootward-replica",
        ]
        assert way[0].attributes["http.response.status_code"] == "200"
        assert not any(span.is_error for span in way)

        # A call without a trace begins one, and errors are told where they were made.
        collector.spans.clear()
        assert served.ask("/services/app", -1)[0] == 500
        way = spans(collector, "POST /services/app", "call app", "call app/m/inner")
        assert way[0].parent == ""
        assert len({span.trace for span in way}) == 1
        assert all(span.is_error for span in way)

        # What traces need reaches the user's processes, and nothing that is secret.
        environ = json.loads(served.ask("/services/app", "environ")[1])["result"]
        assert environ["OTEL_EXPORTER_OTLP_ENDPOINT"] == network.more["OTEL_EXPORTER_OTLP_ENDPOINT"]
        assert network.secret not in environ.values()
        assert program.stop() == 0
    stopped = run(rootward("stop", "app"), folder=network.folder, environ=network.environ)
    assert stopped.process.returncode == 0, stopped.report()


@pytest.mark.slow
def test_a_deployment_is_one_trace_from_the_submission_to_the_last_task(
    network: Network, collector: Collector
) -> None:
    network.worker()
    deploy(network)
    tasks = ("train:app/m/inner/m", "train:app/m", "deploy:app/m/inner", "deploy:app")
    whole, *ran = spans(collector, "deployment app", *tasks)
    assert {span.trace for span in ran} == {whole.trace}
    assert {span.parent for span in ran} == {whole.id}
    assert (whole.service, whole.parent) == ("rootward-client", "")
    assert whole.attributes["rootward.state"] == "ready"
    assert {span.service for span in ran} == {"rootward-worker"}
    assert {span.attributes["rootward.state"] for span in ran} == {"succeeded"}
    # What a task does itself belongs to it.
    (step,) = spans(collector, "a step of my own")
    assert (step.trace, step.parent) == (whole.trace, ran[0].id)


@pytest.mark.slow
def test_a_collector_that_is_away_holds_up_nothing(network: Network) -> None:
    network.more = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    worker = network.worker()
    deploy(network)
    with gateway(network) as program:
        served = opened(program, network.folder)
        assert served.ask("/services/app", 4) == (200, b'{"result": 9}')
        assert program.stop() == 0
    assert worker.stop() == 0


def test_where_nobody_asks_nothing_is_set_up(network: Network) -> None:
    """redis-py imports the metrics of whatever is installed; none of its traces come from us."""
    program = (
        "import sys, rootward.orchestrator.client.client, rootward.worker.agent.agent;"
        "from rootward.modules.rpc import client as calling, tracing;"
        "import rootward.orchestrator.gateway.serve, rootward.worker.child.replica_main;"
        "import rootward.worker.child.execution;"
        "assert tracing.tracer('client') is None; assert tracing.headers() == '';"
        "assert tracing.carrier() == {};"
        "assert 'opentelemetry.sdk.trace' not in sys.modules;"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry.exporter')]"
    )
    found = run([sys.executable, "-c", program], folder=network.folder)
    assert found.process.returncode == 0, found.report()
    asked = {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    found = run([sys.executable, "-c", program], folder=network.folder, environ=asked)
    assert found.process.returncode == 0, found.report()
