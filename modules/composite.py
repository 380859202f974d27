"""Composite: what makes an object a part of a tree, with others below it.

Its children are the composites found in its attributes, in the order in which those were set, so
that nothing has to be registered and nothing stale is kept. It owns how children are found, what of
an object travels, that a recorder hears of changes, and the methods that are overridden to give a
part work. What users call is Lifecycle's and ModuleBase's.
"""

from __future__ import annotations

import itertools

from .calling.hooks import Hooked
from .display import draw, make_repr, own_line
from .foreign import adapter_of, adopted
from .state.attributes import attributes_of, slots_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, ClassVar, Protocol, Self

    Child = tuple[str | None, int | None, "Composite"]

    class Location(Protocol):
        """Where a part stands in a deployed or loaded tree."""

        @property
        def path(self) -> str:
            """The path in the tree."""

        @property
        def routes(self) -> Any:
            """The way to what is served; None where nothing can be called."""


# Set by the Recorder of a running task: called with (part, attribute name) at every change.
recorder: Callable[[Composite, str], None] | None = None


class Submodules(list["Composite"]):
    """The children of a module; its repr shows each one's own line only."""

    def __repr__(self) -> str:
        return f"[{', '.join(own_line(module) for module in self)}]"


class Composite(Hooked):
    """A part of a tree; `name` becomes its part of the path.

    `local_attributes` names attributes that stay in their process and never travel.
    """

    __slots__ = ("_changed", "_runtime")

    serves: ClassVar[bool] = False
    local_attributes: ClassVar[tuple[str, ...]] = ()

    _runtime: Location | None
    _changed: frozenset[str]
    # The slots that a user's class adds; what they hold are attributes like any other.
    _slot_names: ClassVar[tuple[str, ...]] = ()

    # None of this is an attribute of the user's: slots are neither state nor searched.
    name: str | None = None
    eval_result: Any = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Note the slots of the class."""
        super().__init_subclass__(**options)
        cls._slot_names = slots_of(cls)

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Make the module with its slots set, whatever its __init__ does."""
        self = super().__new__(cls)
        object.__setattr__(self, "_runtime", None)
        object.__setattr__(self, "_changed", frozenset())
        return self

    def set_name(self, name: str | None) -> Self:
        """Set the name and return the module."""
        self.name = name
        return self

    def for_each(
        self,
        filter: Callable[[Any], Any],  # noqa: A002 - LazyLLM's name for it
        action: Callable[[Any], Any],
    ) -> None:
        """Call `action` with each module below this one, each once, for which `filter` holds."""
        seen = {id(self)}
        stack: list[Composite] = list(reversed(self.submodules))
        while stack:
            module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            if filter(module):
                action(module)
            stack.extend(reversed(module.submodules))

    @property
    def class_name(self) -> str:
        """What the module is called in its path when it has no name: that of its class."""
        return type(self).__name__

    @property
    def submodules(self) -> Submodules:
        """The modules in this one's attributes, each once, in the order of assignment."""
        seen: dict[int, Composite] = {}
        for _, _, child in self._children():
            seen.setdefault(id(child), child)
        return Submodules(seen.values())

    def __repr__(self) -> str:
        return draw(self)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(repr(self))}</pre>"

    # What users override.

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute; may be `async def`, and may be a generator, which is a stream."""
        raise NotImplementedError(f"{type(self).__name__} has no forward()")

    def setup(self) -> None:
        """Load what calls need; runs once in each replica, children first, before any call."""

    def health(self) -> Any:
        """Say whether calls can be answered: asked in each replica, at most every 5 seconds.

        One that raises or returns False takes the replica out of the registry, and three times in a
        row have it restarted.
        """

    def _get_train_tasks(self) -> Any:
        return None

    def _get_deploy_tasks(self) -> Any:
        return None

    def _get_eval_tasks(self) -> Any:
        return None

    # How the rest of rootward sees a part.

    def _outline(self) -> tuple[str, Sequence[object]]:
        """Return the own line and what is drawn below it; a class's own `__repr__` is all of it."""
        if type(self).__repr__ is not Composite.__repr__:
            return repr(self), ()
        return make_repr(**self._repr_parts()), self._drawn_below()

    def _repr_parts(self) -> dict[str, Any]:
        """Return the arguments of `make_repr` for this module's own line."""
        return {"category": "Module", "type": type(self), "name": self.name}

    def _drawn_below(self) -> Sequence[object]:
        """Return what is drawn below this module's own line: modules, flows, functions."""
        return self.submodules

    def _children(self) -> list[Child]:
        """Return what is in the attributes: hint, number (or None) and module of each.

        The hint says where the module is, together with the number in a list of modules alone:
        such lists are long, and most names aren't made of it.
        """
        found: list[Child] = []
        for attribute, value in attributes_of(self).copy().items():
            kind = type(value)
            if kind in _LEAVES:
                continue
            if kind is list or kind is tuple:
                if value:
                    found.extend(_members(value, attribute))
            elif isinstance(value, Composite):
                found.append((attribute, None, value))
            elif may_hold_modules(kind):
                found.extend((hint, None, inside) for hint, inside in modules_in(value, attribute))
        return found

    def __getstate__(self) -> Any:
        """Return what is copied and pickled: the attributes without the local ones."""
        local, slots = self.local_attributes, type(self)._slot_names
        state = {name: value for name, value in attributes_of(self).items() if name not in local}
        if not slots:
            return state
        # The form in which `copy` and `pickle` find slots.
        in_slots = {name: state.pop(name) for name in slots if name in state}
        return state, in_slots

    # Through super(): a class may also inherit from one that watches its attributes (PyTorch's).
    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if recorder is not None and name != "_runtime":
            recorder(self, name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if recorder is not None:
            recorder(self, name)


def modules_in(value: Any, hint: str | None) -> Iterator[tuple[str | None, Composite]]:
    """Yield the modules in a value: itself, in lists, tuples, dicts and flows, at any depth."""
    stack: list[tuple[str | None, Any]] = [(hint, value)]
    opened: set[int] = set()  # a list may hold itself
    while stack:
        hint, value = stack.pop()
        if isinstance(value, Composite):
            yield hint, value
        elif (taken := adopted(value)) is not None:
            yield hint, taken
        elif id(value) not in opened:
            opened.add(id(value))
            stack.extend(reversed(_parts(value, hint)))


def _members(items: Sequence[Any], hint: str) -> Iterable[Child]:
    """Return the modules in a list, numbered if it holds nothing else."""
    for kind in set(map(type, items)):
        if not issubclass(kind, Composite):
            return [(inside, None, module) for inside, module in modules_in(items, hint)]
    return zip(itertools.repeat(hint), itertools.count(), items, strict=False)


def may_hold_modules(kind: type) -> bool:
    """Tell whether a value of this type is a module or a container that is searched for some."""
    if kind in _LEAVES:
        return False
    if issubclass(kind, (Composite, list, tuple, dict)) or hasattr(kind, "_modules_inside"):
        return True
    return adapter_of(kind) is not None


_LEAVES = frozenset({str, int, float, bool, bytes, type(None)})


def _parts(value: Any, hint: str | None) -> list[tuple[str | None, Any]]:
    """Return (hint, item) of the items of a container that are modules or containers themselves."""
    items: Iterable[tuple[Any, Any]]
    if isinstance(value, (list, tuple)):
        items = enumerate(value)
        kinds = set(map(type, value))
    elif isinstance(value, dict):
        items = value.items()
        kinds = set(map(type, value.values()))
    elif hasattr(value, "_modules_inside"):
        return [part for part in value._modules_inside() if may_hold_modules(type(part[1]))]
    else:
        return []
    # By type first: a list of a million numbers is passed over without a look at each.
    wanted = {kind for kind in kinds if may_hold_modules(kind)}
    if not wanted:
        return []
    lead = "" if hint is None else f"{hint}."
    return [(f"{lead}{key}", item) for key, item in items if type(item) in wanted]
