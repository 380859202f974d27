"""Where the items of an evaluation come from: a list, a file, a function or a generator.

What is small travels with the tree, as a list. A large file is read, and a generator run, by each
process that evaluates: none of them is held anywhere as a whole, unless `load_f` itself returns a
list. An item is known by its index, so reading must give the same items in every process.
"""

from __future__ import annotations

import contextlib
import copy
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import CellType, FunctionType, GeneratorType
from typing import Any, Final, Protocol

Load = Callable[[Any], Iterable[Any]]
Item = tuple[int, Any]

LARGEST_FILE_SENT: Final = 1 << 20
"""Bytes of the largest file that travels with the tree; a larger one is read where it is needed."""
_REPEATABLE: Final = frozenset(
    {type(iter(range(0))), type(iter([])), type(iter(())), type(iter("")), type(iter(b""))}
)
_VARARGS, _VARKEYWORDS = 4, 8


class ItemSource(Protocol):
    """Gives items by index; `total` is how many there are, None while nobody has counted."""

    @property
    def total(self) -> int | None:
        """How many items there are, if that is known."""

    def read(self, start: int) -> Iterator[Item]:
        """Yield index and item from `start` on; what was read before may be read again."""


def source_of(items: Any, load: Load | None) -> ItemSource:
    """Return the source of what `evalset` was given.

    Raises FileNotFoundError for a text that is no path of a file, TypeError for what holds no
    items, ValueError for a small file that can't be read.
    """
    if isinstance(items, (str, os.PathLike)):
        return _file_source(os.path.abspath(items), os.fspath(items), load)
    if isinstance(items, GeneratorType) and (made := _Remade.of(items)) is not None:
        return Streamed(made)
    if isinstance(items, FunctionType):
        return Streamed(items)
    if isinstance(items, (bytes, Mapping)) or not isinstance(items, Iterable):
        raise TypeError(
            f"evalset() takes a list of items or the path of a file, not {items!r:.100}"
        )
    return Listed(items if isinstance(items, range) else list(items))


