"""ModuleBase: what a user's module inherits from.

A module may train, deploy, infer and evaluate; it overrides what it can do.  What makes it a part
of a tree is `composite`'s, what a tree is told to do `lifecycle`'s, which tasks it has `tasks`',
what those change `state`'s.
"""

from __future__ import annotations

from .calling.hooks import run_hooked
from .lifecycle import Lifecycle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Literal, Self

    from .calling.awaiting import AsyncCall


class ModuleBase(Lifecycle):
    """A node of a tree: overrides `forward` and any of the three task getters.

    A getter returns None, a callable (such as a flow) or a list of callables.  `name` becomes the
    module's part of its path.  `return_trace` and `id` are the user's own marks.
    `local_attributes` names attributes that stay in their process and never travel.
    `task_resources` says what its tasks need of a worker: `{"train": {"gpu": 1}}`.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def submodules(self) -> list[ModuleBase]:  # type: ignore[override]
            """What is below a module are modules."""

    # Here, as a class that forgets super().__init__() still works.
    return_trace: bool = False
    id: str | None = None
    task_resources: Mapping[str, Mapping[str, float]] | None = None
    _use_cache: bool | str = False

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

    def evalset(
        self,
        items: Any,
        load_f: Callable[[Any], Iterable[Any]] | None = None,
        collect_f: Callable[[list[Any]], Any] | None = None,
        on_error: Literal["raise", "keep"] = "raise",
    ) -> None:
        """Set what the module is evaluated on.

        `items` is a list, in which a dict is keyword arguments and anything else one argument; a
        generator, or a function that returns the items; or a file that `load_f` reads.
        `collect_f` turns the list of results into `eval_result`. With `on_error="keep"` the result
        of an item that fails is its exception.
        """
        from .evaluation.evalset import EvalSet

        self._evalset = EvalSet.of(items, load_f, collect_f, on_error)

    def state_dict(self) -> dict[str, Any]:
        """Return what tasks have changed here and below: `{"path.attribute": value}`."""
        from .state.state_log import state_dict

        return state_dict(self)

    def load_state_dict(self, states: Mapping[str, Any]) -> None:
        """Set what `state_dict` of a tree of the same shape returned."""
        from .state.state_log import load_state_dict

        load_state_dict(self, states)

    def _computed(self, *args: Any, **kwargs: Any) -> Any:
        if not self._use_cache:
            return self.forward(*args, **kwargs)
        from .calling.caching import cached

        return cached(self, self._use_cache, self.forward, args, kwargs)
