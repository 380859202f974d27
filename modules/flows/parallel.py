"""Flows that run their items side by side: parallel, diverter and warp.

Each branch runs to its end in a thread of its own; one failure is raised as it is, several as an
ExceptionGroup.  Results come in the order of the items, as a package, unless the flow was told
another form.  Which input a branch gets is the only thing in which the three differ.
"""

from __future__ import annotations

from ..processes.threads import run_all
from .binding import Kwargs, Package, call_with, resolved, spread
from .flow import Flow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Final, Self

    from .binding import Frame

_WARP_THREADS: Final = 64


class Parallel(Flow):
    """Gives the same input to all items and returns all results.

    `.aslist`, `.astuple`, `.asdict` (by the items' names), `.sum` and `.join(separator)` set the
    form of the result and return the flow.  `_concurrent=False`, or `parallel.sequential(...)`,
    runs one item after another, until one fails; a number limits how many run at once.
    """

    def __init__(
        self,
        *items: Any,
        _concurrent: bool | int = True,
        post_action: Callable[[Any], Any] | None = None,
        **named: Any,
    ) -> None:
        super().__init__(*items, post_action=post_action, **named)
        self._concurrent = _concurrent
        self._form = "package"
        self._separator = ""

    @classmethod
    def sequential(cls, *items: Any, **named: Any) -> Self:
        """Make the flow so that it runs one item after another."""
        return cls(*items, _concurrent=False, **named)

    @property
    def aslist(self) -> Self:
        """Let this flow return a list."""
        return self._formed("list")

    @property
    def astuple(self) -> Self:
        """Let this flow return a tuple, which the next step gets as one argument."""
        return self._formed("tuple")

    @property
    def asdict(self) -> Self:
        """Let this flow return a dict by the names of the items, all of which need one."""
        return self._formed("dict")

    @property
    def sum(self) -> Self:
        """Let this flow return the sum of the results; texts are put together."""
        return self._formed("sum")

    def join(self, separator: str = "") -> Self:
        """Let this flow return the results as one text."""
        self._separator = separator
        return self._formed("join")

    def _formed(self, form: str) -> Self:
        self._form = form
        return self

    def _run(self, frame: Frame) -> Any:
        results = self._run_branches(self._branches(frame))
        frame.outputs.update(enumerate(results))
        return self._in_form(results)

    def _branches(self, frame: Frame) -> list[Callable[[], Any]]:
        def branch(item: Callable[..., Any]) -> Callable[[], Any]:
            return lambda: resolved(item(*frame.args, **frame.kwargs))

        return [branch(item) for item in self._items]

    def _run_branches(self, branches: Sequence[Callable[[], Any]]) -> list[Any]:
        if not self._concurrent:
            return [branch() for branch in branches]
        limit = self._limit() if self._concurrent is True else int(self._concurrent)
        return run_all(branches, what=type(self).__name__.lower(), limit=limit)

    def _limit(self) -> int:
        return max(1, len(self._items))

    def _in_form(self, results: list[Any]) -> Any:
        if self._form == "list":
            return results
        if self._form == "tuple":
            return tuple(results)
        if self._form == "dict":
            if None in self._names or len(self._names) != len(results):
                raise ValueError(f"asdict needs a name for every item: {self._named()}")
            return dict(zip(self._names, results, strict=True))
        if self._form == "sum":
            return _sum(results)
        if self._form == "join":
            return self._separator.join(map(str, results))
        # Item by item: the results of one item that is a list are not to be spread.
        return tuple.__new__(Package, results)


def _sum(results: list[Any]) -> Any:
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

    def _branches(self, frame: Frame) -> list[Callable[[], Any]]:
        inputs = self._inputs(frame.args, frame.kwargs)
        if len(inputs) != len(self._items):
            raise ValueError(
                f"this diverter has {len(self._items)} items and got {len(inputs)} inputs"
            )

        def branch(item: Callable[..., Any], value: Any) -> Callable[[], Any]:
            return lambda: call_with(item, value, {})

        return [branch(*pair) for pair in zip(self._items, inputs, strict=True)]

    def _inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any] | Any) -> Sequence[Any]:
        by_name = kwargs or (args[0] if len(args) == 1 and type(args[0]) in (dict, Kwargs) else {})
        if by_name and None not in self._names:
            if set(by_name) != set(self._names):
                raise ValueError(
                    f"this diverter got inputs for {list(by_name)}, and {self._named()}"
                )
            return [by_name[name] for name in self._names if name is not None]
        if kwargs:
            raise ValueError("a diverter takes keywords only by the names of its items")
        return spread(args)


class Warp(Parallel):
    """Runs its one item for each input and returns all results.

    The inputs are the arguments, or the items of one list, tuple or package; keywords go to every
    call. Raises ValueError when it doesn't hold exactly one item.
    """

    def _branches(self, frame: Frame) -> list[Callable[[], Any]]:
        if len(self._items) != 1:
            raise ValueError(
                f"a warp runs one item for each input, this one holds {len(self._items)}; "
                "make them one pipeline"
            )
        item = self._items[0]

        def branch(value: Any) -> Callable[[], Any]:
            return lambda: call_with(item, value, frame.kwargs)

        return [branch(value) for value in spread(frame.args)]

    def _limit(self) -> int:
        return _WARP_THREADS


# The names that flows are written with.
parallel = Parallel
diverter = Diverter
warp = Warp