class Listed:
    """Items that are all here; they travel with the tree."""

    __slots__ = ("_items",)

    def __init__(self, items: list[Any] | range) -> None:
        self._items = items

    @property
    def total(self) -> int | None:
        """How many items there are."""
        return len(self._items)

    def read(self, start: int) -> Iterator[Item]:
        """Yield index and item from `start` on."""
        return ((index, self._items[index]) for index in range(start, len(self._items)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as the items."""
        return Listed, (self._items,)


class Streamed:
    """Items of what `opened` returns each time: whoever needs a later item reads up to it."""

    def __init__(self, opened: Callable[[], Iterable[Any]]) -> None:
        self._opened = opened
        self._forget()

    def _forget(self) -> None:
        self._known: Listed | None = None
        self._stream: Iterator[Any] | None = None
        self._at = 0
        self._end: int | None = None

    @property
    def total(self) -> int | None:
        """How many items there are, once this process has read the last."""
        return self._known.total if self._known is not None else self._end

    def read(self, start: int) -> Iterator[Item]:
        """Yield index and item from `start` on; raises what reading raises."""
        if self._known is None and (self._stream is None or self._at > start):
            opened = self._opened()
            if isinstance(opened, (list, tuple)):
                self._known = Listed(list(opened))
            else:
                self._stream, self._at = iter(opened), 0
        if self._known is not None:
            return self._known.read(start)
        return self._go_on(start)

    def _go_on(self, start: int) -> Iterator[Item]:
        stream = self._stream
        assert stream is not None
        for item in stream:
            at, self._at = self._at, self._at + 1
            if at >= start:
                yield at, item
        self._end, self._stream = self._at, None

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as what opens it; a generator that can't, as its items."""
        if isinstance(self._opened, _Remade) and not _travels(self._opened):
            return Listed, ([item for _, item in self.read(0)],)
        return Streamed, (self._opened,)


class _Remade:
    """A generator that hasn't started, as its function and arguments: it can be run again."""

    def __init__(self, function: FunctionType, args: list[Any], kwargs: dict[str, Any]) -> None:
        self._function, self._args, self._kwargs = function, args, kwargs

    @classmethod
    def of(cls, generator: GeneratorType[Any, Any, Any]) -> _Remade | None:
        """Take a generator apart; None when it has started or its arguments can be read once."""
        code, frame = generator.gi_code, generator.gi_frame
        if frame is None or not _has_not_begun(generator):
            return None
        known = frame.f_locals
        cells = [
            CellType(known[each]) if each in known else CellType() for each in code.co_freevars
        ]
        function = FunctionType(code, frame.f_globals, code.co_name, None, tuple(cells))
        names = list(code.co_varnames)
        args = [known[name] for name in names[: code.co_argcount]]
        at = code.co_argcount + code.co_kwonlyargcount
        kwargs = {name: known[name] for name in names[code.co_argcount : at]}
        if code.co_flags & _VARARGS:
            args += known[names[at]]
            at += 1
        if code.co_flags & _VARKEYWORDS:
            kwargs |= known[names[at]]
        made = cls(function, args, kwargs)
        try:
            made._fresh()
        except TypeError:
            return None
        return made

    def __call__(self) -> Iterable[Any]:
        """Run it from the beginning."""
        args, kwargs = self._fresh()
        made: Iterable[Any] = self._function(*args, **kwargs)
        return made

    def _fresh(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments, each iterator as a copy; TypeError for one that can't be copied."""
        args = [_copied(each) for each in self._args]
        return args, {name: _copied(each) for name, each in self._kwargs.items()}


def _copied(value: Any) -> Any:
    """Return a value, an iterator of a container as a copy; TypeError for another iterator."""
    if not isinstance(value, Iterator):
        return value
    if type(value) not in _REPEATABLE:
        raise TypeError("it can be read once only")
    return copy.copy(value)


def _travels(value: object) -> bool:
    import cloudpickle

    try:
        cloudpickle.dumps(value)
    except Exception:
        # Any refusal to be pickled.
        return False
    return True


def _has_not_begun(generator: GeneratorType[Any, Any, Any]) -> bool:
    import inspect

    return inspect.getgeneratorstate(generator) == inspect.GEN_CREATED


class _OpenFile(io.TextIOWrapper):
    """A file for both kinds of `load_f`: those that read it, and those that want its path."""

    def __fspath__(self) -> str:
        return os.fspath(self.name)


class _FromFile:
    """Opens a file and reads it by `load`, by default as JSON."""

    def __init__(self, path: str, given: str | bytes, load: Load | None) -> None:
        self.path, self.given, self.load = path, given, load

    def __call__(self) -> Iterable[Any]:
        if not os.path.isfile(self.path):
            raise FileNotFoundError(
                f"the evaluation set {self.path!r} isn't on this machine, and is too large to "
                "travel with the tree: put it on storage that all workers share"
            )
        with contextlib.ExitStack() as stack:
            opened = io.BufferedReader(io.FileIO(self.path))
            file = stack.enter_context(_OpenFile(opened, encoding="utf-8"))
            items = self._items(file)
            if isinstance(items, Iterator):
                # It reads on while the items are asked for.
                return _closing(stack.pop_all(), items)
            return items

    def _items(self, file: _OpenFile) -> Iterable[Any]:
        if self.load is not None:
            return self.load(file)
        import json

        if self.path.endswith(".jsonl"):
            return (json.loads(line) for line in file if line.strip())
        try:
            items = json.load(file)
        except ValueError as error:
            raise ValueError(
                f"{self.given!r} is no JSON ({error}): give load_f, which reads the file"
            ) from error
        if not isinstance(items, list):
            raise TypeError(f"{self.given!r} holds no list: give load_f, which makes one")
        return items


def _closing(file: contextlib.ExitStack, items: Iterator[Any]) -> Iterator[Any]:
    with file:
        yield from items


def _file_source(path: str, given: str | bytes, load: Load | None) -> ItemSource:
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"evalset(): there is no file {given!r}; for items give a list of them"
        )
    opened = _FromFile(path, given, load)
    return Streamed(opened) if os.path.getsize(path) > LARGEST_FILE_SENT else Listed([*opened()])
