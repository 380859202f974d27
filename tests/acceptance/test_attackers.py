"""Somebody who can write to Redis, and lacks the secret, at a running installation."""

from __future__ import annotations

import re
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from rootward.orchestrator.store.records.registry import pack_replica
from tests.support.gateways import Gateway, serving
from tests.support.programs import rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network

WHO = "app/who"


class Impostor:
    """Listens at a port of this machine, keeps what it is sent, and answers with success."""

    def __init__(self) -> None:
        self.heard = b""
        self.connected = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = "http://{}:{}".format(*self._socket.getsockname())
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connected.set()
            with connection:
                connection.settimeout(0.5)
                try:
                    self.heard += connection.recv(1 << 16)
                    connection.sendall(
                        b'HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{"result": 6}'
                    )
                    self.heard += connection.recv(1 << 16)
                except OSError:
                    continue


@pytest.fixture
def served(network: Network) -> Iterator[Gateway]:
    with serving(network) as gateway:
        yield gateway


@pytest.mark.parametrize("place", ["its own", "another"])
def test_who_writes_the_record_of_a_dead_replica_back_gets_no_call_and_no_token(
    served: Gateway, network: Network, place: str
) -> None:
    """He listens at its address, too. The kernel gives no port back for a minute, so the record is
    made here: as a worker that lives has signed it, under the lease that it has.
    """
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        key, redis = client.keys.part("app", 1, "replicas"), client.store.clients.scripts
        true = next(r for r, _ in client.store.registry.replicas("app", 1) if r.path == WHO)
        impostor = Impostor()
        field = true.replica if place == "its own" else "f" * 16
        old = replace(true, replica=field, url=impostor.url, token="0" * 32)
        stolen = pack_replica(replace(old, signature=client.signer.sign_endpoint(old)))
        try:
            told = {"op": "put", "name": "app", "gen": 1, "path": WHO, "replica": field}
            for n in range(20):
                if not impostor.connected.is_set():
                    # Its worker may have put it right before anybody has followed it.
                    redis.hset(key, field, stolen)
                    redis.xadd(client.keys.changes, told)
                assert served.result(WHO, n)[1] == n
                assert client.gateway.call(WHO, n)[1] == n
            wait_until(
                lambda: stolen not in redis.hvals(key), description="the record is as it was"
            )
            assert impostor.connected.is_set(), "the registry has led callers there"
        finally:
            impostor.close()
        assert b"X-Rootward-Challenge" in impostor.heard
        assert b"POST" not in impostor.heard
        assert b"0" * 32 not in impostor.heard
        assert b"authorization" not in impostor.heard.lower()


PRYING = """
import os
from pathlib import Path
from rootward import ModuleBase

class Prying(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        looked, found = 0, []
        pid = os.getpid()
        while pid > 1:
            try:
                entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\\0")
            except PermissionError:
                entries = []
            names = (b"ROOTWARD_SECRET=", b"REDIS_URL=")
            found += [e for e in entries if e.startswith(names) and not e.endswith(b"=")]
            looked += 1
            if b"rootward.worker" in cmdline(pid):
                break
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        print("looked into", looked, "processes and found", found)
        print("own:", sorted(set(os.environ) & {"ROOTWARD_SECRET", "REDIS_URL"}))

def cmdline(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\\0")

tree = Prying(name="prying")
"""


def test_a_task_cannot_read_the_secret_from_the_processes_above_it(network: Network) -> None:
    """Neither of its slot, nor of its templates, nor of the worker itself."""
    (network.folder / "app.py").write_text(PRYING)
    network.worker()
    done = run(rootward("deploy", "app.py:tree"), folder=network.folder, environ=network.environ)
    assert done.process.returncode == 0, done.report()
    said = run(rootward("logs", "prying"), folder=network.folder, environ=network.environ).stdout
    assert re.search(r"looked into [2-9] processes and found \[\]", said), said
    assert "own: []" in said
