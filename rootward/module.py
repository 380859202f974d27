"""Modules under the path that LazyLLM's users know: `rootward.module.ModuleBase` and its kin."""

from __future__ import annotations

from .modules import ActionModule, ModuleBase, ServerModule, UrlModule, module_register

register = module_register

__all__ = [
    "ActionModule",
    "ModuleBase",
    "ServerModule",
    "UrlModule",
    "module_register",
    "register",
]
