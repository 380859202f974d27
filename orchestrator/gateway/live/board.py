"""A board of small JSON documents, each with the version of its last change.

A reader who knows the board up to a version gets what is newer: the same for a request with
`since` and for a stream. Documents are compared as texts, so that what is written again unchanged
is no change. It belongs to the event loop and needs no lock. What the documents say is the
reader's; nothing here knows Redis or HTTP.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

KEPT_DROPS: Final = 5000


class Changes(NamedTuple):
    """What is newer than a version: texts of documents by key, keys that are gone, the version.

    `is_whole` says that it is everything, as the version asked for isn't known here.
    """

    version: str
    texts: dict[str, str]
    dropped: list[str]
    is_whole: bool

    def to_text(self, now: float) -> str:
        """Return one JSON object; the documents' own texts are put in as they are."""
        documents = ",".join(f"{json.dumps(key)}:{text}" for key, text in self.texts.items())
        return (
            f'{{"version":"{self.version}","now":{now:.3f},"whole":{json.dumps(self.is_whole)},'
            f'"set":{{{documents}}},"drop":{json.dumps(self.dropped)}}}'
        )


class LiveBoard:
    """Documents by key; a version is `RUN-NUMBER`, so that another start's is seen to be."""

    def __init__(self) -> None:
        self._run = secrets.token_hex(4)
        self._number = 0
        self._documents: dict[str, tuple[int, str]] = {}
        self._dropped: dict[str, int] = {}
        self._oldest_drop = 0
        self._changed = asyncio.Event()

    @property
    def version(self) -> str:
        """The version of the newest change."""
        return f"{self._run}-{self._number}"

    def update(self, documents: Mapping[str, Any], *, below: Iterable[str]) -> bool:
        """Take documents in; those of the prefixes `below` that aren't among them are dropped.

        Returns whether anything has changed.
        """
        before, prefixes = self._number, tuple(below)
        for key, document in documents.items():
            text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str)
            known = self._documents.get(key)
            if known is None or known[1] != text:
                self._number += 1
                self._documents[key] = (self._number, text)
                self._dropped.pop(key, None)
        gone = [key for key in self._documents if key.startswith(prefixes) and key not in documents]
        for key in gone if prefixes else ():
            self._number += 1
            del self._documents[key]
            self._dropped[key] = self._number
        self._forget_drops()
        if self._number == before:
            return False
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        return True

    def put(self, key: str, document: Any) -> bool:
        """Take one document in."""
        return self.update({key: document}, below=())

    def changes(self, since: str, wants: Callable[[str], bool]) -> Changes:
        """Return the documents that are wanted and newer than a version."""
        run, _, number = since.partition("-")
        known = int(number) if run == self._run and number.isdecimal() else -1
        is_whole = known < self._oldest_drop or known > self._number
        after = -1 if is_whole else known
        texts = {k: t for k, (v, t) in self._documents.items() if v > after and wants(k)}
        dropped = [k for k, v in self._dropped.items() if v > after and wants(k)]
        return Changes(self.version, texts, [] if is_whole else dropped, is_whole)

    def text(self, key: str) -> str | None:
        """Return a document's text, or None when there is none of the key."""
        found = self._documents.get(key)
        return None if found is None else found[1]

    async def changed(self) -> None:
        """Return at the next change."""
        await self._changed.wait()

    def _forget_drops(self) -> None:
        while len(self._dropped) > KEPT_DROPS:
            key = next(iter(self._dropped))
            self._oldest_drop = self._dropped.pop(key)
