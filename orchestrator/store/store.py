"""The store: everything that rootward keeps in Redis, one part a noun.

`deployments` is what is asked for, `tasks` the work that this takes, `agents` who does it,
`registry` what serves, `history` what happened, `bundles` the code, `rollouts` how generations take
over, `shards` the parts of evaluations. Every write is one script that may be repeated, all times
are those of Redis, and RQ's keys are kept as a mirror for RQ's tools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .agents import AgentStore
from .bundles import BundleStore
from .deployments import DeploymentStore
from .history import HistoryStore
from .registry import RegistryStore
from .rollouts import RolloutStore
from .scripts import ScriptRunner
from .tasks import ShardStore, TaskStore

if TYPE_CHECKING:
    from .connection import Clients
    from .keys import Keys


class Store:
    """What is stored under one prefix on one Redis; threads may share it.

    Only `tasks.exchange` of one agent belongs to one thread at a time.
    """

    def __init__(
        self, clients: Clients, keys: Keys, *, scripts: ScriptRunner | None = None
    ) -> None:
        self.clients = clients
        self.keys = keys
        self.scripts = scripts = scripts or ScriptRunner(clients.scripts, keys)
        self.deployments = DeploymentStore(clients, keys, scripts)
        self.tasks = TaskStore(clients, keys, scripts)
        self.agents = AgentStore(clients, keys, scripts)
        self.registry = RegistryStore(clients, keys, scripts)
        self.history = HistoryStore(clients, keys, scripts)
        self.bundles = BundleStore(clients, keys, scripts)
        self.rollouts = RolloutStore(clients, keys, scripts)
        self.shards = ShardStore(clients, keys, scripts)
