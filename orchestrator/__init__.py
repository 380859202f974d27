"""Plans, Redis and the gateway: what turns a tree of modules into a running deployment.

    with orchestrator.connect() as client:
        deployment = client.submit(tree)
        deployment.wait()
        client.gateway.call("digits", image)

Public names are loaded at their first use, so that importing this package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client.client import Client, connect
    from .client.deployment import Deployment
    from .errors import (
        DataLost,
        DeploymentCancelled,
        DeploymentFailed,
        OrchestratorError,
        UnknownDeployment,
        UnknownService,
    )
    from .planning.plan import Plan

_HOMES = {
    "Client": "client.client",
    "connect": "client.client",
    "DataLost": "errors",
    "Deployment": "client.deployment",
    "DeploymentCancelled": "errors",
    "DeploymentFailed": "errors",
    "OrchestratorError": "errors",
    "UnknownDeployment": "errors",
    "UnknownService": "errors",
    "Plan": "planning.plan",
}

__all__ = [
    "Client",
    "DataLost",
    "Deployment",
    "DeploymentCancelled",
    "DeploymentFailed",
    "OrchestratorError",
    "Plan",
    "UnknownDeployment",
    "UnknownService",
    "connect",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
