"""Running unchanged lazyllm scripts through rootward.

`update`, `start`, `eval` and the rest of lazyllm all end in `ModuleBase._update`; that, `stop` and
`wait` are put through the executor, which is this process or the workers of REDIS_URL. Objects that
rootward doesn't know go on as they were. It is done once.
"""

from __future__ import annotations

import functools
from typing import Any

import lazyllm
from lazyllm.module.servermodule import _UrlHelper

from .. import executor
from ..local.executor import local_executor
from ..tree import walk
from .adapter import adopts
from .handles import served_at
from .nodes import ForeignNode, ServedNode, node_of, owner_of
from .pages import COMPONENTS

_KINDS = {"train": "train", "server": "deploy", "eval": "eval"}


def install() -> None:
    """Let lazyllm's modules be updated, stopped and waited for by rootward; done once."""
    base: Any = lazyllm.ModuleBase
    if getattr(base, "_rootward_installed", False):
        return
    base._rootward_installed = True
    base._update = _update
    page: Any = lazyllm.WebModule
    page._update = _update_page
    page.init_web = _remembering_components(page.init_web)
    for cls in (lazyllm.ModuleBase, lazyllm.ServerModule, lazyllm.TrainableModule, page):
        for name in ("stop", "wait"):
            if name in vars(cls):
                setattr(cls, name, _through_executor(name, vars(cls)[name]))
    server: Any = lazyllm.ServerModule
    server._call = _adopted_first("_call", server._call)
    helper: Any = _UrlHelper
    helper._url = property(_adopted_first("_url", helper._url.fget))


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


def _update_page(self: Any, *, mode: Any = None, recursive: bool = True) -> Any:
    """Update as any module, which serves the page too, and say where it is."""
    _update(self, mode=mode, recursive=recursive)
    if self.url:
        lazyllm.LOG.success(f"the page is at {self.url}")
    return self


def _remembering_components(original: Any) -> Any:
    """Keep what a page was made of: lazyllm forgets it, and a replica makes the page anew."""

    @functools.wraps(original)
    def init_web(self: Any, component_descs: Any) -> Any:
        vars(self).setdefault(COMPONENTS, component_descs)
        return original(self, component_descs)

    return init_web


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


def _adopted_first(name: str, original: Any) -> Any:
    """Have a handle adopted when it is first used, where what it calls is served by us.

    Such are a `share()` of what is in a tree, and a handle of a URL that another has given out.
    """

    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(self, lazyllm.UrlModule) and node_of(self) is None and _is_ours(self):
            adopts(self)
            found = getattr(self, name)
            return found(*args, **kwargs) if callable(found) else found
        return original(self, *args, **kwargs)

    run.__name__ = name
    run.__doc__ = original.__doc__
    return run


def _is_ours(handle: Any) -> bool:
    impl = vars(handle).get("_impl")
    if impl is None:
        return False
    return served_at(handle) is not None or isinstance(owner_of(impl) or node_of(impl), ServedNode)
