"""A worker that a test drives: it claims from the real store and runs plain tasks in a thread.

It speaks to the store as an agent does and keeps to the same order (output before finish), without
processes of its own, so that what waits for workers can be tested quickly.
"""

from __future__ import annotations

import contextlib
import io
import threading
import traceback
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from rootward.modules.state import state_log, trees
from rootward.modules.tasks import tasks_of
from rootward.orchestrator.states import ReplicaState, TaskState
from rootward.orchestrator.store.records import AgentInfo, Finish, ReplicaRecord
from rootward.orchestrator.store.rq_compat import agent_queue, plain_queue
from tests.support.scenes import hasten_retries

if TYPE_CHECKING:
    from rootward.modules.tree import Tree
    from rootward.orchestrator.client.client import Client
    from rootward.orchestrator.store.records import Claim

LEASE_MS = 30_000


class ScriptedWorker:
    """An agent without processes; served modules are registered as ready at a fixed address."""

    def __init__(self, client: Client, name: str = "scripted") -> None:
        self.store, self.signer = client.store, client.signer
        self.info = AgentInfo(
            id=f"{name}-{uuid.uuid4().hex[:12]}",
            worker=name,
            slots=1,
            queues=(plain_queue(client.keys.prefix),),
        )
        self._queues = [agent_queue(client.keys.prefix, self.info.id), *self.info.queues]
        self._trees: dict[str, Tree] = {}
        self._applied: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.store.agents.join(self.info, LEASE_MS)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        self.store.agents.leave(self.info.id)

    def work(self) -> list[str]:
        """Run what can be claimed until nothing is left; return the task ids in order."""
        ran: list[str] = []
        finishes: list[Finish] = []
        while True:
            exchange = self.store.tasks.exchange(
                self.info.id, finishes=finishes, queues=self._queues, limit=1, offsets=self._applied
            )
            finishes = [self._run(claim) for claim in exchange.claims]
            ran += [claim.task for claim in exchange.claims]
            if not finishes and not hasten_retries(self.store):
                return ran

    def replica(self, name: str, generation: int, path: str, id_: str) -> ReplicaRecord:
        """Return the signed record of a ready replica."""
        url, token = "http://127.0.0.1:9", f"token-{id_}"
        record = ReplicaRecord(
            replica=id_,
            name=name,
            generation=generation,
            path=path,
            agent_id=self.info.id,
            worker=self.info.worker,
            state=ReplicaState.READY,
            url=url,
            token=token,
            since=self.store.agents.now(),
        )
        return replace(record, signature=self.signer.sign_endpoint(record))

    def _live(self) -> None:
        cursors: dict[str, str] = {}
        while not self._stop.is_set():
            bell = self.store.agents.wait_bell(self.info.id, cursors, 50)
            cursors = dict(bell.cursors)
            for command in bell.commands:
                if command["op"] == "stop_replica":
                    self._stop_replica(command["replica"])
            self.work()

    def _stop_replica(self, replica: str) -> None:
        for name, generation in self.store.deployments.active():
            for record, _ in self.store.registry.replicas(name, generation):
                if record.replica == replica:
                    self.store.registry.drop(name, generation, replica, "told to")

    def _run(self, claim: Claim) -> Finish:
        place = f"{claim.name}@{claim.generation}"
        if place not in self._trees:
            opening = self.store.tasks.opening(claim.name, claim.generation)
            packed = self.signer.open_tree(opening.tree, claim.name, claim.generation)
            self._trees[place] = trees.unpack(packed)
        tree = self._trees[place]
        for sealed in claim.states:
            state_log.apply(tree, self.signer.open_state(sealed, claim.name, claim.generation))
        self._applied[place] = claim.offset
        module = tree.module_at(claim.path)
        if claim.kind == "prepare":
            return Finish(job_id=claim.job_id, token=claim.token, state=TaskState.SUCCEEDED)
        if module.serves and claim.kind == "deploy":
            record = self.replica(claim.name, claim.generation, claim.path, uuid.uuid4().hex)
            self.store.registry.put(self.info.id, record)
            return Finish(job_id=claim.job_id, token=claim.token, state=TaskState.SUCCEEDED)
        return self._run_tasks(tree, claim)

    def _run_tasks(self, tree: Tree, claim: Claim) -> Finish:
        out, err, error = io.StringIO(), io.StringIO(), None
        recorder = state_log.Recorder(tree, claim.path, 1 << 24, claim.kind)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                with recorder:
                    for task in tasks_of(tree.module_at(claim.path), claim.kind):
                        task()
            except Exception as cause:
                error = {
                    "type": type(cause).__name__,
                    "message": str(cause),
                    "traceback": traceback.format_exc(),
                }
        seal = self.signer.seal_state
        changes = [] if error else recorder.changes()
        return Finish(
            job_id=claim.job_id,
            token=claim.token,
            state=TaskState.FAILED if error else TaskState.SUCCEEDED,
            error=error,
            states=[seal(entry, claim.name, claim.generation) for entry in changes],
            output=[(1, out.getvalue()), (2, err.getvalue())],
        )
