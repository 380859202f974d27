"""The controller and the registry, on a real server with workers that the tests drive."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

import pytest

from rootward.modules.module import ModuleBase
from rootward.modules.rpc.endpoints import WHOLE
from rootward.orchestrator.client.executor import DistributedExecutor
from rootward.orchestrator.control.controller import Controller
from rootward.orchestrator.errors import UnknownService
from rootward.orchestrator.states import ReplicaState
from rootward.orchestrator.store.watch import RegistryMirror
from tests.support.scripted import ScriptedWorker
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from rootward.orchestrator.client.client import Client


class Served(ModuleBase):
    """A served module as the plan sees one."""

    serves = True
    env = None
    startup_timeout = 5.0
    repeatable = True
    exclusive = False

    def __init__(
        self,
        name: str,
        *children: ModuleBase,
        replicas: int = 1,
        port: int | None = None,
        resources: dict[str, float] | None = None,
    ) -> None:
        super().__init__(name=name)
        self.children = list(children)
        self.replicas, self.port, self.resources = replicas, port, resources


def stop_told(client: Client, worker: ScriptedWorker) -> list[str]:
    """Return the replicas that the worker has been told to stop."""
    bell = client.store.agents.wait_bell(
        worker.info.id, {f"{client.keys.bell}": "0-0", client.keys.inbox(worker.info.id): "0-0"}, 1
    )
    return [c["replica"] for c in bell.commands if c["op"] == "stop_replica"]


def ready(client: Client, name: str, generation: int | None = None) -> dict[str, list[str]]:
    """Return the ready replicas by path."""
    status = client.deployment(name, generation).status()
    return {
        service.service: [e.replica for e in service.endpoints if e.state == "ready"]
        for service in status.services
    }


def test_missing_replicas_are_submitted_as_repairs_until_all_are_ready(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    """The deploy task brings the first replica, the controller the others."""
    deployment = client.submit(Served("s", replicas=3))
    worker.work()
    assert deployment.status().state == "progressing"
    assert controller.run_once(time.time())
    assert worker.work() == ["deploy:s", "deploy:s"]
    deployment.wait(5)
    assert len(ready(client, "s")["s"]) == 3
    assert controller.run_once(time.time() + 1)
    assert worker.work() == []


def test_a_replica_lost_with_its_worker_comes_back_on_another(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    """Without a person."""
    other = ScriptedWorker(client, "other")
    deployment = client.submit(Served("s"))
    other.work()
    deployment.wait(5)
    client.store.agents.leave(other.info.id)
    assert deployment.status().state == "degraded"
    controller.run_once(time.time())
    assert worker.work() == ["deploy:s"]
    assert deployment.status().state == "ready"


def test_one_controller_leads_at_a_time(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    """Another agent's does nothing while the first leads."""
    other = ScriptedWorker(client, "other")
    second = Controller(client.store, client.signer, other.info.id, lease_s=30.0)
    assert controller.run_once(0.0)
    assert not second.run_once(0.0)


