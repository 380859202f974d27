"""How soon the gateway follows a change of the registry, with nobody else at work on it.

Under a prefix of its own, without any worker, a made-up agent registers one replica under names
that come and go; what is timed is from just before a name is written to the first call that was
answered under it. The replica is a few lines here: it proves that it has the call key, and echoes.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import doors

from rootward import orchestrator
from rootward.modules.rpc import proof
from rootward.orchestrator.states import TaskState
from rootward.orchestrator.store.records import AgentInfo, Finish
from rootward.orchestrator.store.rq_compat import plain_queue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doors import Street

    from rootward.orchestrator.client.client import Client
    from rootward.orchestrator.store.records import ReplicaRecord

PREFIX = "bench-changes"
AGENT = "bench-agent"
_PATIENCE_S = 60


def routed_ms(street: Street, times: int) -> list[float]:
    """Return the milliseconds of so many changes."""
    secret = street.environ["ROOTWARD_SECRET"]
    with orchestrator.connect(street.url, secret=secret) as client:
        real = client.store.registry.replicas("echo", 1)[0][0]
    with (
        orchestrator.connect(street.url, secret=secret, prefix=PREFIX) as client,
        _echoing(client.signer.call_key("echo"), real.token) as url,
    ):
        real = replace(real, url=url)
        _serve(client, f"{street.folder}/app.py:tree", real)
        way = doors.gateway(street, ROOTWARD_PREFIX=PREFIX)
        host, _, port = way.url.split("/")[2].partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        spans = [_once(client, connection, real, f"name-{number}") for number in range(times)]
        connection.close()
    return spans


@contextlib.contextmanager
def _echoing(key: bytes, token: str) -> Iterator[str]:
    """Run a replica of this program's own; yields its URL."""

    class Echo(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer(proof.body(key, token, self.headers.get(proof.HEADER, "")))

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(b'{"result": 7}')

        def _answer(self, body: bytes) -> None:
            head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            self.wfile.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def _serve(client: Client, target: str, real: ReplicaRecord) -> None:
    """Submit the tree, and do all of its tasks by word alone."""
    store = client.store
    client.submit(target, name="echo", kinds=("deploy",))
    store.agents.join(AgentInfo(id=AGENT, worker="bench"), 3_600_000)
    _put(client, real, "first")
    finishes: list[Finish] = []
    while True:
        queues = [plain_queue(PREFIX)]
        answer = store.tasks.exchange(AGENT, finishes=finishes, queues=queues, limit=8, offsets={})
        if not answer.claims:
            break
        finishes = [
            Finish(job_id=claim.job_id, token=claim.token, state=TaskState.SUCCEEDED)
            for claim in answer.claims
        ]


def _once(
    client: Client, connection: http.client.HTTPConnection, real: ReplicaRecord, name: str
) -> float:
    begin = time.perf_counter()
    _put(client, real, name)
    while _answered_by(connection) != name:
        if time.perf_counter() - begin > _PATIENCE_S:
            raise TimeoutError("the gateway doesn't follow the registry")
    took_ms = (time.perf_counter() - begin) * 1e3
    client.store.registry.drop("echo", 1, name, "the bench is done with it")
    return took_ms


def _put(client: Client, real: ReplicaRecord, name: str) -> None:
    record = replace(real, replica=name, agent_id=AGENT, worker="bench")
    record = replace(record, signature=client.signer.sign_endpoint(record))
    if not client.store.registry.put(AGENT, record):
        raise RuntimeError("the registry doesn't take the replica")


def _answered_by(connection: http.client.HTTPConnection) -> str | None:
    connection.request("POST", doors.PATH, doors.BODY, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.headers["x-rootward-replica"]
