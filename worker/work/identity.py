"""Who an agent is: the name that people see, and the id of this one incarnation.

The id is new with every start, and again when the lease of the one before was lost, so that
nothing an earlier incarnation still writes can pass for ours.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rootward.modules.errors import RootwardError
from rootward.modules.needs.resources import UNIT
from rootward.orchestrator.store.records import AgentInfo
from rootward.orchestrator.store.rq_compat import agent_queue, plain_queue

if TYPE_CHECKING:
    from ..devices.allocation import DevicePool


class BadWorkerName(RootwardError):
    """A worker can't be called that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an agent says of itself; `queues` are those that it takes from beside its own."""

    prefix: str
    name: str
    host: str
    slots: int
    queues: tuple[str, ...] = ()
    pools: Mapping[str, DevicePool] = field(default_factory=dict)
    started_at: float = field(default_factory=time.time)

    @property
    def resources(self) -> dict[str, float]:
        """The amounts that it offers beside slots."""
        return {name: pool.amount / UNIT for name, pool in self.pools.items()}

    @property
    def plain(self) -> tuple[str, ...]:
        """The queues that it shares with others."""
        return self.queues or (plain_queue(self.prefix),)

    def own_queue(self, agent_id: str) -> str:
        """The queue that only this incarnation takes from."""
        return agent_queue(self.prefix, agent_id)

    def new_id(self) -> str:
        """Return the id of a new incarnation."""
        return f"{self.name}-{secrets.token_hex(6)}"

    def info(
        self,
        agent_id: str,
        state: str = "running",
        holdings: tuple[Mapping[str, Any], ...] = (),
    ) -> AgentInfo:
        """Return the record to join with."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            installed = version("rootward")
        except PackageNotFoundError:
            installed = ""
        return AgentInfo(
            id=agent_id,
            worker=self.name,
            host=self.host,
            pid=os.getpid(),
            slots=self.slots,
            queues=self.plain,
            resources=self.resources,
            devices={name: pool.devices for name, pool in self.pools.items() if pool.devices},
            holdings=holdings,
            version=installed,
            state=state,
            started_at=self.started_at,
        )


def checked_name(name: str | None) -> str:
    """Return the worker's name, by default host and process; BadWorkerName for an unfit one."""
    if name is None:
        host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname().split(".")[0])
        return f"{host or 'worker'}-{os.getpid()}"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise BadWorkerName(
            f"a worker can't be called {name!r}: take up to 64 letters, digits, '.', '_' or '-'"
        )
    return name
