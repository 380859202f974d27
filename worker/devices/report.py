"""Has the store know who holds which device of this worker, soon after that changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .resources import Resources


class ReportOwner(Protocol):
    """Whose devices they are."""

    @property
    def is_leaving(self) -> bool:
        """Whether nobody listens any more."""

    async def look(self, *, is_due: bool) -> None:
        """Look for tasks to claim."""


class Teller(Protocol):
    """What tells the store of this worker; `holdings` is what it tells."""

    holdings: Callable[[], tuple[Mapping[str, Any], ...]]

    async def tell_holdings(self) -> None:
        """Tell what is held now."""


class HoldingsReport:
    """Tells of what changes at once in one message; `owner` looks for tasks for what is free.

    `begin` does in the background what it is given.
    """

    def __init__(
        self,
        resources: Resources,
        teller: Teller,
        begin: Callable[[Coroutine[Any, Any, None]], None],
        owner: ReportOwner,
    ) -> None:
        """Tell from now on."""
        self._teller, self._begin, self._owner = teller, begin, owner
        teller.holdings = resources.described
        self._is_due = False
        resources.on_change = self._changed
        resources.on_free = lambda: begin(owner.look(is_due=True))

    def _changed(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._begin(self._tell())

    async def _tell(self) -> None:
        await asyncio.sleep(0)
        self._is_due = False
        if not self._owner.is_leaving:
            await self._teller.tell_holdings()
