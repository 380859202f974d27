"""Modules of other frameworks in a tree: who takes their objects, and what can't be taken.

An adapter is found by an entry point of the group `rootward.adapters`: its name is the framework's
top-level package, its value a module or an object with `adopts(obj) -> ModuleBase | None`. It is
loaded when an object of that framework is met, and never before. `adopts` returns the same module
for the same object each time, None for what is no module there, and raises ForeignError for a
module that it can't take. This is the one place in the core that knows of foreign modules.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Adapter(Protocol):
        """What an entry point of the group names."""

        def adopts(self, obj: Any) -> Any:
            """Return the ModuleBase that stands for `obj` in a tree, or None; ForeignError."""


GROUP = "rootward.adapters"
# Found without a look at what is installed: these hold nobody's modules.
_NEVER = frozenset({"builtins", "rootward", "numpy", "__main__", *sys.stdlib_module_names})

_adapters: dict[type, Adapter | None] = {}
_entry_points: dict[str, Any] | None = None


def adopted(obj: object) -> Any:
    """Return the module that stands for an object of another framework, None for anything else.

    Raises ForeignError when its adapter can't take it.
    """
    adapter = adapter_of(type(obj))
    return None if adapter is None else adapter.adopts(obj)


def adapter_of(cls: type) -> Adapter | None:
    """Return the adapter for objects of a class, found by the frameworks of its bases."""
    try:
        return _adapters[cls]
    except KeyError:
        found = _adapters[cls] = _find(cls)
        return found


def _find(cls: type) -> Adapter | None:
    tops = dict.fromkeys(base.__module__.partition(".")[0] for base in cls.__mro__)
    for top in tops:
        if top not in _NEVER and top in sys.modules and top in _installed():
            adapter: Adapter = _installed()[top].load()
            return adapter
    return None


def _installed() -> dict[str, Any]:
    global _entry_points
    if _entry_points is None:
        from importlib.metadata import entry_points

        _entry_points = {point.name: point for point in entry_points(group=GROUP)}
    return _entry_points
