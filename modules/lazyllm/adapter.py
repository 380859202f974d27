"""Which of lazyllm's objects are taken as modules, and by which node.

Modules and flows are; a ServerModule is served by replicas, the engine of a TrainableModule runs in
one. What has an address of its own already (`url=`) is called there. Everything else of lazyllm's
is no module, and None.
"""

from __future__ import annotations

from typing import Any

import lazyllm
from lazyllm import FastapiApp
from lazyllm.flow import FlowBase
from lazyllm.module.llms.trainablemodule import _TrainableModuleImpl
from lazyllm.module.servermodule import _ServerModuleImpl

from ..errors import ForeignError
from ..module import ModuleBase
from .handles import adopted_class
from .nodes import EngineNode, ForeignNode, ServedNode, join, node_of, own, owner_of, unwrapped
from .pages import PageNode

_ACTION = "_rootward_action"


def adopts(obj: Any) -> ModuleBase | None:
    """Return the node of a lazyllm module or flow, the same each time; None for anything else."""
    obj = unwrapped(obj)
    if isinstance(obj, ModuleBase):
        return obj
    if isinstance(obj, FlowBase):
        action = vars(obj).get(_ACTION)
        if action is None:
            action = vars(obj)[_ACTION] = lazyllm.ActionModule(obj)
        return adopts(action)
    if not isinstance(obj, lazyllm.ModuleBase):
        return None
    known = node_of(obj)
    return known if known is not None else _taken(obj)


def _taken(obj: Any) -> ForeignNode:
    node = ModuleBase.__new__(_node_class(obj))
    try:
        cls: Any = type(obj)
        obj.__class__ = adopted_class(cls)
    except TypeError as error:
        raise ForeignError(
            f"the lazyllm module {type(obj).__name__} can't be part of a tree: {error}"
        ) from error
    join(node, obj)
    if isinstance(node, ServedNode) and not isinstance(node, EngineNode):
        own(node, obj._impl)
        # A class that travels by value takes its routes along from here on.
        FastapiApp.update()
    return node


def _node_class(obj: Any) -> type[ForeignNode]:
    if isinstance(obj, lazyllm.ServerModule):
        impl = obj._impl
        is_elsewhere = impl._m is None
        return ForeignNode if is_elsewhere or owner_of(impl) is not None else ServedNode
    if isinstance(obj, _TrainableModuleImpl):
        is_elsewhere = bool(obj._url_wrapper.url) or bool(obj._get_deploy_tasks.flag)
        return ForeignNode if is_elsewhere or obj._deploy is None else EngineNode
    if isinstance(obj, lazyllm.WebModule):
        return PageNode
    if isinstance(obj, _ServerModuleImpl):
        raise ForeignError("a part of a lazyllm ServerModule is no module of its own")
    return ForeignNode
