"""How a generation takes over from the one before it: behind requirements, and by a share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What a submission asks for: `requires` are requirements on evaluations as they are written.

    `percent` is the share of the calls that it gets as a canary, None when it is to be current at
    once. After `bake_s` seconds without a breach it is promoted by itself, None: only by hand;
    `max_error_rate` (from 0 to 1) is what its calls are held to.
    """

    requires: tuple[str, ...] = ()
    percent: float | None = None
    bake_s: float | None = None
    max_error_rate: float | None = None

    def fields(self) -> dict[str, str]:
        """Return the fields of the generation's hash that are not empty."""
        found = {
            "requires": "\n".join(self.requires),
            "canary": _written(self.percent),
            "bake": _written(self.bake_s),
            "max_error_rate": _written(self.max_error_rate),
        }
        return {name: value for name, value in found.items() if value}


def read_rollout(text: Mapping[str, str]) -> Rollout:
    """Read it from the fields of a generation's hash."""
    return Rollout(
        requires=tuple(line for line in text.get("requires", "").split("\n") if line),
        percent=_read(text.get("canary")),
        bake_s=_read(text.get("bake")),
        max_error_rate=_read(text.get("max_error_rate")),
    )


def _written(number: float | None) -> str:
    return "" if number is None else f"{number:.12g}"


def _read(text: str | None) -> float | None:
    # What somebody else wrote there is nothing.
    try:
        return float(text) if text else None
    except ValueError:
        return None
