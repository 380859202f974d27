"""What an evaluation and whoever computes its shards say to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .sources import ItemSource

Range = tuple[int, int]
"""The first index of a shard, and the one behind its last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardEnd:
    """A shard that has ended: with its packed result, or with an error (type, message...)."""

    start: int
    stop: int
    packed: bytes | None = None
    error: dict[str, str] | None = None


class Sharing(Protocol):
    """Who has shards computed elsewhere."""

    @property
    def slots(self) -> int:
        """How many shards may run at once now; 0 when nobody can help."""

    def begin(self) -> Sequence[ShardEnd]:
        """Begin; return the shards of an earlier attempt that are there, ended or not."""

    def add(self, shards: Sequence[Range]) -> None:
        """Have these shards computed."""

    def next(self) -> ShardEnd:
        """Wait for the end of a shard."""


class ItemSet(Protocol):
    """What a module is evaluated on, as a shard of it is computed."""

    source: ItemSource
    keeps_failures: bool
