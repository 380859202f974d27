"""Flows that run their items one after another: pipeline and loop.

Each item gets what the one before has returned; an item that is bound as an argument of a later one
stands for its output.
"""

from __future__ import annotations

from contextlib import contextmanager

from .binding import call_with, resolved
from .flow import Flow
from .items import made_item
from .packages import arguments_of, one_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .frames import Frame


class Pipeline(Flow):
    """Runs its items one after another, each with what the one before has returned.

    The first item gets all arguments, also the keywords. `save_result` is taken and changes
    nothing: what an outer pipeline was given and has computed is there for every inner step.
    """

    _is_sequence = True

    def __init__(self, *items: Any, save_result: bool | None = None, **options: Any) -> None:
        del save_result
        super().__init__(*items, **options)

    def _run(self, frame: Frame) -> Any:
        return run_in_turn(frame, frame.args, frame.kwargs)


class Loop(Pipeline):
    """Runs its items as a pipeline, again and again with their own result.

    It ends after `count` rounds, or when `stop_condition` of the result is true.  Without
    `judge_on_full_input` the condition gets the first value of the result, and the rest goes on.
    At the end of the rounds `on_limit(result, rounds, count)` may return a higher count, for this
    call. Raises ValueError when neither end is given.
    """

    def __init__(
        self,
        *items: Any,
        stop_condition: Callable[..., Any] | None = None,
        count: int | None = None,
        judge_on_full_input: bool = True,
        on_limit: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        if stop_condition is None and count is None:
            raise ValueError("this loop would never end: give it a stop_condition or a count")
        for option, value in (("stop_condition", stop_condition), ("on_limit", on_limit)):
            if value is not None and not callable(value):
                raise TypeError(f"{option} can't be called: {value!r:.100}")
        super().__init__(*items, **options)
        self._stop_condition = stop_condition
        if stop_condition is not None:
            self._stop_condition = made_item(self, "stop_condition", stop_condition)
        self._count = count
        self._judge_on_full_input = judge_on_full_input
        self._on_limit = on_limit

    def _run(self, frame: Frame) -> Any:
        args, kwargs = frame.args, frame.kwargs
        value = one_value(args)
        limit, rounds = self._count, 0
        while limit is None or rounds < limit:
            value = run_in_turn(frame, args, kwargs)
            rounds += 1
            judged = value
            if not self._judge_on_full_input:
                judged, value = _split(value)
            if self._stop_condition is not None and call_with(self._stop_condition, judged, {}):
                break
            if rounds == limit and self._on_limit is not None:
                limit = self._extended(value, limit)
            (args, kwargs) = arguments_of(value)
        return value

    def _extended(self, value: Any, limit: int) -> int:
        assert self._on_limit is not None
        wanted = resolved(self._on_limit(value, limit, limit))
        return max(limit, wanted) if isinstance(wanted, int) else limit

    def _modules_inside(self) -> Iterator[tuple[str | None, object]]:
        yield from super()._modules_inside()
        yield "stop_condition", self._stop_condition
        yield "on_limit", self._on_limit


def run_in_turn(frame: Frame, args: tuple[Any, ...], kwargs: Any) -> Any:
    """Run the items of the frame's flow one after another, the first with these arguments."""
    items = frame.flow._items
    if not items:
        return one_value(args)
    value = frame.outputs[0] = resolved(items[0](*args, **kwargs))
    for index, item in enumerate(items[1:], 1):
        value = frame.outputs[index] = call_with(item, value, {})
    return value


@contextmanager
def save_pipeline_result(flag: bool = True) -> Iterator[None]:
    """Do nothing, for scripts that need it in LazyLLM.

    What outer pipelines were given and have computed is always there for the steps of inner ones.
    """
    del flag
    yield


def _split(value: Any) -> tuple[Any, Any]:
    """Part the first value, which is judged, from the rest, which stays of its kind."""
    if not isinstance(value, (tuple, list)) or len(value) < 2:
        raise ValueError(
            "this Loop judges on the first of several values (judge_on_full_input=False), it got "
            f"{value!r:.100}"
        )
    return value[0], value[1:]


# The names that flows are written with.
pipeline = Pipeline
loop = Loop
