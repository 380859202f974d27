"""Running unchanged lazyllm scripts through rootward.

`update`, `start`, `eval` and the rest of lazyllm all end in `ModuleBase._update`; that, `stop` and
`wait` are put through the executor, which is this process or the workers of REDIS_URL. Objects that
rootward doesn't know go on as they were. It is done once.
"""

from __future__ import annotations

from typing import Any

import lazyllm

from .. import executor
from ..local.executor import local_executor
from ..tree import walk
from .adapter import adopts
from .handles import served_at
from .nodes import ForeignNode, node_of

_KINDS = {"train": "train", "server": "deploy", "eval": "eval"}


def install() -> None:
    """Let lazyllm's modules be updated, stopped and waited for by rootward; done once."""
    base: Any = lazyllm.ModuleBase
    if getattr(base, "_rootward_installed", False):
        return
    base._rootward_installed = True
    base._update = _update
    for cls in (lazyllm.ModuleBase, lazyllm.ServerModule, lazyllm.TrainableModule):
        for name in ("stop", "wait"):
            if name in vars(cls):
                setattr(cls, name, _through_executor(name, vars(cls)[name]))
    server: Any = lazyllm.ServerModule
    for name in ("forward", "_call"):
        setattr(server, name, _through_service(name, vars(server)[name]))


def _update(self: Any, *, mode: Any = None, recursive: bool = True) -> Any:
    modes = list(self.mode_list) if not mode else [mode] if isinstance(mode, str) else mode
    for each in modes:
        assert each in self.mode_list, f"Cannot find {each} in mode list: {self.mode_list}"
    node = adopts(self)
    assert node is not None
    kinds = [_KINDS[each] for each in modes]
    is_url = isinstance(self, lazyllm.ServerModule) and served_at(self) is not None
    is_called_here = is_url or (kinds == ["eval"] and _is_served_elsewhere(node))
    runs = local_executor() if is_called_here else None
    (runs or executor.resolve()).run(node, kinds=kinds, recursive=recursive)
    return self


def _is_served_elsewhere(node: Any) -> bool:
    """Whether what this module calls runs in the deployment of another, such as a shared engine.

    It is evaluated here then: a deployment of its own has none of that.
    """
    below = walk(node)
    return node._runtime is None and any(
        each.serves and each._runtime is not None for each in below if each is not node
    )


def _through_executor(name: str, original: Any) -> Any:
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        node = node_of(self)
        if isinstance(node, ForeignNode) and not args and not kwargs:
            getattr(executor.resolve_for(node), name)(node)
            return None
        return original(self, *args, **kwargs)

    run.__name__ = name
    run.__doc__ = original.__doc__
    return run


def _through_service(name: str, original: Any) -> Any:
    """Have a handle of a URL that we serve adopted at its first call."""

    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if node_of(self) is None and served_at(self) is not None:
            adopts(self)
            return getattr(self, name)(*args, **kwargs)
        return original(self, *args, **kwargs)

    run.__name__ = name
    run.__doc__ = original.__doc__
    return run
