"""What Redis would not take is refused in a sentence before anything is sent."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from rootward.modules import ModuleBase
from rootward.modules.errors import BundleError
from rootward.orchestrator.errors import PlanError
from rootward.orchestrator.store.connection import LARGEST_VALUE, Clients
from tests.support.servers import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = 20 << 20


class Weights(ModuleBase):
    """A module with many bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(name="weights")
        self.weights = bytes(size)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path) as server:
        clients = Clients(server.url)
        clients.scripts.config_set("proto-max-bulk-len", LIMIT)
        clients.close()
        yield server


def keys_of(server: Server) -> set[str]:
    clients = Clients(server.url)
    try:
        return {key.decode() for key in clients.scripts.scan_iter("app:*")}
    finally:
        clients.close()


def test_a_tree_above_the_largest_value_is_refused_with_its_number_not_given(
    server: Server, secret: str
) -> None:
    with orchestrator.connect(server.url, secret=secret, prefix="app") as client:
        client.store.agents.store_id()
        before = keys_of(server)
        with pytest.raises(PlanError, match=r"holds 25 MiB and Redis takes values of up to 20 MiB"):
            client.submit(Weights(24 << 20))
        assert keys_of(server) == before
        client.submit(Weights(18 << 20))
        record = client.store.deployments.get("weights")
        assert record is not None
        assert record.latest == 1


def test_code_above_the_largest_value_is_refused_and_what_compresses_well_is_not(
    server: Server, secret: str, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text("[project]\nname = 'app'\n")
    (project / "app.py").write_text(
        "from rootward import ModuleBase\n\ntree = ModuleBase(name='app')\n"
    )
    data = project / "data.bin"
    with orchestrator.connect(server.url, secret=secret, prefix="app") as client:
        data.write_bytes(random.Random(1).randbytes(24 << 20))
        with pytest.raises(BundleError, match=r"leave data files out"):
            client.submit(f"{project}/app.py:tree", include=["data.bin"])
        assert client.store.deployments.get("app") is None
        data.write_bytes(bytes(24 << 20))
        client.submit(f"{project}/app.py:tree", include=["data.bin"])
        assert client.store.deployments.get("app") is not None


def test_a_server_that_says_nothing_has_the_usual_limit(server: Server) -> None:
    clients = Clients(server.url)
    assert clients.largest_value() == LIMIT
    clients.scripts.acl_setuser(
        "few", enabled=True, passwords=["+word"], keys=["*"], commands=["+@all", "-config"]
    )
    clients.close()
    clients = Clients(server.url.replace("redis://", "redis://few:word@"))
    assert clients.largest_value() == LARGEST_VALUE
    clients.close()
