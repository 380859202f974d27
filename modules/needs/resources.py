"""Resources beside slots: amounts by name, as modules need them and workers offer them.

A whole amount of a named resource is so many devices; a fraction is a share of one. Amounts are
compared in millionths, so that ten tenths are one. What a worker has, and who holds what of it, is
the worker's; this file owns the words and numbers in which both sides speak of it.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

UNIT: Final = 1_000_000
"""One whole device, in the unit in which amounts are compared."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_TASK_KINDS = ("train", "eval")


def millionths(amount: float) -> int:
    """Return an amount in millionths, the nearest."""
    return round(amount * UNIT)


def amount_text(amount: float) -> str:
    """Return an amount as people write it: `2`, `0.5`, `1500000`; never with an exponent."""
    whole, rest = divmod(millionths(amount), UNIT)
    return f"{whole}.{rest:06d}".rstrip("0") if rest else str(whole)


def resources_text(resources: Mapping[str, float]) -> str:
    """Return resources as they are written on the command line, like `gpu=2`."""
    return " ".join(f"{name}={amount_text(n)}" for name, n in sorted(resources.items()))


def most_at_once(offer: Mapping[str, float], needs: Mapping[str, float]) -> int:
    """Return how many with these needs fit an offer at once; 0 for needs of nothing."""
    wanted = {name: millionths(amount) for name, amount in needs.items() if amount}
    fitting = [millionths(offer.get(name, 0)) // amount for name, amount in wanted.items()]
    return min(fitting, default=0)


def covers(offer: Mapping[str, float], needs: Mapping[str, float]) -> bool:
    """Whether what is offered, with nothing of it in use, is enough for the needs."""
    return all(millionths(offer.get(name, 0)) >= millionths(n) for name, n in needs.items())


def checked_name(name: Any) -> str:
    """Return the name of a resource; ValueError for what can't be one."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"a resource can't be called {name!r}: begin with a letter, then letters, digits, "
            "'_', '.' and '-'"
        )
    return name


def checked_needs(what: str, resources: Any) -> dict[str, float]:
    """Return needs as numbers above 0 by name; those of 0 are left out.

    Raises TypeError and ValueError, which name `what` needs it, the resource and the value.
    """
    if resources is None:
        return {}
    try:
        given = dict(resources)
    except (TypeError, ValueError):
        raise TypeError(
            f'{what} is a dict of amounts, like {{"gpu": 1}}, not {resources!r:.100}'
        ) from None
    needs: dict[str, float] = {}
    for name, amount in given.items():
        try:
            checked_name(name)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None
        is_number = isinstance(amount, (int, float)) and not isinstance(amount, bool)
        # NaN and infinity pass no comparison that both must pass.
        if not is_number or not 0 <= amount <= 1e9:
            raise ValueError(f"{what}: {name} is a number from 0 on, not {amount!r:.100}")
        if amount and not millionths(amount):
            raise ValueError(f"{what}: {name}={amount!r} is less than a millionth")
        if amount:
            needs[name] = float(amount)
    return needs


def task_needs(module: Any) -> dict[str, dict[str, float]]:
    """Return what the tasks of a module need, by kind: its class's `task_resources`.

    Raises TypeError and ValueError, which name the class, the kind and the value.
    """
    given = getattr(module, "task_resources", None)
    if not given:
        return {}
    what = f"task_resources of {type(module).__name__}"
    if not isinstance(given, dict):
        raise TypeError(
            f'{what} is a dict by kind, like {{"train": {{"gpu": 1}}}}, not {given!r:.100}'
        )
    if wrong := [kind for kind in given if kind not in _TASK_KINDS]:
        raise ValueError(
            f"{what}: {wrong[0]!r} is no kind of task that can ask for resources: choose from "
            f"{', '.join(_TASK_KINDS)} (a served module asks with "
            "ServerModule(resources=...))"
        )
    needs = {kind: checked_needs(f"{what}, {kind}", amounts) for kind, amounts in given.items()}
    return {kind: amounts for kind, amounts in needs.items() if amounts}


def variable_of(name: str) -> str:
    """Return the environment variable that names the devices of a resource."""
    return "ROOTWARD_RESOURCE_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
