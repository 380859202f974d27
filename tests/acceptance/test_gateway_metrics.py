"""Metrics of what has ended: still there to be counted, and wanting nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.gateways import Gateway, serving
from tests.support.programs import rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.acceptance.conftest import Network

BAD = """
from rootward import ModuleBase

class Bad(ModuleBase):
    def _get_train_tasks(self):
        return self.train
    def train(self):
        raise ValueError('no data')

tree = Bad(name='bad')
"""


def metrics(served: Gateway) -> str:
    status, body = served.ask("/metrics")
    assert status == 200
    return body.decode()


def test_what_has_failed_or_was_stopped_is_counted_and_wants_nothing(network: Network) -> None:
    with serving(network) as served:
        (network.folder / "bad.py").write_text(BAD)
        failed = run(
            rootward("deploy", "bad.py:tree"), folder=network.folder, environ=network.environ
        )
        assert failed.process.returncode == 1
        who = 'deployment="app",generation="1",service="app/who"'
        before = metrics(served)
        assert f"rootward_service_replicas_wanted{{{who}}} 1.0" in before
        assert 'rootward_gateway_replicas_wanted{service="app/who"} 1.0' in before
        of_bad = 'deployment="bad",generation="1"'
        assert f'rootward_tasks{{{of_bad},kind="train",state="failed"}} 1.0' in before
        assert f'rootward_deployment_state{{{of_bad},state="failed"}} 1.0' in before
        assert f'rootward_task_run_seconds_count{{{of_bad},kind="train"}} 1.0' in before
        assert 'rootward_deployments{state="failed"} 1.0' in before
        assert "rootward_build_info{" in before
        assert "process_cpu_seconds_total" in before
        stopped = run(rootward("stop", "app"), folder=network.folder, environ=network.environ)
        assert stopped.process.returncode == 0, stopped.report()
        wait_until(
            lambda: 'rootward_gateway_replicas_wanted{service="app/who"} 0.0' in metrics(served),
            description="nothing is wanted any more",
        )
        after = metrics(served)
        assert f"rootward_service_replicas_wanted{{{who}}} 0.0" in after
        assert 'rootward_deployments{state="stopped"} 1.0' in after
