"""Modules of other frameworks in a tree; `adoption` finds who takes their objects."""

from __future__ import annotations

from .adoption import GROUP, adapter_of, adopted

__all__ = ["GROUP", "adapter_of", "adopted"]
