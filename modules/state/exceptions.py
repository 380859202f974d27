"""What user code has raised: how it is told, and its way to other threads and processes.

An exception arrives as itself: its type, its arguments and attributes, its notes and its causes,
rebuilt without a call of the class's own `__init__`. What isn't an Exception (SystemExit, say) is
wrapped before it reaches whoever called, as it would end a program that has raised nothing. A class
that pickles itself is left to do so. No exception, however broken, breaks who tells of it.
"""

from __future__ import annotations

from ..errors import RemoteError
from .attributes import slots_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    State = dict[str, Any]

_PICKLES_ITSELF = frozenset(
    {"__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__", "__getstate__"}
)
_LONGEST_NOTE = 300
_OURS = frozenset({"rootward", "concurrent", "asyncio", "threading"})


class RemoteTraceback(Exception):
    """Stands at the end of an exception's causes for the traceback that it has elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n\nwhere it was raised:\n{self.text}"


def describe(error: BaseException) -> dict[str, str]:
    """Return `type`, `message` and `traceback` of an exception, our own first frames left out."""
    import traceback

    frames = error.__traceback__
    while frames is not None and _is_ours(frames.tb_frame.f_globals.get("__name__", "")):
        frames = frames.tb_next
    lines = traceback.format_exception(type(error), error, frames or error.__traceback__)
    message, text = message_of(error), "".join(lines)
    if (code := _entered()) is not None:
        text = code.shorten(text)
        if (said := code.explain(error)) is not None:
            message = f"{message}\n{said}"
    return {"type": type_of(error), "message": message, "traceback": text}


def _entered() -> Any:
    # If that file was never imported, this process has entered nobody's code.
    import sys

    entry = sys.modules.get(f"{__package__.rpartition('.')[0]}.code.entry")
    return None if entry is None else entry.entered()


def type_of(error: BaseException) -> str:
    """Return the name of the exception's class as a traceback begins with it, without a module."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else kind.__name__


def message_of(error: BaseException) -> str:
    """Return what the exception says, with its notes; also of one whose `__str__` raises."""
    try:
        said = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as broken:
        said = f"(its message can't be had: {type(broken).__name__})"
    if isinstance(error, BaseExceptionGroup):
        # How many they are helps nobody without one of them.
        first = error.exceptions[0]
        said += f"; the first: {type_of(first)}: {message_of(first)}"
    notes = getattr(error, "__notes__", None)
    for note in notes if isinstance(notes, list) else ():
        if isinstance(note, str) and note:
            said += f" ({note.splitlines()[0][:_LONGEST_NOTE]})"
    return said


def as_exception(error: BaseException) -> Exception:
    """Return the error, wrapped in a RemoteError if it isn't an Exception."""
    if isinstance(error, Exception):
        return error
    told = describe(error)
    wrapped = RemoteError(told["type"], told["message"], told["traceback"])
    wrapped.__cause__ = error
    return wrapped


def with_traceback(error: BaseException, text: str) -> BaseException:
    """Put a traceback from elsewhere behind the last cause of the error; return the error."""
    last, seen = error, {id(error)}
    while (cause := _next_cause(last)) is not None and id(cause) not in seen:
        seen.add(id(cause))
        last = cause
    last.__cause__ = RemoteTraceback(text)
    return error


def traceback_of(error: BaseException) -> str:
    """Return the traceback that `with_traceback` put behind an error; empty when there is none."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, RemoteTraceback):
            return str(cause)
        seen.add(id(cause))
        cause = _next_cause(cause)
    return ""


def reduce_exception(error: BaseException) -> tuple[Any, ...] | None:
    """Return how to pickle the error, as `__reduce_ex__` does; None where that is the class's own.

    The state has its causes, so that a circle of them is no trouble.
    """
    cls = type(error)
    base = _builtin_base(cls)
    if any(_PICKLES_ITSELF & vars(each).keys() for each in cls.__mro__[: cls.__mro__.index(base)]):
        return None
    _, args, *rest = base.__reduce__(error)
    if isinstance(error, BaseExceptionGroup):
        args = (error.message, list(error.exceptions))
    slots = {name: getattr(error, name) for name in slots_of(cls) if hasattr(error, name)}
    state = {
        "args": None if isinstance(error, BaseExceptionGroup) else error.args,
        "attributes": {**((rest and rest[0]) or {}), **slots},
        "cause": _unless_ours(error.__cause__),
        "context": _unless_ours(error.__context__),
        "is_alone": error.__suppress_context__,
    }
    return rebuilt, (cls, base, args), state, None, None, restore


def rebuilt(cls: type, base: Any, args: tuple[Any, ...]) -> BaseException:
    """Make an exception of a class by means of the builtin one that it comes from."""
    try:
        error: BaseException = base.__new__(cls, *args)
        base.__init__(error, *args)
    except (TypeError, ValueError):
        # The class gave itself arguments that the builtin one can't take.
        error = base.__new__(cls)
    return error


def restore(error: BaseException, state: State) -> None:
    """Give a rebuilt exception all that `reduce_exception` has kept of the first."""
    cls = type(error)
    if state["args"] is not None:
        error.args = state["args"]
    for name, value in state["attributes"].items():
        if any(hasattr(vars(base).get(name), "__set__") for base in cls.__mro__):
            object.__setattr__(error, name, value)
        else:
            vars(error)[name] = value
    error.__context__ = state["context"]
    error.__cause__ = state["cause"]
    error.__suppress_context__ = state["is_alone"]


def portable(error: BaseException, can_travel: Callable[[object], bool]) -> BaseException:
    """Return a copy without what can't travel: of attributes, causes and members of a group.

    Arguments that can't are replaced by their repr, members by a RemoteError.
    """
    return _Pruned(can_travel).copy_of(error)


class _Pruned:
    """Copies exceptions, each once, without what can't travel."""

    def __init__(self, can_travel: Callable[[object], bool]) -> None:
        self._can_travel = can_travel
        self._copies: dict[int, BaseException] = {}

    def copy_of(self, error: BaseException) -> BaseException:
        known = self._copies.get(id(error))
        if known is not None:
            return known
        reduced = reduce_exception(error)
        if reduced is None:
            return error if self._can_travel(error) else self._stand_in(error)
        make, (cls, base, args), state, *_, restore_ = reduced
        if isinstance(error, BaseExceptionGroup):
            args = (error.message, [self.copy_of(each) for each in error.exceptions])
        else:
            args, state["args"] = self._kept(args), self._kept(state["args"])
        copy: BaseException = make(cls, base, args)
        self._copies[id(error)] = copy
        state["attributes"] = {
            name: value for name, value in state["attributes"].items() if self._can_travel(value)
        }
        for link in ("cause", "context"):
            if state[link] is not None:
                state[link] = self.copy_of(state[link])
        restore_(copy, state)
        return copy

    def _kept(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(arg if self._can_travel(arg) else _repr(arg) for arg in args)

    def _stand_in(self, error: BaseException) -> BaseException:
        told = describe(error)
        return RemoteError(told["type"], told["message"], told["traceback"])


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _builtin_base(cls: type) -> Any:
    return next(base for base in cls.__mro__ if base.__module__ == "builtins")


def _next_cause(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None or error.__suppress_context__:
        return error.__cause__
    return error.__context__


def _unless_ours(error: BaseException | None) -> BaseException | None:
    # Whoever gets it is given a newer traceback, in which this one is.
    return None if isinstance(error, RemoteTraceback) else error


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in _OURS
