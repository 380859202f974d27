"""Flows that run their items side by side: parallel, diverter and warp.

Each branch runs to its end in a thread of its own, or in a process where that is asked for; one
failure is raised as it is, several as an ExceptionGroup.  Results come in the order of the items,
as a package, unless the flow was asked for another form.  Which input a branch gets is the only
thing in which the three differ.
"""

from __future__ import annotations

from ..processes.threads import run_all
from .barrier import Meeting, meeting
from .binding import call_with
from .flow import Flow
from .frames import Frame, running
from .packages import Kwargs, arguments_of, packed, spread
from .sequence import run_in_turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Final, Self

_WARP_THREADS: Final = 64


class Parallel(Flow):
    """Gives the same input to all items and returns all results.

    `.aslist`, `.astuple`, `.asdict` (by the items' names), `.sum` and `.join(separator)` set the
    form of the result and return the flow.  `_concurrent=False`, or `parallel.sequential(...)`,
    runs one item after another, until one fails; a number limits how many run at once. With
    `_scatter` the first input goes to the first item, the second to the second, and so on.
    `processes=True` runs each branch in a process of its own: items, inputs and results have to
    travel. A call may leave items out: `p(x, _skip_items=["a", 2])`, or `_kept_items`.
    """

    def __init__(
        self,
        *items: Any,
        _concurrent: bool | int = True,
        _scatter: bool = False,
        processes: bool = False,
        multiprocessing: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(*items, **options)
        self._concurrent = _concurrent
        self._scatter = _scatter
        self._processes = processes or multiprocessing
        self._form = "package"
        self._separator = ""

    @classmethod
    def sequential(cls, *items: Any, **named: Any) -> Self:
        """Make the flow so that it runs one item after another."""
        return cls(*items, _concurrent=False, **named)

    @property
    def aslist(self) -> Self:
        """Let this flow return a list."""
        return self._in_form("list")

    @property
    def astuple(self) -> Self:
        """Let this flow return a tuple, which the next step gets as one argument."""
        return self._in_form("tuple")

    @property
    def asdict(self) -> Self:
        """Let this flow return a dict by the names of the items, all of which need one."""
        return self._in_form("dict")

    @property
    def sum(self) -> Self:
        """Let this flow return the sum of the results; texts are put together."""
        return self._in_form("sum")

    def join(self, separator: str = "") -> Self:
        """Let this flow return the results as one text."""
        self._separator = separator
        return self._in_form("join")

    def _in_form(self, form: str) -> Self:
        self._form = form
        return self

    def _run(self, frame: Frame) -> Any:
        kwargs = dict(frame.kwargs)
        indexes = self._chosen(kwargs.pop("_kept_items", None), kwargs.pop("_skip_items", None))
        frame.kwargs = kwargs
        branches = self._branches(frame, indexes)
        results = self._run_branches(branches)
        frame.outputs.update(zip(indexes, results, strict=False))
        # Item by item: the results of one item that is a list are not to be spread.
        return packed(results)

    def _chosen(self, kept: Any, skipped: Any) -> list[int]:
        """Return the places of the items that run in this call; raises ValueError."""
        everything = range(len(self._items))
        if kept is not None and skipped is not None:
            raise ValueError("a call has _kept_items or _skip_items, not both")
        if kept is None and skipped is None:
            return list(everything)
        named = kept if kept is not None else skipped
        meant = {
            one if isinstance(one, int) else self._index_of(one)
            for one in (named if isinstance(named, (list, tuple, set)) else [named])
        }
        if not meant <= set(everything):
            raise ValueError(f"this {type(self).__name__} has {len(self._items)} items: {named!r}")
        return [index for index in everything if (index in meant) is (kept is not None)]

    def _branches(self, frame: Frame, indexes: list[int]) -> list[Callable[[], Any]]:
        items = [self._items[index] for index in indexes]
        if self._scatter:
            inputs = self._inputs(frame, indexes)
            return [
                _Branch(item, *arguments_of(value))
                for item, value in zip(items, inputs, strict=True)
            ]
        return [_Branch(item, frame.args, frame.kwargs) for item in items]

    def _inputs(self, frame: Frame, indexes: list[int]) -> Sequence[Any]:
        """Return the input of each item that runs; raises ValueError."""
        args, kwargs = frame.args, frame.kwargs
        kind, count = type(self).__name__.lower(), len(self._items)
        by_name = kwargs or _mapping(args)
        if by_name and None not in self._names:
            names = [str(self._names[index]) for index in indexes]
            if not by_name.keys() >= set(names) or not by_name.keys() <= set(self._names):
                raise ValueError(f"this {kind} got inputs for {list(by_name)}, and {self._named()}")
            return [by_name[name] for name in names]
        if kwargs:
            raise ValueError(f"a {kind} takes keywords only by the names of its items")
        inputs = spread(args)
        if len(inputs) == count:
            return [inputs[index] for index in indexes]
        if len(inputs) != len(indexes):
            raise ValueError(f"this {kind} has {count} items and got {len(inputs)} inputs")
        return inputs

    def _run_branches(self, branches: Sequence[Callable[[], Any]]) -> list[Any]:
        if self._processes:
            from .isolation import isolated

            branches = [isolated(branch) for branch in branches]
        if not self._concurrent:
            return [branch() for branch in branches]
        limit = self._limit() if self._concurrent is True else int(self._concurrent)
        limit = max(1, min(limit, len(branches)))
        place = Meeting(len(branches), limit)
        together = [_meeting_at(place, branch) for branch in branches]
        return run_all(together, what=type(self).__name__.lower(), limit=limit)

    def _limit(self) -> int:
        return max(1, len(self._items))

    def _formed(self, frame: Frame, result: Any) -> Any:
        if self._form == "list":
            return list(result)
        if self._form == "tuple":
            return tuple(result)
        if self._form == "dict":
            names = [self._names[index] for index in frame.outputs]
            if None in names or len(names) != len(result):
                raise ValueError(f"asdict needs a name for every item: {self._named()}")
            return dict(zip(names, result, strict=True))
        if self._form == "sum":
            return _sum(result)
        if self._form == "join":
            return self._separator.join(map(str, result))
        return result


class _Branch:
    """One item with its input; an object, so that it can travel to another process."""

    __slots__ = ("args", "item", "kwargs")

    def __init__(self, item: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> None:
        self.item = item
        self.args = args
        self.kwargs = kwargs

    def __call__(self) -> Any:
        return call_with(self.item, packed(self.args), self.kwargs)


def _mapping(args: tuple[Any, ...]) -> Mapping[str, Any]:
    """Return the dict that is the only argument, else an empty one."""
    only = args[0] if len(args) == 1 else None
    return only if type(only) is dict or type(only) is Kwargs else {}


def _meeting_at(place: Meeting, branch: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        token = meeting.set(place)
        try:
            return branch()
        finally:
            meeting.reset(token)
            place.leave()

    return run


def _sum(results: Sequence[Any]) -> Any:
    if not results:
        return 0
    if isinstance(results[0], str):
        return "".join(map(str, results))
    total = results[0]
    for result in results[1:]:
        total = total + result
    return total


class Diverter(Parallel):
    """Gives the first input to the first item, the second to the second, and so on.

    The inputs are the arguments, the items of one list, tuple or package, or a dict by the names of
    the items. Raises ValueError when there are more or fewer of them than items.
    """

    def __init__(self, *items: Any, **options: Any) -> None:
        super().__init__(*items, **{"_scatter": True, **options})


class Warp(Parallel):
    """Runs its items, one after another, for each input and returns all results.

    The inputs are the arguments, or the items of one list, tuple or package; keywords go to the
    first item in every call. Raises ValueError when it holds no item.
    """

    _is_sequence = True

    def _chosen(self, kept: Any, skipped: Any) -> list[int]:
        if kept is not None or skipped is not None:
            raise ValueError("a warp has one item for each input: it can't leave items out")
        return []

    def _branches(self, frame: Frame, indexes: list[int]) -> list[Callable[[], Any]]:
        del indexes
        if not self._items:
            raise ValueError("a warp runs its items for each input, this one holds none")
        return [_Lane(frame, value) for value in spread(frame.args)]

    def _limit(self) -> int:
        return _WARP_THREADS

    def _formed(self, frame: Frame, result: Any) -> Any:
        if self._form == "dict":
            raise ValueError("the results of a warp have no names: asdict is for a parallel")
        return super()._formed(frame, result)


class _Lane:
    """The items of a warp for one input, in a frame of its own."""

    __slots__ = ("_frame", "_value")

    def __init__(self, frame: Frame, value: Any) -> None:
        self._frame = frame
        self._value = value

    def __call__(self) -> Any:
        whole = self._frame
        args, more = arguments_of(self._value)
        frame = Frame(whole.flow, whole.args, whole.kwargs, whole.outer)
        token = running.set(frame)
        try:
            return run_in_turn(frame, args, {**more, **whole.kwargs})
        finally:
            running.reset(token)


# The names that flows are written with.
parallel = Parallel
diverter = Diverter
warp = Warp
