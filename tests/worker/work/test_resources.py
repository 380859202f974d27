"""A worker takes from the queues that what it has free can serve."""

from __future__ import annotations

from rootward.orchestrator.store.rq_compat import agent_queue, plain_queue, resource_queue
from rootward.worker.work.resources import Resources

GPU1 = resource_queue("p", {"gpu": 1})
GPU2 = resource_queue("p", {"gpu": 2})
BOTH = resource_queue("p", {"gpu": 1, "disk": 0.5})


def test_only_queues_whose_needs_are_all_offered_are_served() -> None:
    queues = [GPU1, GPU2, BOTH, plain_queue("p"), agent_queue("p", "w-1"), "p-v2-gpu1"]
    assert Resources("p", {"gpu": 1}).servable(queues) == [GPU1]
    assert Resources("p", {"gpu": 4}).servable(queues) == [GPU2, GPU1]
    assert Resources("p", {"gpu": 1, "disk": 1}).servable(queues) == [BOTH, GPU1]
    assert Resources("p", {}).servable(queues) == []


def test_what_is_held_is_not_free_until_it_is_released() -> None:
    resources = Resources("p", {"gpu": 2})
    holder = object()
    resources.hold(holder, {"gpu": 1})
    assert resources.servable([GPU1, GPU2]) == [GPU1]
    resources.release(holder)
    resources.release(holder)
    assert resources.servable([GPU1, GPU2]) == [GPU2, GPU1]
