"""Whether a replica is well, by what its own code says: asked every few seconds while it serves.

The owner hears of every failure, with how many
there were in a row, and of the first success after one; what follows from that is the owner's to
decide. A check that doesn't come back counts as failed each time that it is due, and isn't asked
again meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rootward.modules.composite import Composite
from rootward.modules.state.exceptions import message_of, type_of
from rootward.modules.tasks import finish

if TYPE_CHECKING:
    from rootward.modules.tree import Tree

PERIOD_S: Final = 5.0
LIMIT_S: Final = 10.0


class Diagnosis(NamedTuple):
    """What a check has found: `why` it isn't well, if so, and as how many failures that counts.

    0 is for one that gets no calls for it, and isn't started anew however long it lasts.
    """

    why: str
    counts: int = 1


WELL: Final = Diagnosis("")
Check = Callable[[], Awaitable[Diagnosis]]


def checks_of(tree: Tree, path: str) -> list[Check]:
    """Return a check for each module that the replica of `path` has loaded and that has one."""
    found: list[Check] = []
    for each in tree.loaded_by(path):
        module = tree.module_at(each)
        if type(module).health is not Composite.health:
            found.append(ModuleCheck(each, module.health).ask)
    return found


class ModuleCheck:
    """The `health()` of one module, run in a thread, since it may take its time."""

    def __init__(self, path: str, health: Callable[[], Any]) -> None:
        self._path, self._health = path, health
        self._asked: asyncio.Future[str] | None = None

    async def ask(self) -> Diagnosis:
        """Return whether the module is well."""
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_future()
            # A thread of its own: the pool's are for calls, and may all be taken.
            threading.Thread(
                target=self._run, args=(self._asked,), name="rootward-health", daemon=True
            ).start()
        done, _ = await asyncio.wait({self._asked}, timeout=LIMIT_S)
        if not done:
            return Diagnosis(f"health() of {self._path} doesn't come back")
        asked, self._asked = self._asked, None
        return Diagnosis(asked.result())

    def _run(self, asked: asyncio.Future[str]) -> None:
        try:
            answer = finish(self._health())
            why = f"health() of {self._path} returned False" if answer is False else ""
        except BaseException as error:
            why = f"health() of {self._path} raised {type_of(error)}: {message_of(error)}"
        try:
            asked.get_loop().call_soon_threadsafe(_settle, asked, why)
        except RuntimeError:
            # The loop has ended, and with it who wanted to know.
            return


def _settle(asked: asyncio.Future[str], why: str) -> None:
    if not asked.done():
        asked.set_result(why)


class HealthRounds:
    """Asks all checks each `PERIOD_S`; `send` takes the message for the owner."""

    def __init__(self, checks: Sequence[Check], send: Callable[[dict[str, Any]], None]) -> None:
        self._checks, self._send = checks, send
        self._failures = 0

    async def run(self) -> None:
        """Ask until it is cancelled; without a check there is nothing to do."""
        while self._checks:
            await asyncio.sleep(PERIOD_S)
            await self.run_once()

    async def run_once(self) -> None:
        """Ask each, until one isn't well, and report."""
        found = WELL
        for check in self._checks:
            if (found := await check()).why:
                break
        if found.why:
            self._failures = max(self._failures + found.counts, 1)
        elif self._failures:
            self._failures = 0
        else:
            return
        self._send({"event": "health", "failures": self._failures, "reason": found.why})
