"""Metrics of what is behind the gateway: workers, deployments, tasks and their waits.

They are read from the store when somebody asks, so that any gateway can tell them and none has to
count. Told are all active generations and the newest of each deployment, so that what has failed or
ended can still be counted until its history is over. What has ended is read once. Without Redis
there is nothing to tell.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from ...metrics import Times, catalogue
from ...metrics.times import TASK_BOUNDS_S
from ...states import DeploymentState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...metrics import Metric
    from ...metrics.exposition import Families
    from ...store.records import AgentRecord, GenerationRecord, TaskRecord
    from ...store.store import Store

Place = tuple[str, int]

# Of deployments that have ended; the newest come first.
_MOST: Final = 200
_SPANS: Final = (catalogue.TASK_BARRIER, catalogue.TASK_QUEUE, catalogue.TASK_RUN)


class Tally:
    """The tasks of one generation: how many, and how long they waited and ran."""

    def __init__(self, record: GenerationRecord, tasks: Sequence[TaskRecord]) -> None:
        """Count them."""
        self.states = Counter((str(task.kind), str(task.state)) for task in tasks)
        self.times: dict[tuple[Metric, str], Times] = {}
        for task in tasks:
            for metric, seconds in _spans(record, task):
                key = (metric, str(task.kind))
                self.times.setdefault(key, Times(TASK_BOUNDS_S)).observe(seconds)


class Fleet:
    """Reads the store, and remembers what won't change any more; for one thread at a time."""

    def __init__(self, store: Store) -> None:
        """Read nothing yet."""
        self._store = store
        self._ended: dict[Place, Tally] = {}
        self._agents: list[AgentRecord] = []
        self._found: list[tuple[GenerationRecord, Tally]] = []
        self._states: Counter[str] = Counter()

    def read(self) -> None:
        """Read everything; raises RedisError and OSError."""
        deployments = self._store.deployments
        records: dict[Place, GenerationRecord] = {}
        for name, number in deployments.active():
            record = deployments.generation(name, number)
            if record is not None:
                records[name, number] = record
        known = deployments.all()
        for each in known[:_MOST]:
            if each.newest is not None:
                records.setdefault((each.name, each.latest), each.newest)
        self._states = Counter(str(each.state) for each in known if each.state is not None)
        self._agents = self._store.agents.all()
        self._found = [(record, self._tally(record)) for record in records.values()]
        self._ended = {place: tally for place, tally in self._ended.items() if place in records}

    def collect(self, families: Families) -> None:
        """Add what was read last."""
        for agent in self._agents:
            labels = agent.info.worker, agent.info.id
            families.add(catalogue.FLEET_LEASE, agent.lease_ms / 1000, *labels)
            families.add(catalogue.FLEET_HELD, agent.held, *labels)
            families.add(catalogue.FLEET_SLOTS, agent.info.slots, *labels)
        for state in DeploymentState:
            families.add(catalogue.DEPLOYMENTS, self._states[str(state)], state)
        for record, tally in self._found:
            _collect_generation(record, tally, families)

    def _tally(self, record: GenerationRecord) -> Tally:
        place = record.name, record.generation
        if (known := self._ended.get(place)) is not None and record.is_over:
            return known
        tally = Tally(record, self._store.tasks.of(*place))
        if record.is_over:
            self._ended[place] = tally
        else:
            # It was resumed.
            self._ended.pop(place, None)
        return tally


def _collect_generation(record: GenerationRecord, tally: Tally, families: Families) -> None:
    place = record.name, record.generation
    families.add(catalogue.DEPLOYMENT_STATE, 1, *place, record.state)
    is_ending = record.state.is_final or record.state is DeploymentState.STOPPING
    for path, wanted in record.services.items():
        families.add(catalogue.SERVICE_READY, record.ready.get(path, 0), *place, path)
        # What is stopped, or has failed, wants none: else an alert would never end.
        families.add(catalogue.SERVICE_WANTED, 0 if is_ending else wanted, *place, path)
    for (kind, state), count in tally.states.items():
        families.add(catalogue.TASKS, count, *place, kind, state)
    for (metric, kind), times in tally.times.items():
        families.add_times(metric, times, *place, kind)


def _spans(record: GenerationRecord, task: TaskRecord) -> Iterator[tuple[Metric, float]]:
    times = (record.created_at, task.queued_at, task.started_at, task.ended_at)
    for metric, begin, end in zip(_SPANS, times, times[1:], strict=False):
        if begin is not None and end is not None:
            yield metric, max(0.0, end - begin)
