"""Faults of lazyllm that stand in the way of trees that travel, and how they are mended."""

from __future__ import annotations

from typing import Any

from lazyllm.common.bind import Bind


def mend_bound_arguments() -> None:
    """Let a bound argument keep `unpack` when it travels: 1.4.0 loses it, and fails on its use."""
    args: Any = Bind.Args

    def get(self: Any) -> Any:
        return (
            self._item_key, self._attr_key, self._source_id, self._target_id,
            self.__dict__.get("_unpack", False),
        )  # fmt: skip

    def put(self: Any, state: Any) -> None:
        self._item_key, self._attr_key, self._source_id, self._target_id, *rest = state
        self._unpack = bool(rest and rest[0])

    args.__getstate__, args.__setstate__ = get, put
