"""Flows: functions and modules as steps of one bigger function.

What all flows share besides their items: the call with its frame, its hooks and its post action,
what stands for values of a call, and the call from async code. Each kind of flow has a file of its
own. A flow keeps nothing between calls, so that any number of threads may call it.
"""

from __future__ import annotations

from ..calling.hooks import Hooked, run_hooked
from .binding import Bind, call_with
from .frames import FlowValue, Frame, running
from .items import Items, made_item
from .packages import arguments_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, ClassVar, Self

    from ..calling.awaiting import AsyncCall


class Flow(Items, Hooked):
    """What all flows share: items, options, and the frame of a running call.

    Items are callables, or one list of them; of a class whose objects can be called one is made.
    `post_action` gets each result, for its effect only. `auto_capture` makes every callable that is
    newly named within the `with` block an item. `name`, `id` and `group_id` are the user's own
    marks. Raises TypeError for an item that can't be called and for an option that there isn't.
    """

    _name: str | None = None
    # Whether an item that is bound as an argument stands for its output.
    _is_sequence: ClassVar[bool] = False

    def __init__(
        self,
        *items: Any,
        post_action: Callable[..., Any] | None = None,
        auto_capture: bool = False,
        name: str | None = None,
        id: str | None = None,  # noqa: A002 - LazyLLM's name for it
        group_id: str | None = None,
        **named: Any,
    ) -> None:
        self._post_action = None
        if post_action is not None:
            self._post_action = made_item(self, "post_action", post_action)
        self._auto_capture = auto_capture
        self._group_id = group_id
        self._id = id
        self.name = name
        super().__init__(items, named)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the flow; one package or kwargs as the only argument is unpacked."""
        if self._hooks:
            return run_hooked(self, self._call, args, kwargs)
        return self._call(*args, **kwargs)

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1:
            args, more = arguments_of(args[0])
            kwargs = {**more, **kwargs}
        frame = Frame(self, args, kwargs, running.get())
        token = running.set(frame)
        try:
            result = self._run(frame)
            if self._post_action is not None:
                call_with(self._post_action, result, {})
        finally:
            running.reset(token)
        return self._formed(frame, result)

    def _run(self, frame: Frame) -> Any:
        raise NotImplementedError

    def _formed(self, frame: Frame, result: Any) -> Any:
        """Return the result of a call in the form that the flow was asked to give it."""
        del frame
        return result

    def acall(self, *args: Any, **kwargs: Any) -> AsyncCall:
        """Call the flow from async code without blocking its loop.

        `await flow.acall(x)` for the result, `async for item in flow.acall(x)` for a stream. The
        flow runs in a thread; who gives up waiting doesn't end it.
        """
        from ..calling.awaiting import AsyncCall

        return AsyncCall(self, args, kwargs)

    def start(self) -> Self:
        """Start what the modules in this flow serve, and return the flow."""
        from importlib import import_module

        # By name: an ActionModule is made of flows, so that its file imports this one.
        import_module(".action", __package__).ActionModule(self).start()
        return self

    def bind(self, *args: Any, **kwargs: Any) -> Bind:
        """Return `bind(flow, ...)`, which has a `with` block as the flow has."""
        return Bind(self, *args, **kwargs)

    @property
    def input(self) -> Any:
        """Stands in `bind` for what this flow was called with: one value, or a package of them."""
        return FlowValue(self, "input")

    @property
    def kwargs(self) -> Any:
        """Stands in `bind` for the keywords that this flow was called with."""
        return FlowValue(self, "kwargs")

    def output(self, item: Any, unpack: bool = False) -> Any:
        """Stands in `bind` for what an item of this flow, or the one of that name, has returned.

        `unpack` spreads a package into several arguments.  Raises ValueError for anything else.
        """
        return FlowValue(self, self._index_of(item), unpack=unpack)

    @property
    def name(self) -> str | None:
        """The user's own name for this flow."""
        return self._name

    @name.setter
    def name(self, name: str | None) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a {type(self).__name__} is text, not {name!r:.100}")
        self._name = name

    def set_name(self, name: str) -> Self:
        """Set the name and return the flow."""
        self.name = name
        return self

    def _modules_inside(self) -> Iterator[tuple[str | None, object]]:
        yield from super()._modules_inside()
        yield None, self._post_action
