"""Keeps the board up to date while somebody looks, and gives readers their streams.

One loop reads in a thread of its own, as often as the cost of a read allows: what it does takes a
fiftieth of the time at most, so that looking costs the calls nothing. While nobody looks it reads
only what the charts of the last quarter of an hour need. Each stream gets a snapshot, then changes,
and a beat at least every two seconds that says whether Redis answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from rootward.modules.errors import RootwardError

from .board import LiveBoard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from .board import Changes
    from .reader import FleetReader, Picture, Place

log = logging.getLogger(__name__)

BEAT_S: Final = 1.5
SHORTEST_S: Final = 0.25
LONGEST_S: Final = 5.0
UNWATCHED_S: Final = 15.0
COST_FACTOR: Final = 50
LINGER_S: Final = 30.0
STREAMS: Final = 64
MOST_WATCHED: Final = 20
HANGS_S: Final = 3.0
_FIRST_S: Final = 3.0


class Feed:
    """The board, who looks at it, and the loop that reads for them."""

    def __init__(self, reader: FleetReader, measure: Callable[[], dict[str, Any]]) -> None:
        self.board = LiveBoard()
        self._reader, self._measure = reader, measure
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="rootward-live")
        self._watched: Counter[Place] = Counter()
        self._lingering: dict[Place, float] = {}
        self._looking = 0
        self._looked_at = 0.0
        self._wanted = asyncio.Event()
        self._fresh = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._usage: list[tuple[int, int]] = []
        self._sampled_at = 0.0
        self._reading_since: float | None = None
        self._unreached_since: float | None = None
        self.streams = 0

    def start(self) -> None:
        """Begin to read."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop to read; streams end by themselves."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def unreached_since(self) -> float | None:
        """Since when (Unix seconds) Redis hasn't answered; a read that hangs is no answer."""
        hangs = self._reading_since is not None and time.time() - self._reading_since > HANGS_S
        return self._unreached_since or (self._reading_since if hangs else None)

    def retry(self) -> None:
        """Read at once, whatever the pause."""
        self._wanted.set()

    async def snapshot(self, since: str, watched: Iterable[Place]) -> Changes:
        """Return what is newer than a version, read now unless somebody is following."""
        places = tuple(watched)
        for place in places:
            self._lingering[place] = time.monotonic()
        self._looked_at = time.monotonic()
        if not self._looking or not self._has(places):
            await self._read_now()
        return self.board.changes(since, _wants(places))

    async def stream(
        self, since: str, watched: Iterable[Place], is_draining: Callable[[], bool]
    ) -> AsyncIterator[str]:
        """Yield server-sent events: `change` with documents, and `beat` at least each 2 s."""
        places = tuple(watched)
        wants = _wants(places)
        self._looking += 1
        self.streams += 1
        self._watched.update(places)
        try:
            yield "retry: 1000\n\n"
            if not self._has(places) or self._looking == 1:
                await self._read_now()
            while not is_draining():
                # The event first: what changes while the text is made wakes at once.
                changed = asyncio.ensure_future(self.board.changed())
                changes = self.board.changes(since, wants)
                if changes.texts or changes.dropped or changes.is_whole:
                    text = changes.to_text(time.time())
                    yield f"id: {changes.version}\nevent: change\ndata: {text}\n\n"
                since = changes.version
                yield self._beat()
                await asyncio.wait([changed], timeout=BEAT_S)
                changed.cancel()
        finally:
            self._looking -= 1
            self.streams -= 1
            self._watched.subtract(places)
            self._watched += Counter()
            now = time.monotonic()
            self._lingering.update(dict.fromkeys(places, now))

    def _beat(self) -> str:
        told = {"now": round(time.time(), 3), "unreached_since": self.unreached_since}
        return f"event: beat\ndata: {json.dumps(told)}\n\n"

    def _has(self, places: Iterable[Place]) -> bool:
        return all(self.board.text(f"g/{name}@{n}") is not None for name, n in places)

    async def _read_now(self) -> None:
        """Have the loop read, and wait for that for a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_S):
                # A read that is under way already may have begun before it was known what for.
                for _ in range(2):
                    fresh = self._fresh
                    self._wanted.set()
                    await fresh.wait()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = time.monotonic()
            self._wanted.clear()
            places = self._places(began)
            cpu = 0.0
            self._reading_since = time.time()
            try:
                cpu, picture = await loop.run_in_executor(self._pool, self._timed, places)
                self._unreached_since = None
                self._take(picture)
            except (RedisError, OSError):
                self._unreached_since = self._unreached_since or self._reading_since
            except (RootwardError, ValueError, KeyError, TypeError) as error:
                # What one deployment has stored must not end what is shown of the others.
                log.warning("live.unread: %s", error, extra={"event": "live.unread"})
            self._reading_since = None
            fresh, self._fresh = self._fresh, asyncio.Event()
            fresh.set()
            pause = min(max(SHORTEST_S, COST_FACTOR * cpu), LONGEST_S)
            is_looked_at = self._looking or time.monotonic() - self._looked_at < LINGER_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause if is_looked_at else UNWATCHED_S):
                    await self._wanted.wait()

    def _timed(self, places: list[Place]) -> tuple[float, Picture]:
        began = time.thread_time()
        picture = self._reader.read(places)
        return time.thread_time() - began, picture

    def _places(self, now: float) -> list[Place]:
        self._lingering = {p: at for p, at in self._lingering.items() if now - at < LINGER_S}
        return [*dict.fromkeys([*self._watched, *self._lingering])]

    def _take(self, picture: Picture) -> None:
        documents = dict(picture.overview)
        for found in picture.watched.values():
            documents.update(found)
        self._sample(picture)
        documents["q"] = {**documents["q"], "usage": [list(pair) for pair in self._usage]}
        documents.update(self._measure())
        self.board.update(documents, below=("d/", "s/", "m/", "w/", "g/", "t/"))

    def _sample(self, picture: Picture) -> None:
        """Note the slots in use each quarter of a minute, for a quarter of an hour."""
        if picture.at - self._sampled_at >= UNWATCHED_S - 1:
            self._sampled_at = picture.at
            self._usage = [*self._usage[-59:], (picture.busy, picture.queued)]


def _wants(places: Iterable[Place]) -> Callable[[str], bool]:
    """Return which keys a reader wants: all lists, and graph and tasks of what it watches."""
    graphs = {f"g/{name}@{number}" for name, number in places}
    tasks = tuple(f"t/{name}@{number}/" for name, number in places)

    def wants(key: str) -> bool:
        if key[:2] == "t/":
            return bool(tasks) and key.startswith(tasks)
        return key[:2] != "g/" or key in graphs

    return wants
