"""ModuleBase: what a user's module inherits from.

A module may train, deploy, infer and evaluate; it overrides what it can do.  Its submodules are the
modules found in its attributes, in the order in which those were set, so that nothing has to be
registered and nothing stale is kept.  How tasks are run is the executor's, how the tree is drawn is
`display`'s, what tasks change is `state`'s, which tasks a module has is `work`'s.
"""

from __future__ import annotations

import itertools

from .attributes import attributes_of, slots_of
from .calling.hooks import Hooked, run_hooked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, ClassVar, Self

    from .calling.awaiting import AsyncCall
    from .runtime import Runtime

    Child = tuple[str | None, int | None, "ModuleBase"]

KINDS = ("train", "deploy", "eval")
"""The kinds of work in the order in which `update` does them."""

# Set by the Recorder of a running task: called with (module, attribute name) at every change.
_recorder: Callable[[ModuleBase, str], None] | None = None


class Submodules(list["ModuleBase"]):
    """The children of a module; its repr shows each one's own line only."""

    def __repr__(self) -> str:
        from .display import own_line

        return f"[{', '.join(own_line(module) for module in self)}]"


class ModuleBase(Hooked):
    """A node of a tree: overrides `forward` and any of the three task getters.

    A getter returns None, a callable (such as a flow) or a list of callables.  `name` becomes the
    module's part of its path.  `return_trace` and `id` are the user's own marks.
    `local_attributes` names attributes that stay in their process and never travel.
    """

    __slots__ = ("_changed", "_runtime")

    serves: ClassVar[bool] = False
    local_attributes: ClassVar[tuple[str, ...]] = ()

    _runtime: Runtime | None
    _changed: frozenset[str]
    # The slots that a user's class adds; what they hold are attributes like any other.
    _slot_names: ClassVar[tuple[str, ...]] = ()

    # A class that forgets super().__init__() still works, and none of this is an attribute of the
    # user's: slots are neither state nor searched for submodules.
    name: str | None = None
    return_trace: bool = False
    id: str | None = None
    eval_result: Any = None
    _use_cache: bool | str = False

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

    def __init__(
        self,
        *,
        name: str | None = None,
        return_trace: bool = False,
        id: str | None = None,  # noqa: A002 - LazyLLM's name for it
    ) -> None:
        """Name the module; all arguments are optional."""
        if name is not None:
            self.name = name
        if id is not None:
            self.id = id
        if return_trace:
            self.return_trace = True

    # What users override.

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute; may be `async def`, and may be a generator, which is a stream."""
        raise NotImplementedError(f"{type(self).__name__} has no forward()")

    def setup(self) -> None:
        """Load what calls need; runs once in each replica, children first, before any call."""

    def _get_train_tasks(self) -> Any:
        return None

    def _get_deploy_tasks(self) -> Any:
        return None

    def _get_eval_tasks(self) -> Any:
        return None

    # What users call.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call `forward`."""
        if self._hooks:
            return run_hooked(self, self._computed, args, kwargs)
        if self._use_cache:
            return self._computed(*args, **kwargs)
        return self.forward(*args, **kwargs)

    def acall(self, *args: Any, **kwargs: Any) -> AsyncCall:
        """Call the module from async code without blocking its loop.

        `await m.acall(x)` for the result, `async for item in m.acall(x)` for a stream.
        """
        from .calling.awaiting import AsyncCall

        return AsyncCall(self, args, kwargs)

    def use_cache(self, flag: bool | str = True) -> Self:
        """Keep results by arguments, in each process, and return the module.

        A text instead of True names a cache that all modules of this class with that name share.
        """
        self._use_cache = flag or False
        return self

    def set_name(self, name: str | None) -> Self:
        """Set the name and return the module."""
        self.name = name
        return self

    def for_each(
        self,
        filter: Callable[[ModuleBase], Any],  # noqa: A002 - LazyLLM's name for it
        action: Callable[[ModuleBase], Any],
    ) -> None:
        """Call `action` with each module below this one, each once, for which `filter` holds."""
        seen = {id(self)}
        stack: list[ModuleBase] = list(reversed(self.submodules))
        while stack:
            module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            if filter(module):
                action(module)
            stack.extend(reversed(module.submodules))

    @property
    def submodules(self) -> Submodules:
        """The modules in this one's attributes, each once, in the order of assignment."""
        seen: dict[int, ModuleBase] = {}
        for _, _, child in self._children():
            seen.setdefault(id(child), child)
        return Submodules(seen.values())

    def update(self, recursive: bool = True) -> Self:
        """Run all train tasks, then all deploy tasks, then all eval tasks; children first."""
        return self._run(KINDS, recursive)

    def start(self, recursive: bool = True) -> Self:
        """Run the deploy tasks: bring up what isn't up."""
        return self._run(("deploy",), recursive)

    def update_server(self, recursive: bool = True) -> Self:
        """Do what `start` does."""
        return self.start(recursive)

    def restart(self, recursive: bool = True) -> Self:
        """Stop what is served here and below, then start it."""
        return self._run(("deploy",), recursive, restart=True)

    def eval(self, recursive: bool = True) -> Self:
        """Run the eval tasks; `eval_result` holds what came out."""
        return self._run(("eval",), recursive)

    def evalset(
        self,
        items: Any,
        load_f: Callable[[Any], Iterable[Any]] | None = None,
        collect_f: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        """Set what the module is evaluated on.

        `items` is a list, in which a dict is keyword arguments and anything else one argument; or a
        file that `load_f` reads.  `collect_f` turns the list of results into `eval_result`.
        """
        from .evaluation import EvalSet

        self._evalset = EvalSet.of(items, load_f, collect_f)

    def wait(self) -> None:
        """Return when what this module serves has ended."""
        from . import executor

        executor.resolve_for(self).wait(self)

    def stop(self) -> None:
        """Stop what this module and everything below it serves, parents first."""
        from . import executor

        executor.resolve_for(self).stop(self)

    def state_dict(self) -> dict[str, Any]:
        """Return what tasks have changed here and below: `{"path.attribute": value}`."""
        from .state.state_log import state_dict

        return state_dict(self)

    def load_state_dict(self, states: Mapping[str, Any]) -> None:
        """Set what `state_dict` of a tree of the same shape returned."""
        from .state.state_log import load_state_dict

        load_state_dict(self, states)

    def __repr__(self) -> str:
        from .display import draw

        return draw(self)

    # How the rest of rootward sees a module.

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
            elif isinstance(value, ModuleBase):
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

    def _computed(self, *args: Any, **kwargs: Any) -> Any:
        if not self._use_cache:
            return self.forward(*args, **kwargs)
        from .calling.caching import cached

        return cached(self, self._use_cache, self.forward, args, kwargs)

    def _run(self, kinds: tuple[str, ...], recursive: bool, restart: bool = False) -> Self:
        from . import executor

        executor.resolve().run(self, kinds=kinds, recursive=recursive, restart=restart)
        return self

    # Through super(): a class may also inherit from one that watches its attributes (PyTorch's).
    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if _recorder is not None and name != "_runtime":
            _recorder(self, name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if _recorder is not None:
            _recorder(self, name)


def modules_in(value: Any, hint: str | None) -> Iterator[tuple[str | None, ModuleBase]]:
    """Yield the modules in a value: itself, in lists, tuples, dicts and flows, at any depth."""
    stack: list[tuple[str | None, Any]] = [(hint, value)]
    opened: set[int] = set()  # a list may hold itself
    while stack:
        hint, value = stack.pop()
        if isinstance(value, ModuleBase):
            yield hint, value
        elif id(value) not in opened:
            opened.add(id(value))
            stack.extend(reversed(_parts(value, hint)))


def _members(items: Sequence[Any], hint: str) -> Iterable[Child]:
    """Return the modules in a list, numbered if it holds nothing else."""
    for kind in set(map(type, items)):
        if not issubclass(kind, ModuleBase):
            return [(inside, None, module) for inside, module in modules_in(items, hint)]
    return zip(itertools.repeat(hint), itertools.count(), items, strict=False)


def may_hold_modules(kind: type) -> bool:
    """Tell whether a value of this type is a module or a container that is searched for some."""
    if kind in _LEAVES:
        return False
    return issubclass(kind, (ModuleBase, list, tuple, dict)) or hasattr(kind, "_modules_inside")


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
    else:
        return [part for part in value._modules_inside() if may_hold_modules(type(part[1]))]
    # By type first: a list of a million numbers is passed over without a look at each.
    wanted = {kind for kind in kinds if may_hold_modules(kind)}
    if not wanted:
        return []
    lead = "" if hint is None else f"{hint}."
    return [(f"{lead}{key}", item) for key, item in items if type(item) in wanted]
