"""What a module is evaluated on, and its evaluation.

Many items are computed at once, results keep the order of the items.  A dict is keyword arguments,
anything else one argument; a stream counts as the list of what it yields.  What comes out is the
module's `eval_result`, which is state like any other that a task sets. An evaluation that takes
longer than a moment is shared, where there is somebody to share it with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from .. import running
from .account import ACCOUNT, account_of, measure_of
from .computing import Computation, computes, raise_failures, shortened
from .sharing import Collector, Rate
from .sources import ItemSource, Listed, source_of

if TYPE_CHECKING:
    from typing import Protocol

    from ..runtime import Runtime

    class Evaluated(Protocol):
        """What is evaluated: it is called with each item, and keeps the result."""

        eval_result: Any
        _runtime: Runtime | None

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """Compute one item."""


ALONE_S: Final = 1.0
"""Seconds for which an evaluation is computed where it began before others help."""
_LONGEST_TOLD: Final = 80
_ON_ERROR: Final = ("raise", "keep")


class EvalSet:
    """The items that a module is evaluated on, and what makes its result of theirs."""

    __slots__ = ("_collect", "keeps_failures", "source")

    def __init__(
        self,
        source: ItemSource,
        collect: Callable[[list[Any]], Any] | None,
        *,
        keeps_failures: bool,
    ) -> None:
        self.source = source
        self._collect = collect
        self.keeps_failures = keeps_failures

    @classmethod
    def of(
        cls,
        items: Any,
        load: Callable[[Any], Iterable[Any]] | None,
        collect: Callable[[list[Any]], Any] | None,
        on_error: str = "raise",
    ) -> EvalSet:
        """Take a list of items, the path of a file that `load` reads, a function or a generator.

        `load` gets the open file, which can be opened again as if it were its path.

        Without `load` a file is JSON: one list, or one item on each line of a `.jsonl`. Raises
        FileNotFoundError for a text that is no path of a file, TypeError for what holds no items,
        ValueError for another `on_error` than "raise" or "keep".
        """
        if on_error not in _ON_ERROR:
            raise ValueError(f"evalset(): on_error is {on_error!r}, and must be 'raise' or 'keep'")
        return cls(source_of(items, load), collect, keeps_failures=on_error == "keep")

    def run_for(self, module: Evaluated) -> Callable[[], None]:
        """Return the task that evaluates `module` and sets its `eval_result`."""

        def evaluate() -> None:
            began = time.monotonic()
            results, failures = self._computed(module)
            if failures and not self.keeps_failures:
                count = len(results) + len(failures)
                raise_failures(failures, type(module).__name__, count)
            outcomes: dict[int, Any] = results | failures
            # Taken out one by one: of large results there is no second copy.
            ordered = [outcomes[index] for index in sorted(outcomes)]
            collected = ordered if self._collect is None else self._collect(ordered)
            module.eval_result = collected
            account = account_of(collected) | {
                "measure": measure_of(self._collect),
                "items": len(ordered),
                "failed": len(failures),
                "seconds": round(time.monotonic() - began, 3),
                # An account like the one before would be no change, and so not be recorded.
                "at": time.time(),
            }
            setattr(module, ACCOUNT, account)
            # The last report of an evaluation is its result: the events tell it.
            told = f"{account['measure'] or 'result'}: {account['result_repr'][:_LONGEST_TOLD]}"
            running.progress(len(ordered), len(ordered), told, failed=len(failures))

        return evaluate

    def refused(self, travels: Callable[[object], bool]) -> str:
        """Say what of it can't travel."""
        if not travels(self._collect):
            return "collect_f of its evaluation set"
        if isinstance(self.source, Listed):
            for index, item in self.source.read(0):
                if not travels(item):
                    return f"item {index} of its evaluation set: {shortened(item)}"
        return "what gives the items of its evaluation set"

    def _computed(self, module: Evaluated) -> tuple[dict[int, Any], dict[int, Exception]]:
        """Return results and failures by index."""
        work = Computation(computes(module), self.source.read(0))
        task, where = running.current(), module._runtime
        sharing = None if task is None else task.sharing
        if sharing is None or where is None:
            work.run(on_progress=self._told)
            return work.results, work.failures
        is_whole = work.run(time.monotonic() + ALONE_S, self._told)
        if not is_whole and not (work.failures and not self.keeps_failures):
            known = sharing.begin()
            if sharing.slots:
                total, rate = self.source.total, Rate.of(work)
                others = Collector(where.path, where.tree, sharing, rate=rate, total=total)
                others.run(
                    work.begun,
                    known=known,
                    keeps_failures=self.keeps_failures,
                    on_progress=lambda done, total: running.progress(work.done + done, total),
                )
                work.join()
                return others.results | work.results, others.failures | work.failures
            work.reopen()
            work.run(on_progress=self._told)
        work.join()
        return work.results, work.failures

    def _told(self, done: int) -> None:
        running.progress(done, self.source.total)
