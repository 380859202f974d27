"""The tasks of one module: which it has, and running them in this process, wherever that is.

A getter that isn't overridden costs nothing; one that is overridden is called, and what it returns
is checked. It owns the order of a getter's callables and what their results mean: a coroutine is
awaited, anything else is dropped. Who records what the tasks change, and what happens on an error,
is the caller's.
"""

from __future__ import annotations

from .composite import Composite
from .errors import TaskGetterError
from .lifecycle import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, ClassVar


def tasks_of(module: Composite, kind: str) -> list[Callable[..., Any]] | None:
    """Call the module's getter for `kind` (train, deploy, eval) and return its callables.

    None means that there is no such work.  A getter that isn't overridden costs nothing.  Raises
    TaskGetterError for anything else than None, a callable or a list of callables.
    """
    getter = _GETTERS[kind]
    callables: list[Callable[..., Any]] = []
    if _overrides(type(module), getter) or getter in vars(module):
        callables = _callables(module, getter, getattr(module, getter)())
    # A module of another framework may have an attribute of that name, too.
    if kind == "eval" and hasattr(vars(module).get(_EVALSET), "run_for"):
        callables = [*callables, vars(module)[_EVALSET].run_for(module)]
    return callables or None


_GETTERS = {kind: f"_get_{kind}_tasks" for kind in KINDS}
_EVALSET = "_evalset"


def _overrides(cls: type[Composite], getter: str) -> bool:
    return getattr(cls, getter) is not getattr(Composite, getter)


# Functions and methods: what getters return most often, and no list has to be made of it.
_CALLABLE = frozenset({type(tasks_of), type(Composite().forward)})


def _callables(module: Composite, getter: str, tasks: Any) -> list[Callable[..., Any]]:
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


def _label(module: Composite) -> str:
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

    def kinds_of(self, module: Composite) -> frozenset[str]:
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

    def _of_class(self, cls: type[Composite]) -> tuple[tuple[int, str], ...] | None:
        if cls.serves:
            return None
        getters = [(1 << bit, _GETTERS[kind]) for bit, kind in enumerate(self._kinds)]
        return tuple([each for each in getters if _overrides(cls, each[1])])


def has_work(module: Composite, kind: str) -> bool:
    """Tell whether the module has a task of `kind`; a served module always has deploy work."""
    # Asked even where the answer is known: a getter that returns something else is an error.
    tasks = tasks_of(module, kind)
    return tasks is not None or (kind == "deploy" and module.serves)


def run_tasks(
    module: Composite,
    kind: str,
    *,
    done: int = 0,
    on_end: Callable[[int], None] | None = None,
) -> None:
    """Run the module's tasks of `kind` in order; raises TaskGetterError and whatever they raise.

    The first `done` of them are left out; `on_end` is called with the number of those that have
    ended, after each but the last.
    """
    tasks = tasks_of(module, kind) or ()
    for number, task in enumerate(tasks[done:], done + 1):
        finish(task())
        if on_end is not None and number < len(tasks):
            on_end(number)


def finish(result: object) -> object:
    """Return a result, of a coroutine what it returns."""
    if hasattr(result, "__await__"):
        import asyncio
        import inspect

        if inspect.iscoroutine(result):
            return asyncio.run(result)
    return result
