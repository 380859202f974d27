"""What the gateway knows of a service, as it was read from the registry: frozen, and checked.

A view is made by whoever reads Redis and given to the table that routes by it. Addresses in it come
from signed records only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...rollout.counting import CanaryShare


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """Where one ready replica answers; `token` names it, `worker` is for people."""

    host: str
    port: int
    token: str
    replica: str
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """One service of the generation that the outside sees.

    `reason` says why nothing is ready, `is_coming` whether a call may wait for it, `is_asleep` that
    a call has to wake it, `is_waking` that one has and nothing has come up yet. `call_token`
    opens replicas that listen off loopback; `call_key` is what each proves to hold before it is
    sent a call, None for what can't. `is_foreign` says that its replicas are servers of somebody
    else's, to which requests go as they are.
    """

    path: str
    deployment: str
    generation: int
    wanted: int
    endpoints: tuple[EndpointView, ...] = ()
    repeatable: bool = True
    is_coming: bool = True
    is_asleep: bool = False
    is_waking: bool = False
    reason: str = ""
    call_token: str = ""
    call_key: bytes | None = field(default=None, repr=False)
    is_foreign: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryView:
    """A canary beside the current generation: its share of the calls, and what it serves."""

    share: CanaryShare
    services: tuple[ServiceView, ...] = ()
