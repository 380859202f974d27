"""Numbers among the options of served modules: what they may be, and the sentence otherwise.

An option is named with its owner, as in `port of a ServerModule`.
"""

from __future__ import annotations

from math import inf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX_PORT = 65_535


def is_count(value: Any) -> bool:
    """Whether a value is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def checked_count(option: str, value: Any) -> int:
    """Return a whole number from 1 on; raises ValueError for anything else."""
    if not is_count(value) or value < 1:
        raise ValueError(f"{option} is a whole number from 1 on, not {value!r}")
    return int(value)


def checked_amount(option: str, value: Any, unit: str) -> float:
    """Return a number above 0, in that unit; raises ValueError for anything else."""
    # A comparison that NaN doesn't pass either.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < inf:
        raise ValueError(f"{option} is in {unit}, above 0, not {value!r:.100}")
    return float(value)


def checked_port(option: str, port: Any, replicas: Any, most: int) -> int | None:
    """Return a fixed port, None for none; `most` is how many of `replicas` there may be at once.

    Raises ValueError for what is no port, and for one that several replicas would share.
    """
    if port is None:
        return None
    if not is_count(port) or not 0 < port <= _MAX_PORT:
        raise ValueError(f"{option} is a number from 1 to {_MAX_PORT}, not {port!r}")
    if most > 1:
        raise ValueError(
            f"a fixed port ({port}) can't be had by {replicas} replicas: leave out one of both"
        )
    return int(port)
