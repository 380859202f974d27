"""The store: everything that rootward keeps in Redis, behind one object.

It is made of one part a noun: submissions (what is asked), leases (who runs it), replicas (what
serves) and readings (what is known). Every write is one script that may be repeated, all times are
those of Redis, and RQ's keys are kept as a mirror for RQ's tools.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from .agents import Leases
from .deployments import Submissions
from .queries import Readings
from .registry import Replicas
from .scripts import Scripts

if TYPE_CHECKING:
    from .connection import Clients
    from .keys import Keys


class Store(Submissions, Leases, Replicas, Readings):
    """What is stored under one prefix on one Redis; threads may share it.

    Only `exchange` of one agent belongs to one thread at a time.
    """

    def __init__(self, clients: Clients, keys: Keys) -> None:
        self.clients = clients
        self.keys = keys
        self.scripts = Scripts(clients.scripts, keys)
        self._unanswered: dict[str, str] = {}
        self._requests = itertools.count(1)
