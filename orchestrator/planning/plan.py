"""The plan of a deployment: a graph of tasks that can be drawn, printed and stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .graph import PlanGraph


@dataclass(frozen=True, kw_only=True)
class Plan(PlanGraph):
    """The tasks of a deployment in runnable order, and the services that it keeps alive."""

    def __repr__(self) -> str:
        return f"<Plan {self.deployment} {len(self.steps)} tasks, {len(self.services)} services>"

    def _repr_html_(self) -> str:
        from html import escape

        from .plan_svg import svg

        return svg(self) or f"<pre>{escape(str(self))}</pre>"

    def __str__(self) -> str:
        from .plan_text import draw

        return draw(self)

    def to_json(self) -> dict[str, Any]:
        """Return the document that `plan --json` prints."""
        return {"deployment": self.deployment, "tasks": [task.to_json() for task in self.tasks]}

    def to_mermaid(self) -> str:
        """Return the plan as a mermaid flowchart."""
        from .plan_text import mermaid

        return mermaid(self)

    def to_bytes(self) -> bytes:
        """Return the plan as the msgpack that is stored with the generation."""
        from .plan_codec import pack_plan

        return pack_plan(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Plan:
        """Read what `to_bytes` wrote; PlanError when it isn't a plan that this version reads."""
        from rootward.modules.processes.gc_pause import GcPaused

        from .plan_codec import unpack_plan

        with GcPaused():
            return cls(**unpack_plan(data))
