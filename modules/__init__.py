"""The tree a user writes: modules, flows, and what they are made of.

    class Hello(rootward.ModuleBase):
        def forward(self, name):
            return f"hello {name}"

    rootward.ServerModule(Hello()).start()("you")

Everything runs in this program unless a Redis URL is set. Public names are loaded at their first
use, so that importing this package costs next to nothing.
"""

from __future__ import annotations

# Not from typing: its import alone costs more than all of this package's start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .calling.hooks import Hook
    from .command import CommandModule
    from .display import make_repr
    from .errors import RootwardError
    from .flows.action import ActionModule
    from .flows.barrier import barrier
    from .flows.binding import (
        Bind,
        _0,
        _1,
        _2,
        _3,
        _4,
        _5,
        _6,
        _7,
        _8,
        _9,
        bind,
    )
    from .flows.branching import IFS, Switch, ifs, switch
    from .flows.flow import Flow
    from .flows.graph import Graph, graph
    from .flows.packages import Kwargs, Package, kwargs, package
    from .flows.parallel import Diverter, Parallel, Warp, diverter, parallel, warp
    from .flows.sequence import Loop, Pipeline, loop, pipeline, save_pipeline_result
    from .module import ModuleBase
    from .register import module_register
    from .running import attempt, on_stopping, progress, stopping, workspace
    from .server import ServerModule
    from .url import UrlModule

__all__ = [  # noqa: RUF022 - grouped, like a table of contents
    # modules
    "ModuleBase",
    "ActionModule",
    "ServerModule",
    "CommandModule",
    "UrlModule",
    "module_register",
    # flows
    "Flow",
    "Pipeline", "pipeline",
    "Parallel", "parallel",
    "Diverter", "diverter",
    "Warp", "warp",
    "Switch", "switch",
    "IFS", "ifs",
    "Loop", "loop",
    "Graph", "graph",
    "save_pipeline_result",
    # what goes between their steps
    "Bind", "bind",
    "Package", "package",
    "Kwargs", "kwargs",
    "_0", "_1", "_2", "_3", "_4", "_5", "_6", "_7", "_8", "_9",
    "barrier",
    # inside a running task
    "attempt",
    "on_stopping",
    "progress",
    "stopping",
    "workspace",
    # the rest
    "Hook",
    "make_repr",
    "RootwardError",
]  # fmt: skip

_HOMES = {
    "flows.action": ["ActionModule"],
    "flows.barrier": ["barrier"],
    "flows.binding": ["Bind", "bind", *(f"_{index}" for index in range(10))],
    "flows.branching": ["IFS", "Switch", "ifs", "switch"],
    "command": ["CommandModule"],
    "display": ["make_repr"],
    "flows.graph": ["Graph", "graph"],
    "errors": ["RootwardError"],
    "flows.parallel": ["Diverter", "Parallel", "Warp", "diverter", "parallel", "warp"],
    "flows.flow": ["Flow"],
    "flows.packages": ["Kwargs", "Package", "kwargs", "package"],
    "flows.sequence": ["Loop", "Pipeline", "loop", "pipeline", "save_pipeline_result"],
    "calling.hooks": ["Hook"],
    "module": ["ModuleBase"],
    "running": ["attempt", "on_stopping", "progress", "stopping", "workspace"],
    "register": ["module_register"],
    "server": ["ServerModule"],
    "url": ["UrlModule"],
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    # Also the files themselves: users write `modules.module.ModuleBase` after `import modules`.
    home = _HOME_OF.get(name)
    if home is None and name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    file = import_module(f".{home or name}", __name__)
    if home is None:
        return file
    value = getattr(file, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
