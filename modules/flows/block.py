"""Open `with` blocks of flows: what is written into a flow between `with` and the end of the block.

A block knows the block around it. A flow that is opened in the same function as its parent, under a
plain name, becomes an item of the parent under that name, before anything that follows it. With
`auto_capture` every callable that the block's function has newly named becomes an item at the end.
Nothing of a block is left in the flow afterwards.
"""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Protocol

    class Fillable(Protocol):
        """A flow that a block puts items into."""

        _items: list[Any]
        _names: list[str | None]

        def _add(self, name: str | None, item: Any) -> None:
            """Add an item at the end."""


class Block:
    """One open `with` block; `named` is what stands behind its `as`: the flow, or the bound one."""

    __slots__ = ("_above", "_before", "_flow", "_given", "_is_joined", "_named", "_where")

    def __init__(self, flow: Fillable, named: Any, where: FrameType, above: Block | None) -> None:
        self._flow = flow
        self._named = named
        self._where = where
        self._above = above
        self._given: set[str] = set()
        self._is_joined = False
        self._before = frozenset(where.f_locals)

    def give(self, name: str) -> None:
        """Note that an item gets this name; raises ValueError when one has got it already."""
        self.join()
        if name in self._given:
            raise ValueError(
                f"two items of a {type(self._flow).__name__} are called {name!r} in one with block"
            )
        self._given.add(name)

    def forget(self, name: str) -> None:
        """Note that the item of this name was deleted again."""
        self._given.discard(name)

    def join(self) -> None:
        """Make the flow an item of the block around this one, if it is to be and isn't yet."""
        above = self._above
        if self._is_joined:
            return
        self._is_joined = True
        if above is None or above._where is not self._where:
            return
        parent = above._flow
        held = {id(item) for item in parent._items}
        if id(self._flow) in held or id(self._named) in held:
            return
        for name, value in self._where.f_locals.items():
            if value is self._named:
                setattr(parent, name, value)
                return

    def capture(self) -> None:
        """Make every callable that the function has named since then an item of the flow."""
        for name, value in list(self._where.f_locals.items()):
            is_new = name not in self._before and name != "self" and name not in self._flow._names
            if is_new and callable(value) and value is not self._named and value is not self._flow:
                self._flow._add(name, value)


open_blocks: ContextVar[Block | None] = ContextVar("open_blocks", default=None)
"""The innermost open block of this thread or coroutine."""


def open_block(flow: Fillable, named: Any, where: FrameType) -> Block:
    """Open the block of a flow in the function that runs in `where`."""
    block = Block(flow, named, where, open_blocks.get())
    open_blocks.set(block)
    return block


def close_block(block: Block, *, captures: bool) -> None:
    """Close a block; `captures` says that new names are items."""
    open_blocks.set(block._above)
    block.join()
    if captures:
        block.capture()
