"""Whatever the sizes, the ends and the losses of shards are: each item counts once, in order."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootward.modules import ModuleBase
from rootward.modules.errors import EvaluationLost, ResultRefused
from rootward.modules.evaluation.protocol import ShardEnd
from rootward.modules.evaluation.shards import compute_shard
from rootward.modules.evaluation.sharing import SHARD_S, Collector, Rate, shard_size
from rootward.modules.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootward.modules.evaluation.protocol import Range

LIMIT = 1 << 20


class Double(ModuleBase):
    def forward(self, x: Any) -> Any:
        return x * 2


class Here:
    """Computes shards in this process, in any order, when they are asked for."""

    def __init__(self, tree: Tree, seed: int, slots: int, limit: int = LIMIT) -> None:
        self.tree, self.slots, self.limit = tree, slots, limit
        self.dice = random.Random(seed)
        self.open: list[Range] = []
        self.added: list[Range] = []

    def begin(self) -> Sequence[ShardEnd]:
        return []

    def add(self, shards: Sequence[Range]) -> None:
        self.open += shards
        self.added += shards

    def next(self) -> ShardEnd:
        start, stop = self.open.pop(self.dice.randrange(len(self.open)))
        packed = compute_shard(self.tree, self.tree.name, (start, stop), self.limit)
        return ShardEnd(start=start, stop=stop, packed=packed)


def collected(
    module: ModuleBase, total: int | None, sharing: Here, begun: int = 0, **options: Any
) -> Collector:
    rate = Rate(item_s=options.pop("item_s", 1e-6), latency_s=0.0)
    collector = Collector(sharing.tree.name, sharing.tree, sharing, rate=rate, total=total)
    options = {"known": (), "keeps_failures": False, **options}
    collector.run(begun, on_progress=lambda done, total: None, **options)
    return collector


@given(
    count=st.integers(0, 300),
    begun=st.integers(0, 50),
    slots=st.integers(1, 9),
    is_counted=st.booleans(),
    item_s=st.sampled_from([1e-6, 0.01, 0.2, 3.0]),
    seed=st.integers(0, 99),
    known=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 90), st.booleans()), max_size=5),
)
def test_each_item_counts_once_whatever_an_earlier_attempt_left(
    count: int,
    begun: int,
    slots: int,
    is_counted: bool,
    item_s: float,
    seed: int,
    known: list[tuple[int, int, bool]],
) -> None:
    begun = min(begun, count)
    module = Double()
    module.evalset(range(count))
    tree = Tree(module, "double")
    sharing = Here(tree, seed, slots)
    left = []
    for start, size, is_done in known:
        if start >= count or (start, start + size) in sharing.open:
            continue
        shard = (start, start + size)
        packed = compute_shard(tree, "double", shard, LIMIT) if is_done else None
        left.append(ShardEnd(start=start, stop=start + size, packed=packed))
        if not is_done:
            sharing.open.append(shard)
    total = count if is_counted else None
    found = collected(module, total, sharing, begun, known=left, item_s=item_s)
    assert {i: x for i, x in found.results.items() if i >= begun} == {
        index: 2 * index for index in range(begun, count)
    }
    assert found.failures == {}


def test_results_that_are_too_large_for_one_shard_come_in_several() -> None:
    module = Double()
    module.evalset(["x" * 500] * 40)
    sharing = Here(Tree(module, "double"), 1, 1, limit=4000)
    found = collected(module, 40, sharing)
    assert sorted(found.results) == list(range(40))
    assert len(sharing.added) > 10


def test_a_result_that_can_not_travel_names_its_item() -> None:
    import threading

    class Locks(ModuleBase):
        def forward(self, x: int) -> Any:
            return threading.Lock() if x == 3 else x

    module = Locks()
    module.evalset(range(5))
    with pytest.raises(ResultRefused, match="can't travel") as caught:
        collected(module, 5, Here(Tree(module, "locks"), 1, 1))
    assert caught.value.__notes__ == ["evaluating item 3: 3"]


def test_a_failure_is_raised_as_itself_or_kept() -> None:
    module = Double()
    module.evalset([1, None, 3])
    sharing = Here(Tree(module, "double"), 1, 1)
    with pytest.raises(TypeError) as caught:
        collected(module, 3, sharing)
    assert caught.value.__notes__ == ["evaluating item 1: None"]
    module.evalset([1, None, 3], on_error="keep")
    found = collected(module, 3, sharing, keeps_failures=True)
    assert found.results == {0: 2, 2: 6}
    assert isinstance(found.failures[1], TypeError)


def test_a_shard_that_has_no_result_says_which_items_were_lost() -> None:
    class Lost(Here):
        def next(self) -> ShardEnd:
            start, stop = self.open.pop()
            error = {"type": "ProcessLost", "message": "killed by SIGKILL"}
            return ShardEnd(start=start, stop=stop, error=error)

    module = Double()
    module.evalset(range(5))
    with pytest.raises(EvaluationLost, match="items 0 to 4: killed by SIGKILL"):
        collected(module, 5, Lost(Tree(module, "double"), 1, 1))


@given(
    item_s=st.floats(1e-6, 100),
    latency_s=st.floats(0, 100),
    slots=st.integers(0, 64),
    left=st.integers(1, 10**6),
)
def test_a_shard_takes_some_seconds_and_near_the_end_less(
    item_s: float, latency_s: float, slots: int, left: int
) -> None:
    size = shard_size(Rate(item_s=item_s, latency_s=latency_s), slots, left)
    assert size >= 1
    longest = max(SHARD_S, latency_s)
    assert size == 1 or (size - 1) * item_s <= longest
    if left * item_s > 100 * longest * max(1, slots):
        assert (size + 1) * item_s >= longest
