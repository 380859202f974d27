"""Workers: they run jobs, keep replicas alive, and decide nothing that a plan decides.

    Agent(url, slots=4).run()

The agent itself never imports user code: templates, slots and replicas are processes of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agent.agent import Agent

__all__ = ["Agent"]


def __getattr__(name: str) -> Any:
    if name != "Agent":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .agent.agent import Agent

    globals()[name] = Agent
    return Agent
