"""What a module is evaluated on, and its evaluation.

Many items are computed at once, results keep the order of the items.  A dict is keyword arguments,
anything else one argument; a stream counts as the list of what it yields.  What comes out is the
module's `eval_result`, which is state like any other that a task sets.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from .flows.binding import resolved
from .processes.threads import run_all
from .state.exceptions import as_exception

if TYPE_CHECKING:
    from typing import Protocol

    class Evaluated(Protocol):
        """What is evaluated: it is called with each item, and keeps the result."""

        eval_result: Any

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """Compute one item."""


_THREADS: Final = 32
ACCOUNT: Final = "_evaluation"
"""The attribute in which an evaluation leaves its account: plain data, shown beside the result."""
_LONGEST_RESULT: Final = 1 << 20
_LONGEST_REPR: Final = 200


class EvalSet:
    """The items that a module is evaluated on, and what makes its result of theirs."""

    __slots__ = ("_collect", "_items")

    def __init__(self, items: list[Any], collect: Callable[[list[Any]], Any] | None) -> None:
        self._items = items
        self._collect = collect

    @classmethod
    def of(
        cls,
        items: Any,
        load: Callable[[Any], Iterable[Any]] | None,
        collect: Callable[[list[Any]], Any] | None,
    ) -> EvalSet:
        """Take a list of items, or the path of a file that `load` reads.

        `load` gets the open file, which can be opened again as if it were its path.

        Without `load` a file is JSON: one list, or one item on each line of a `.jsonl`. Raises
        FileNotFoundError for a text that is no path of a file, TypeError for what holds no items.
        """
        if isinstance(items, (str, os.PathLike)):
            return cls(list(_read(items, load)), collect)
        if isinstance(items, (bytes, Mapping)) or not isinstance(items, Iterable):
            raise TypeError(
                f"evalset() takes a list of items or the path of a file, not {items!r:.100}"
            )
        return cls(list(items), collect)

    def run_for(self, module: Evaluated) -> Callable[[], None]:
        """Return the task that evaluates `module` and sets its `eval_result`."""

        def evaluate() -> None:
            began = time.monotonic()
            results = run_all(
                [_computation(module, *each) for each in enumerate(self._items)],
                what=f"evaluation of {type(module).__name__}",
                limit=_THREADS,
            )
            collected = results if self._collect is None else self._collect(results)
            module.eval_result = collected
            account = account_of(collected) | {
                "measure": _measure(self._collect),
                "items": len(self._items),
                "seconds": round(time.monotonic() - began, 3),
                # An account like the one before would be no change, and so not be recorded.
                "at": time.time(),
            }
            setattr(module, ACCOUNT, account)

        return evaluate


def account_of(result: Any) -> dict[str, Any]:
    """Return a result as JSON (None when it has no such form, or is too long) and as a repr."""
    import json

    shown = _short().repr(result)[:_LONGEST_REPR]
    plain = result.tolist() if callable(getattr(result, "tolist", None)) else result
    try:
        text = json.dumps(plain, allow_nan=False)
        value = json.loads(text) if len(text) <= _LONGEST_RESULT else None
    except (TypeError, ValueError, RecursionError):
        value = None
    return {"result": value, "result_repr": shown, "failed": 0}


def _short() -> Any:
    import reprlib

    short = reprlib.Repr()
    short.maxstring = short.maxother = _LONGEST_REPR
    return short


def _measure(collect: Callable[[list[Any]], Any] | None) -> str:
    name = getattr(collect, "__name__", type(collect).__name__)
    return "" if collect is None or name == "<lambda>" else name


def _computation(module: Evaluated, index: int, item: Any) -> Callable[[], Any]:
    def compute() -> Any:
        try:
            return _whole(module(**item) if isinstance(item, dict) else module(item))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            named = as_exception(error)
            named.add_note(f"evaluating item {index}: {_shortened(item)}")
            if named is error:
                raise
            raise named from error

    return compute


def _shortened(item: Any) -> str:
    try:
        return f"{item!r:.200}"
    except Exception:
        return f"a {type(item).__name__}"


def _whole(result: Any) -> Any:
    kind = type(result).__name__
    if kind == "generator":
        return list(result)
    if kind == "async_generator":
        return resolved(_collected(result))
    return resolved(result)


async def _collected(stream: Any) -> list[Any]:
    return [item async for item in stream]


class _OpenFile(io.TextIOWrapper):
    """A file for both kinds of `load_f`: those that read it, and those that want its path."""

    def __fspath__(self) -> str:
        return os.fspath(self.name)


def _read(path: str | os.PathLike[str], load: Callable[[Any], Iterable[Any]] | None) -> Any:
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"evalset(): there is no file {os.fspath(path)!r}; for items give a list of them"
        )
    with _OpenFile(open(path, "rb"), encoding="utf-8") as file:
        if load is not None:
            return load(file)
        import json

        if os.fspath(path).endswith(".jsonl"):
            return [json.loads(line) for line in file if line.strip()]
        try:
            items = json.load(file)
        except ValueError as error:
            raise ValueError(
                f"{os.fspath(path)!r} is no JSON ({error}): give load_f, which reads the file"
            ) from error
    if not isinstance(items, list):
        raise TypeError(f"{os.fspath(path)!r} holds no list: give load_f, which makes one")
    return items
