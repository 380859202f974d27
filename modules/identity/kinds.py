"""What a value is, by its real type: objects may answer for their class whatever they like."""

from __future__ import annotations

from typing import Any


def is_a(value: object, kinds: Any) -> bool:
    """Whether the type of a value is one of `kinds` (as `isinstance` takes them)."""
    return issubclass(type(value), kinds)
