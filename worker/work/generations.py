"""The generations that an agent works for, and the bare template that theirs are forked from.

One is made when a claim names it, and forgotten when nobody has used it for a while, when the
controller says so, or when a store that has lost its data may give its number anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import psutil

from rootward.modules.processes.forkserver import Template
from rootward.modules.processes.scarcity import NoProcess
from rootward.modules.rpc.endpoints import ASLEEP

from ..child import process_tree
from .bundle_cache import BundleCache
from .code_folders import CodeFolders
from .generation import Generation, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from rootward.orchestrator.security.signing import Signer
    from rootward.orchestrator.store.store import Store
    from rootward.orchestrator.store.watch import RegistryMirror

    from ..agent.store_client import StoreClient

_IDLE_S = 60.0
MOST_IDLE = 16
"""Generations that stay loaded though nobody uses them: each costs memory, a process and files."""
_SCARCE_SHARE = 0.1
# After the spare template was taken, until the next is forked: who took it has much to do first.
_SPARE_S = 0.25


def is_memory_scarce() -> bool:
    """Whether less than a tenth of this machine's memory is left."""
    memory = psutil.virtual_memory()
    return bool(memory.available < _SCARCE_SHARE * memory.total)


def place_in(command: Mapping[str, Any]) -> Place:
    """Return the generation that a command of the inbox means."""
    return str(command["name"]), int(command["generation"])


class Generations:
    """All generations of this agent, and the bare template that theirs are forked from."""

    def __init__(
        self,
        store: Store,
        signer: Signer,
        link: StoreClient,
        mirror: RegistryMirror,
        cache: str = "",
        worker: str | None = None,
    ) -> None:
        """Start nothing yet; `warm` does.

        `cache` is the folder for code (empty: the usual one), `worker` the name in errors.
        """
        self.store, self.signer, self.link, self.mirror = store, signer, link, mirror
        self.code = CodeFolders(store, signer, link, BundleCache(cache))
        self.worker = worker
        # Called when calls are held here, or replicas have more or fewer of them; and with the
        # routes and the path when one waits for a service that sleeps.
        self.on_demand: Callable[[], None] = lambda: None
        self.on_asleep: Callable[[tuple[str, int | None], str], None] = lambda _routes, _path: None
        self._bare: Template | None = None
        self._spare: Template | None = None
        self._known: dict[Place, Generation] = {}

    def warm(self) -> None:
        """Start the bare template, so that the first task finds it ready."""
        if self._bare is None:
            process_tree.reserve_descriptors()
            self._bare = Template.launch(asyncio.get_running_loop())
            self._bare.on_exit = self._bare_ended
            self._spare = self._bare.fork()

    @property
    def pids(self) -> list[int]:
        """The process of each template."""
        templates = [t for each in self._known.values() for t in each.templates]
        templates += [each for each in (self._bare, self._spare) if each is not None]
        living = (template for template in templates if not template.ended.done())
        return [template.pid for template in living if template.pid is not None]

    def fork(self) -> Template:
        """Return a new template for one generation: the spare one, which has started already."""
        self.warm()
        assert self._bare is not None
        spare, self._spare = self._spare, None
        asyncio.get_running_loop().call_later(_SPARE_S, self._fork_spare)
        return self._bare.fork() if spare is None or spare.ended.done() else spare

    def _fork_spare(self) -> None:
        if self._bare is not None and self._spare is None:
            # Without room for one, the next is forked when it is needed.
            with contextlib.suppress(OSError, NoProcess):
                self._spare = self._bare.fork()

    def of(self, place: Place, mark: bytes | None = None) -> Generation:
        """Return the generation, known from now on, as the submission of that mark has made it.

        What is here of another submission under the same number, which the store has forgotten, is
        dropped.
        """
        generation = self._known.get(place)
        if generation is not None and mark not in {None, generation.mark}:
            if generation.mark is None:
                generation.mark = mark
            else:
                self.drop(place)
                generation = None
        if generation is None:
            generation = self._known[place] = Generation(place, self, mark)
        generation.used_at = time.monotonic()
        return generation

    def __iter__(self) -> Iterator[Generation]:
        return iter(self._known.values())

    def offsets(self) -> dict[str, int]:
        """Return how much of each state log is here, as an exchange asks for it."""
        return {f"{name}@{number}": len(g.log) for (name, number), g in self._known.items()}

    def drop(self, place: Place) -> None:
        """Forget a generation and end its processes."""
        generation = self._known.pop(place, None)
        if generation is None:
            return
        generation.close()
        if not any(other.follows(generation.routes_of) for other in self._known.values()):
            self.mirror.forget(*generation.routes_of)

    def keep_only(self, kept: Collection[Generation]) -> None:
        """Forget all others: their numbers may be given anew by a store that has lost its data."""
        for place, generation in list(self._known.items()):
            if generation not in kept:
                self.drop(place)

    def drop_idle(
        self, now: float, *, is_memory_scarce: Callable[[], bool] = is_memory_scarce
    ) -> None:
        """Forget what nobody has used for a minute; it is loaded again when it is needed.

        What sleeps until it is called stays: its template is what a quick start needs.
        No more than MOST_IDLE are kept, those that were used last, and only the very last one while
        this machine's memory is scarce.
        """
        idle = [each for each in self._known.items() if not each[1].uses]
        if not idle:
            return
        idle.sort(key=lambda each: each[1].used_at, reverse=True)
        most = 1 if len(idle) > 1 and is_memory_scarce() else MOST_IDLE
        for rank, (place, generation) in enumerate(idle):
            # What sleeps is to be there soon after the first call.
            is_over = now - generation.used_at > _IDLE_S and ASLEEP not in generation.table
            if rank >= most or is_over:
                self.drop(place)

    async def close(self, patience_s: float) -> None:
        """End all templates, and with them every process that runs user code."""
        ending = [t for generation in self._known.values() for t in generation.templates]
        for place in list(self._known):
            self.drop(place)
        for template in (self._spare, self._bare):
            if template is not None:
                template.close()
                ending.append(template)
        self._spare = self._bare = None
        if ending:
            await asyncio.wait({template.ended for template in ending}, timeout=patience_s)

    async def refresh(self, routes_of: tuple[str, int | None]) -> None:
        """Push the endpoints that have changed to the processes that call them."""
        followers = [g for g in self._known.values() if g.follows(routes_of)]
        if not followers:
            return
        table = await self.link.insist(self.mirror.table, *routes_of)
        for generation in followers:
            generation.push(table)

    def _bare_ended(self, template: Template) -> None:
        if self._bare is template:
            # The spare one has lost whoever reports its end: it is closing.
            self._bare = self._spare = None
