"""The register: functions as classes of modules, by group and name.

`module_register.new_group("g")` makes `rootward.g`; `@module_register("g")` adds a class whose
`forward` is the function and leaves the function as it is.  Groups have groups: `"g.inner"` is made
when something is registered there. Names are found in upper or lower case. A name is registered
once; only the same piece of code that runs again, as in a notebook, takes its place anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from .module import ModuleBase

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Group:
    """The classes and groups registered under one name, as attributes.

    A group that holds one class alone can be called in its place.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._members: dict[str, type[ModuleBase] | Group] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> ModuleBase:
        """Make an object of the one class in this group; raises TypeError if there are more."""
        classes = [each for each in self._members.values() if isinstance(each, type)]
        if len(classes) != 1:
            raise TypeError(
                f"group {self._name!r} is called in place of its one module, and has "
                f"{len(classes)}: {self._titles()}"
            )
        return classes[0](*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        members = self.__dict__.get("_members", {})
        found = members.get(name.lower())
        if found is None:
            raise AttributeError(
                f"no module {name!r} is registered in group {self.__dict__.get('_name')!r}; "
                f"it has {sorted(members)}"
            )
        return found

    def __dir__(self) -> list[str]:
        return self._titles()

    def __repr__(self) -> str:
        return f"<Group name={self._name} modules={self._titles()}>"

    def _titles(self) -> list[str]:
        return sorted(self._members)

    def _inner(self, name: str) -> Group:
        """Return the group of that name in this one, made if there is none."""
        member = self._members.setdefault(name.lower(), Group(f"{self._name}.{name}"))
        if not isinstance(member, Group):
            raise ValueError(  # noqa: TRY004 - the name is what is wrong
                f"{self._name}.{name} is a module, and can't be a group as well"
            )
        return member

    def _add(self, title: str, cls: type[ModuleBase]) -> None:
        known = self._members.get(title.lower())
        if known is not None and _code_of(known) != _code_of(cls):
            raise ValueError(
                f"{self._name}.{title} is registered already; give one of the two another name: "
                f"@module_register({self._name!r}, 'another_name')"
            )
        self._members[title.lower()] = cls


class Register:
    """Makes groups and adds to them."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def new_group(self, name: str) -> None:
        """Make the group `modules.NAME`, or a group in a group; one that is there stays as it is.

        Raises ValueError for a name that can't be an attribute, or that `modules` uses itself.
        """
        top, *inner = name.split(".")
        if top not in self._groups:
            package = sys.modules[__package__]
            if not _can_be_attribute(name) or _is_used(package, top):
                raise ValueError(
                    f"no group can be called {name!r}: modules.{name} is something else"
                )
            self._groups[top] = Group(top)
            setattr(package, top, self._groups[top])
        self._descend(self._groups[top], inner)

    def __call__(self, group: str, name: str | None = None) -> Callable[[_Function], _Function]:
        """Return a decorator that adds a function to the group, under its own name or `name`.

        Raises KeyError for a group that isn't there, ValueError for a name that is taken.
        """
        top, *inner = group.split(".")
        if top not in self._groups:
            raise KeyError(
                f"there is no group {group!r}; make it with module_register.new_group({group!r}). "
                f"There are {sorted(self._groups)}"
            )

        def add(function: _Function) -> _Function:
            title = name or function.__name__
            place = self._descend(self._groups[top], inner)
            place._add(title, _class_of(title, function))
            return function

        return add

    @staticmethod
    def _descend(group: Group, names: list[str]) -> Group:
        for name in names:
            if not _can_be_attribute(name):
                raise ValueError(f"no group can be called {name!r}: it can't be an attribute")
            group = group._inner(name)
        return group


def _can_be_attribute(name: str) -> bool:
    return all(part.isidentifier() and not part.startswith("_") for part in name.split("."))


def _is_used(package: Any, name: str) -> bool:
    import importlib.util

    try:
        getattr(package, name)
    except AttributeError:
        return any(
            importlib.util.find_spec(f"{home}.{name}") is not None
            for home in (package.__name__, package.__name__.rpartition(".")[0])
        )
    return True


def _class_of(title: str, function: Callable[..., Any]) -> type[ModuleBase]:
    body = {
        "forward": staticmethod(function),
        "__doc__": function.__doc__,
        "__module__": function.__module__,
    }
    return type(title, (ModuleBase,), body)


def _code_of(member: type[ModuleBase] | Group) -> object:
    """Return what tells one piece of code from another, also when it runs again."""
    function = getattr(member, "forward", member)
    code = getattr(function, "__code__", None)
    if code is None:
        return function
    return (code.co_filename, code.co_firstlineno, code.co_name)


module_register = Register()
