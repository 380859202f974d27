"""Which of a service's ready replicas gets the next call: pure choices, without clock or network.

`choose` takes the less busy of two drawn at random, which spreads load nearly as well as knowing
everything and never herds all callers onto one. `usable` leaves out replicas that just refused a
connection, but never more than half of them: a caller's own bad network must not empty a service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Key = TypeVar("Key")

EJECTION_S = 2.0
"""How long a replica is left out after it refused a connection, in seconds."""


def choose(keys: Sequence[Key], load: Mapping[Key, int], draw: Callable[[int], int]) -> Key:
    """Return the less loaded of two different keys.

    `load` counts the calls under way; `draw(n)` returns a whole number from 0 to n - 1. Raises
    IndexError for an empty sequence.
    """
    if len(keys) < 2:
        return keys[0]
    first = draw(len(keys))
    # The second is drawn among the others, so that two replicas are always compared.
    second = (first + 1 + draw(len(keys) - 1)) % len(keys)
    one, other = keys[first], keys[second]
    return one if load.get(one, 0) <= load.get(other, 0) else other


def usable(keys: Sequence[Key], ejected_until: Mapping[Key, float], now: float) -> list[Key]:
    """Return the keys without those that are ejected at `now`, but at least half of them.

    Those whose ejection ends first are taken back first.
    """
    out = [key for key in keys if ejected_until.get(key, now) > now]
    out.sort(key=lambda key: ejected_until[key])
    taken_back = set(out[: max(0, len(out) - len(keys) // 2)])
    return [key for key in keys if ejected_until.get(key, now) <= now or key in taken_back]
