"""The register: functions as classes of modules, by group and name.

`module_register.new_group("g")` makes `rootward.g`; `@module_register("g")` adds a class whose
`forward` is the function and leaves the function as it is.  Names are found in upper or lower case.
A name that is registered again stands for the new function.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from .module import ModuleBase

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Group:
    """The classes registered under one name, as attributes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._classes: dict[str, type[ModuleBase]] = {}

    def __getattr__(self, name: str) -> type[ModuleBase]:
        classes = self.__dict__.get("_classes", {})
        found: type[ModuleBase] | None = classes.get(name.lower())
        if found is None:
            raise AttributeError(
                f"no module {name!r} is registered in group {self.__dict__.get('_name')!r}; "
                f"it has {sorted(classes)}"
            )
        return found

    def __dir__(self) -> list[str]:
        return sorted(self._classes)

    def __repr__(self) -> str:
        return f"<Group name={self._name} modules={sorted(self._classes)}>"


class Register:
    """Makes groups and adds to them."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def new_group(self, name: str) -> None:
        """Make the group `modules.NAME`; one that is there already stays as it is.

        Raises ValueError for a name that can't be an attribute, or that `modules` uses itself.
        """
        if name in self._groups:
            return
        package = sys.modules[__package__]
        if not name.isidentifier() or name.startswith("_") or _is_used(package, name):
            raise ValueError(f"no group can be called {name!r}: modules.{name} is something else")
        self._groups[name] = Group(name)
        setattr(package, name, self._groups[name])

    def __call__(self, group: str, name: str | None = None) -> Callable[[_Function], _Function]:
        """Return a decorator that adds a function to the group, under its own name or `name`.

        Raises KeyError for a group that isn't there.
        """
        if group not in self._groups:
            raise KeyError(
                f"there is no group {group!r}; make it with module_register.new_group({group!r}). "
                f"There are {sorted(self._groups)}"
            )

        def add(function: _Function) -> _Function:
            title = name or function.__name__
            self._groups[group]._classes[title.lower()] = _class_of(title, function)
            return function

        return add


def _is_used(package: Any, name: str) -> bool:
    import importlib.util

    try:
        getattr(package, name)
    except AttributeError:
        return importlib.util.find_spec(f"{package.__name__}.{name}") is not None
    return True


def _class_of(title: str, function: Callable[..., Any]) -> type[ModuleBase]:
    body = {
        "forward": staticmethod(function),
        "__doc__": function.__doc__,
        "__module__": function.__module__,
    }
    return type(title, (ModuleBase,), body)


module_register = Register()
