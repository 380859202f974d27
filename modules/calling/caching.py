"""The results that a module keeps, for those who asked for it with `use_cache`.

Results are kept by the arguments, in this process, for one module object, or for all that share a
name; the oldest of too many go first. Arguments that can't be pickled, streams and coroutines are
computed each time.
"""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

_MOST: Final = 1024
_NEVER_KEPT: Final = frozenset({"coroutine", "generator", "async_generator"})

_own: WeakKeyDictionary[Any, OrderedDict[bytes, Any]] = WeakKeyDictionary()
_shared: dict[str, OrderedDict[bytes, Any]] = {}
_lock = threading.Lock()


def cached(
    owner: object,
    share: bool | str,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Return the kept result of a call with these arguments, else compute and keep it.

    `share` is the name under which modules of one class share results, or True for `owner` alone.
    """
    key = _key(args, kwargs)
    if key is None:
        return function(*args, **kwargs)
    with _lock:
        kept = _results(owner, share)
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
    result = function(*args, **kwargs)
    if type(result).__name__ in _NEVER_KEPT:
        return result
    with _lock:
        kept[key] = result
        while len(kept) > _MOST:
            kept.popitem(last=False)
    return result


def _results(owner: object, share: bool | str) -> OrderedDict[bytes, Any]:
    places: MutableMapping[Any, OrderedDict[bytes, Any]] = _own
    place: Any = owner
    if isinstance(share, str):
        places, place = _shared, f"{type(owner).__module__}.{type(owner).__qualname__}@{share}"
    if place not in places:
        places[place] = OrderedDict()
    return places[place]


def _key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes | None:
    try:
        return pickle.dumps((args, sorted(kwargs.items())))
    except Exception:
        # Whatever refuses to be pickled is computed each time.
        return None
