"""One shard of an evaluation: some items in a row, computed in whatever process, and its result.

A result is bytes: whose it is, what each item gave, how long it took. It holds as many items as fit
into the limit of a state; who asked for more asks again for the rest. An item that fails is an
outcome like any other, told as the exception itself. What the module changes on itself while it
computes a shard stays in that process.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from ..errors import CodecError, ResultRefused
from ..state import values
from ..state.exceptions import describe, portable, with_traceback
from .computing import Computation, computes

if TYPE_CHECKING:
    from ..tree import Tree
    from .protocol import ItemSet, Range


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardResult:
    """What a shard gave: `results` and `failures` by index.

    `total` is how many items there are, if its process knows; `took_s` is the time of all,
    `latency_s` of one item.
    """

    results: dict[int, Any]
    failures: dict[int, Exception]
    total: int | None
    took_s: float
    latency_s: float


def compute_shard(tree: Tree, path: str, wanted: Range, limit: int) -> bytes:
    """Compute the items of the module at `path` and return the result, packed.

    Raises what reading the items raises, ResultRefused for what an item gives that can't travel or
    is larger than `limit` (bytes).
    """
    import msgpack

    start, stop = wanted
    module = tree.module_at(path)
    evalset: ItemSet = vars(module)["_evalset"]
    packing = _Packing(tree, path, limit)
    compute = computes(module)  # type: ignore[arg-type]
    items = takewhile(lambda _: packing.has_room, evalset.source.read(start))
    work = Computation(
        lambda item: packing.take(compute(item)),
        islice(items, stop - start),
        stops_at_failure=not evalset.keeps_failures,
    )
    work.run()
    for failure in work.failures.values():
        if isinstance(failure, ResultRefused):
            raise failure
    return bytes(
        msgpack.packb(
            {
                "path": path,
                "start": start,
                "results": list(work.results.items()),
                "failures": [(i, packing.failure(each)) for i, each in work.failures.items()],
                "total": evalset.source.total,
                "took": work.took_s,
                "latency": work.latency_s,
            }
        )
    )


class _Packing:
    """Packs what items give, and counts the bytes."""

    def __init__(self, tree: Tree, path: str, limit: int) -> None:
        self._tree, self._path, self._limit = tree, path, limit
        self._size = 0

    @property
    def has_room(self) -> bool:
        """Whether the result may hold more: half of the limit, as some are computed already."""
        return self._size <= self._limit // 2

    def take(self, result: Any) -> bytes:
        """Pack what an item gave; ResultRefused for what can't travel."""
        try:
            packed = values.dumps(result, tree=self._tree)
        except CodecError as error:
            raise ResultRefused(f"{self._path}: what it returned can't travel: {error}") from error
        if len(packed) > self._limit:
            raise ResultRefused(
                f"{self._path}: what it returned has {len(packed):,} bytes, the limit is "
                f"{self._limit:,}: return less, or raise ROOTWARD_STATE_LIMIT"
            )
        self._size += len(packed)
        return packed

    def failure(self, error: Exception) -> bytes:
        """Pack an exception, with its traceback here."""
        told = describe(error)
        whole = portable(error, self._travels)
        return values.dumps([whole, told["traceback"]], tree=self._tree)

    def _travels(self, value: object) -> bool:
        try:
            values.dumps(value, tree=self._tree)
        except CodecError:
            return False
        return True


def read_shard(packed: bytes, tree: Tree | None, path: str, start: int) -> ShardResult:
    """Read what `compute_shard` returned, once its signature is checked.

    Raises CodecError for anything else than the result of that shard.
    """
    import msgpack

    try:
        found = msgpack.unpackb(packed)
        if found["path"] != path or found["start"] != start:
            raise CodecError(f"the result of a shard of {path} from item {start} is another's")
        return ShardResult(
            results={i: values.loads(each, tree=tree) for i, each in found["results"]},
            failures={i: _failure(each, tree) for i, each in found["failures"]},
            total=found["total"],
            took_s=float(found["took"]),
            latency_s=float(found["latency"]),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise CodecError(f"the result of a shard can't be read: {error}") from error


def _failure(packed: bytes, tree: Tree | None) -> Exception:
    error, traceback = values.loads(packed, tree=tree)
    found = with_traceback(error, traceback)
    return found if isinstance(found, Exception) else CodecError(str(found))