def test_stop_ends_services_parents_first(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    """A child is told only when its callers are gone."""
    deployment = client.submit(Served("s", Served("child")))
    worker.work()
    deployment.wait(5).stop(timeout=0)
    replicas = ready(client, "s")
    now = time.time()
    controller.run_once(now)
    controller.run_once(now + 1)
    assert stop_told(client, worker) == replicas["s"]
    client.store.registry.drop("s", 1, replicas["s"][0])
    controller.run_once(now + 2)
    assert stop_told(client, worker) == replicas["s"] + replicas["s/child"]
    client.store.registry.drop("s", 1, replicas["s/child"][0])
    assert deployment.wait_stopped(5).status().state == "stopped"


def test_the_old_generation_is_stopped_when_the_new_one_is_current(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    """In that order."""
    client.submit(Served("s"))
    worker.work()
    old = ready(client, "s")["s"]
    second = client.submit(Served("s"))
    controller.run_once(time.time())
    assert stop_told(client, worker) == []
    worker.work()
    second.wait(5)
    controller.run_once(time.time() + 1)
    assert stop_told(client, worker) == old


def test_a_fixed_port_is_freed_before_the_replacement_starts(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    """Stop-then-start, once the deploy task is next."""
    client.submit(Served("s", port=8765))
    worker.work()
    old = ready(client, "s")["s"]
    client.submit(Served("s", port=8765))
    controller.run_once(time.time())
    assert stop_told(client, worker) == old


def test_scaling_down_stops_the_surplus(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    """And only that."""
    deployment = client.submit(Served("s", replicas=2))
    worker.work()
    controller.run_once(time.time())
    worker.work()
    deployment.wait(5)
    client.scale("s", "s", 1)
    controller.run_once(time.time() + 1)
    assert len(stop_told(client, worker)) == 1
    with pytest.raises(UnknownService, match="s"):
        client.scale("s", "t", 1)


def test_a_deadline_that_has_passed_fails_the_deployment(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    """`timeout` is the deployment's own."""
    deployment = client.submit(Served("s"), timeout=60)
    controller.run_once(time.time())
    assert deployment.status().state == "pending"
    controller.run_once(time.time() + 61)
    assert deployment.status().state == "failed"
    assert "deadline" in deployment.status().reason


def test_what_a_program_made_ends_with_it(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    """Closing gives up the lease, and what it owned stops."""
    executor = DistributedExecutor(client)
    root = Served("s")
    with ScriptedWorker(client, "other"):
        executor.run(root)
        (record,) = client.deployments()
        assert root._runtime.routes.endpoints(record.name)
        executor.close()
        executor.close()
        deployment = client.deployment(record.name)
        assert deployment.status().state == "stopping"
        controller.run_once(time.time())
        deployment.wait_stopped(5)
    assert not executor.owns_anything


def test_the_mirror_tells_what_is_on_its_way_from_what_is_not(
    client: Client, worker: ScriptedWorker
) -> None:
    """So that a call waits for the one and is refused at once for the other."""
    mirror = RegistryMirror(client.store, client.signer)
    routes = mirror.routes("s")
    assert routes.is_coming("s"), "nobody knows"
    client.submit(Served("s"), kinds=["eval"])
    mirror.refresh("s")
    assert not routes.is_coming("s"), "never deployed"
    client.submit(Served("s"))
    mirror.refresh("s")
    assert routes.is_coming("s"), "being deployed"
    worker.work()
    client.scale("s", "s", 0)
    (endpoint,) = wait_until(lambda: routes.endpoints("s"), description="the replica is known")
    client.store.registry.drop("s", 2, endpoint.replica)
    wait_until(lambda: not routes.endpoints("s"), description="the replica is forgotten")
    assert not routes.is_coming("s"), "scaled to nothing"
    mirror.close()


def test_the_mirror_follows_what_is_current(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    """A change is there without asking again."""
    mirror = RegistryMirror(client.store, client.signer)
    changes = []
    mirror.on_change(lambda name, generation: changes.append((name, generation)))
    routes = mirror.routes("s")
    assert routes.endpoints("s") == ()
    client.submit(Served("s"))
    worker.work()
    (endpoint,) = wait_until(lambda: routes.endpoints("s"), description="the replica is known")
    assert mirror.table("s") == {WHOLE: [], "s": [list(endpoint)]}
    assert mirror.current("s") == 1
    client.store.registry.drop("s", 1, endpoint.replica)
    wait_until(lambda: not routes.endpoints("s"), description="the replica is forgotten")
    assert changes.count(("s", None)) >= 2
    mirror.close()


def test_the_mirror_goes_over_to_the_next_generation(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    """It reads first what was current last, and sees that it no longer is."""
    mirror = RegistryMirror(client.store, client.signer)
    client.submit(Served("s"))
    worker.work()
    (old,) = mirror.routes("s").endpoints("s")
    client.submit(Served("s"))
    worker.work()
    mirror.refresh("s")
    (new,) = mirror.routes("s").endpoints("s")
    assert mirror.current("s") == 2
    assert new.replica != old.replica
    assert mirror.table("s", 1) != mirror.table("s"), "who asks for the old one gets that"
    mirror.close()


def test_an_endpoint_that_nobody_signed_is_left_out(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    """Redis alone can't name an address to call."""
    client.submit(Served("s"))
    worker.work()
    record = worker.replica("s", 1, "s", "evil")
    client.store.registry.put(
        worker.info.id,
        dataclasses.replace(record, url="http://10.0.0.1:1", state=ReplicaState.READY),
    )
    mirror = RegistryMirror(client.store, client.signer)
    assert [e.replica for e in mirror.routes("s").endpoints("s")] != ["evil"]
    assert len(mirror.routes("s").endpoints("s")) == 1
    mirror.close()


def test_services_are_those_of_the_current_generations(
    client: Client, worker: ScriptedWorker, controller: Controller
) -> None:
    """As `gateway list --json` prints them."""
    client.submit(Served("s", Served("child")))
    assert client.gateway.services() == []
    worker.work()
    first, second = client.gateway.services()
    assert {first.service, second.service} == {"s", "s/child"}
    document = first.to_json()
    assert document.keys() == {"service", "deployment", "generation", "state", "endpoints"}
    (endpoint,) = document["endpoints"]
    assert endpoint.keys() == {"url", "replica", "worker", "state", "lease_ms"}
    assert 0 < endpoint["lease_ms"] <= 30_000
    assert client.gateway.endpoints("s/child")[0].state == "ready"
    with pytest.raises(UnknownService, match="s/child"):
        client.gateway.call("s/chidl")
