"""ModuleBase: what a user's module inherits from.

A module may train, deploy, infer and evaluate; it overrides what it can do.  Its submodules are the
modules found in its attributes, in the order in which those were set, so that nothing has to be
registered and nothing stale is kept.  How tasks are run is the executor's, how the tree is drawn is
`display`'s, what tasks change is `state`'s.
"""

from __future__ import annotations

import itertools

from .attributes import attributes_of, slots_of
from .errors import TaskGetterError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, ClassVar, Self

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


class ModuleBase:
    """A node of a tree: overrides `forward` and any of the three task getters.

    A getter returns None, a callable (such as a flow) or a list of callables.  `name` becomes the
    module's part of its path.  `return_trace` is the user's own mark, shown where a repr tells it.
    `local_attributes` names attributes that stay in their process and never travel.
    """

    __slots__ = ("__dict__", "__weakref__", "_changed", "_runtime")

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

    def __init__(self, *, name: str | None = None, return_trace: bool = False) -> None:
        """Name the module; both arguments are optional."""
        if name is not None:
            self.name = name
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
        return self.forward(*args, **kwargs)

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


def tasks_of(module: ModuleBase, kind: str) -> list[Callable[..., Any]] | None:
    """Call the module's getter for `kind` (train, deploy, eval) and return its callables.

    None means that there is no such work.  A getter that isn't overridden costs nothing.  Raises
    TaskGetterError for anything else than None, a callable or a list of callables.
    """
    getter = _GETTERS[kind]
    callables: list[Callable[..., Any]] = []
    if _overrides(type(module), getter) or getter in vars(module):
        callables = _callables(module, getter, getattr(module, getter)())
    if kind == "eval" and _EVALSET in vars(module):
        callables = [*callables, module._evalset.run_for(module)]
    return callables or None


_GETTERS = {kind: f"_get_{kind}_tasks" for kind in KINDS}
_EVALSET = "_evalset"


def _overrides(cls: type[ModuleBase], getter: str) -> bool:
    return getattr(cls, getter) is not getattr(ModuleBase, getter)


# Functions and methods: what getters return most often, and no list has to be made of it.
_CALLABLE = frozenset({type(tasks_of), type(ModuleBase().forward)})


def _callables(module: ModuleBase, getter: str, tasks: Any) -> list[Callable[..., Any]]:
    if tasks is None:
        return []
    if isinstance(tasks, (list, tuple)):
        if all(map(callable, tasks)):
            return list(tasks)
    elif callable(tasks):
        return [tasks]
    raise TaskGetterError(
        f"{_label(module)}: {getter}() returned {tasks!r:.200}; return None, a callable such "
        "as a flow, or a list of callables"
    )


def _label(module: ModuleBase) -> str:
    where = module._runtime.path if module._runtime is not None else module.name
    return f"{type(module).__name__} {where!r}" if where else type(module).__name__


class WorkFinder:
    """Tells which of some kinds of work modules have, and keeps what holds for their classes.

    It is made for one walk: what it has seen of a class is not looked at again.
    """

    __slots__ = ("_getters", "_kinds", "_sets")

    # What gives a single object work that its class has not.
    _OWN: ClassVar[frozenset[str]] = frozenset({*_GETTERS.values(), _EVALSET})

    def __init__(self, kinds: Iterable[str]) -> None:
        self._kinds = tuple(kinds)
        # (bit, getter) of the kinds that a class overrides; None where each module is asked anew.
        self._getters: dict[type, tuple[tuple[int, str], ...] | None] = {}
        # By the sum of the bits: a tree of many modules has few different sets, and shares them.
        self._sets = [
            frozenset(kind for bit, kind in enumerate(self._kinds) if number >> bit & 1)
            for number in range(1 << len(self._kinds))
        ]

    def kinds_of(self, module: ModuleBase) -> frozenset[str]:
        """Ask each getter that there is; a served module always has deploy work.

        Raises TaskGetterError as `tasks_of` does.
        """
        cls = type(module)
        if cls not in self._getters:
            self._getters[cls] = self._of_class(cls)
        getters = self._getters[cls]
        found = 0
        if getters is None or not self._OWN.isdisjoint(vars(module)):
            for bit, kind in enumerate(self._kinds):
                found |= has_work(module, kind) << bit
        else:
            for value, getter in getters:
                tasks = getattr(module, getter)()
                if tasks is not None and (
                    type(tasks) in _CALLABLE or _callables(module, getter, tasks)
                ):
                    found |= value
        return self._sets[found]

    def _of_class(self, cls: type[ModuleBase]) -> tuple[tuple[int, str], ...] | None:
        if cls.serves:
            return None
        getters = [(1 << bit, _GETTERS[kind]) for bit, kind in enumerate(self._kinds)]
        return tuple([each for each in getters if _overrides(cls, each[1])])


def has_work(module: ModuleBase, kind: str) -> bool:
    """Tell whether the module has a task of `kind`; a served module always has deploy work."""
    # Asked even where the answer is known: a getter that returns something else is an error.
    tasks = tasks_of(module, kind)
    return tasks is not None or (kind == "deploy" and module.serves)
