"""rootward: deploy a tree of Python modules, children before parents.

    import rootward

    class Hello(rootward.ModuleBase):
        def forward(self, name):
            return f"hello {name}"

    rootward.ServerModule(Hello()).start()("you")

All public names stand here and are loaded at their first use, so that importing this package costs
next to nothing. `rootward.modules` is what a user writes, `rootward.orchestrator` turns it into a
deployment, and `rootward.worker` runs it.
"""

from __future__ import annotations

# Not from typing: its import alone costs more than all of this package's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .modules import *  # noqa: F403 - the same names, for type checkers
    from .orchestrator import Client as Client
    from .orchestrator import DataLost as DataLost
    from .orchestrator import Deployment as Deployment
    from .orchestrator import DeploymentCancelled as DeploymentCancelled
    from .orchestrator import DeploymentFailed as DeploymentFailed
    from .orchestrator import OrchestratorError as OrchestratorError
    from .orchestrator import Plan as Plan
    from .orchestrator import UnknownDeployment as UnknownDeployment
    from .orchestrator import UnknownService as UnknownService
    from .orchestrator import connect as connect

_PARTS = ("flow", "module", "modules", "orchestrator", "worker")
_ORCHESTRATOR = (
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
)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _PARTS:
        return import_module(f".{name}", __name__)
    if name in _ORCHESTRATOR:
        value = getattr(import_module(".orchestrator", __name__), name)
    elif name == "__all__":
        value = [*import_module(".modules", __name__).__all__, *_ORCHESTRATOR]
    else:
        # A group that is registered later hides nothing, and is found each time anew.
        try:
            return getattr(import_module(".modules", __name__), name)
        except AttributeError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PARTS, *__getattr__("__all__")})
