"""The attributes of a module, wherever its class keeps them: in the object's dict or in slots.

Everything that searches, copies, records or sends attributes goes through here, so that a class
with `__slots__` is treated as one without. The slots of ModuleBase itself are not attributes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_OURS = frozenset({"__dict__", "__weakref__", "_changed", "_runtime"})


def slots_of(cls: type) -> tuple[str, ...]:
    """Return the names of the slots that `cls` and its bases define, private names mangled."""
    names: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in _OURS:
                names[_mangled(base, name)] = None
    return tuple(names)


def attributes_of(module: Any) -> dict[str, Any]:
    """Return the attributes by name: the object's own dict, or a new one if it has slots."""
    slots = type(module)._slot_names
    attributes: dict[str, Any] = vars(module)
    if not slots:
        return attributes
    found = dict(attributes)
    for name in slots:
        try:
            found[name] = _slot(module, name).__get__(module)
        except AttributeError:
            # The slot is empty.
            continue
    return found


def put_attributes(module: Any, values: Mapping[str, Any]) -> None:
    """Set attributes past the module's own `__setattr__`."""
    slots = type(module)._slot_names
    if not slots:
        vars(module).update(values)
        return
    for name, value in values.items():
        if name in slots:
            _slot(module, name).__set__(module, value)
        else:
            vars(module)[name] = value


def drop_attributes(module: Any, names: Iterable[str]) -> None:
    """Remove attributes past the module's own `__delattr__`; missing ones are no error."""
    slots = type(module)._slot_names
    for name in names:
        if name not in slots:
            vars(module).pop(name, None)
            continue
        try:
            _slot(module, name).__delete__(module)
        except AttributeError:
            # The slot is empty already.
            continue


def _slot(module: Any, name: str) -> Any:
    # By the dicts of the classes: `getattr` of a class might meet a metaclass's own.
    for base in type(module).__mro__:
        slot = base.__dict__.get(name)
        if slot is not None and hasattr(slot, "__set__"):
            return slot
    raise AttributeError(name)


def _mangled(cls: type, name: str) -> str:
    if name.startswith("__") and not name.endswith("__"):
        return f"_{cls.__name__.lstrip('_')}{name}"
    return name
