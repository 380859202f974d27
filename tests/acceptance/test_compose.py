"""The compose file: valid by the specification, careful, and with command lines that work.

No container is started. The command lines of the services are run as they stand in the file, on
this machine, so that an option that no longer exists can't stay in there.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from rootward.orchestrator.embedded.server import find_binary
from tests.support.programs import Program, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
OURS = ("worker", "deploy", "gateway", "export")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def command_of(service: dict[str, Any]) -> list[str]:
    """Return a service's command line as compose runs it: `$$` stands for `$`."""
    return [word.replace("$$", "$") for word in service["command"]]


def test_file_is_valid_by_the_schema_of_the_compose_specification(tmp_path: Path) -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    checked = run(
        [str(checker), "--builtin-schema", "vendor.compose-spec", str(COMPOSE)], folder=tmp_path
    )
    assert checked.process.returncode == 0, checked.report()


def test_secret_has_no_default(services: dict[str, Any]) -> None:
    for name in OURS:
        secret = services[name]["environment"]["ROOTWARD_SECRET"]
        assert re.fullmatch(r"\$\{ROOTWARD_SECRET:\?.+\}", secret)


def test_every_container_has_as_few_rights_as_it_needs(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service["read_only"] is True
        assert service["init"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["user"] not in {"root", "0", "0:0"}
        assert service["stop_grace_period"]
        assert not service.get("privileged")
        here = [port.startswith("127.0.0.1:") for port in service.get("ports", ())]
        assert all(here), "nothing here is for other machines"


def test_worker_can_be_scaled(services: dict[str, Any]) -> None:
    """A fixed name or a published port would be wanted by each of the copies."""
    assert not {"container_name", "ports", "hostname"} & services["worker"].keys()


def test_redis_is_patched_and_checked(services: dict[str, Any]) -> None:
    version = tuple(int(part) for part in re.findall(r"\d+", services["redis"]["image"])[:3])
    assert version >= (8, 6, 3)
    assert services["redis"]["healthcheck"]["test"][-1] == "ping"
    for name in OURS:
        assert services[name]["depends_on"]["redis"]["condition"] == "service_healthy"


@pytest.fixture
def redis_port(services: dict[str, Any], tmp_path: Path, nothing_left: None) -> Iterator[int]:
    """Port of a server that runs with the options of the file, as far as it knows them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    name, *options = command_of(services["redis"])
    assert name == "redis-server"
    folder = tmp_path / "redis"
    folder.mkdir()
    command = [str(find_binary()), *options, "--port", str(port), "--bind", "127.0.0.1"]
    with Program(command, folder=folder, name="redis") as server:
        wait_until(lambda: answers(port), description=f"the server answers:\n{server.stdout}")
        yield port


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_command_lines_deploy_the_example(
    services: dict[str, Any], redis_port: int, secret: str, tmp_path: Path
) -> None:
    environ = {
        **services["worker"]["environment"],
        "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "ROOTWARD_SECRET": secret,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    worker = command_of(services["worker"])
    with Program(worker, folder=tmp_path, environ=environ, name="worker") as agent:
        deploy = run(command_of(services["deploy"]), folder=tmp_path, environ=environ, timeout=120)
        assert deploy.process.returncode == 0, deploy.report() + agent.report()
        listed = run(["rootward", "gateway", "list", "--json"], folder=tmp_path, environ=environ)
        assert listed.process.returncode == 0, listed.report()
        assert '"digits"' in listed.stdout
        assert run(["rootward", "stop", "digits"], folder=tmp_path, environ=environ)
