"""ActionModule: a flow as a module.

It owns nothing but the pipeline of its steps; the modules in there, at any depth, are its
submodules, in the order of the flow.
"""

from __future__ import annotations

from ..module import ModuleBase
from .sequence import Pipeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class ActionModule(ModuleBase):
    """Runs its steps as a pipeline: `ActionModule(f, module, parallel(g, h))`.

    Steps are functions, modules and flows; keywords name them.
    """

    def __init__(
        self, *steps: Any, name: str | None = None, return_trace: bool = False, **named: Any
    ) -> None:
        super().__init__(name=name, return_trace=return_trace)
        self.action = Pipeline(*steps, **named)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the steps, the first with all arguments."""
        return self.action(*args, **kwargs)

    def _repr_parts(self) -> dict[str, Any]:
        # One line for the module and its pipeline.
        return {
            "category": "Module",
            "type": "Action",
            "name": self.name,
            "attrs": {
                "return_trace": self.return_trace,
                "sub-category": "Flow",
                "type": "Pipeline",
                **self.action._attributes(),
            },
        }

    def _drawn_below(self) -> Sequence[object]:
        return self.action._items
