"""A worker takes from the queues that what it has free can serve; devices end with processes."""

from __future__ import annotations

import asyncio
import sys

from rootward.orchestrator.store.rq_compat import agent_queue, plain_queue, resource_queue
from rootward.worker.devices.allocation import DevicePool
from rootward.worker.devices.resources import Holder, Resources

GPU1 = resource_queue("p", {"gpu": 1})
GPU2 = resource_queue("p", {"gpu": 2})
BOTH = resource_queue("p", {"gpu": 1, "disk": 0.5})
HOLDER = Holder(deployment="d", generation=1, module="d/m", kind="train")


def resources(**amounts: float) -> Resources:
    """Return the resources of a worker with these amounts."""
    return Resources("p", {name: DevicePool.counted(amount) for name, amount in amounts.items()})


def test_only_queues_whose_needs_are_all_offered_are_served() -> None:
    queues = [GPU1, GPU2, BOTH, plain_queue("p"), agent_queue("p", "w-1"), "p-v2-gpu1"]
    assert resources(gpu=1).servable(queues) == [GPU1]
    assert resources(gpu=4).servable(queues) == [GPU2, GPU1]
    assert resources(gpu=1, disk=1).servable(queues) == [BOTH, GPU1]
    assert resources().servable(queues) == []


def test_large_amounts_and_names_that_end_in_a_digit_are_read_as_they_were_written() -> None:
    large, plain = resource_queue("p", {"memory": 2_000_000}), resource_queue("p", {"a": 1001})
    digit = resource_queue("p", {"a100": 1})
    assert resources(memory=3_000_000).needs(large) == {"memory": 2_000_000}
    assert resources(a100=2).needs(digit) == {"a100": 1}
    assert resources(a=5000).needs(digit) is None
    assert resources(a=5000).needs(plain) == {"a": 1001}


def test_what_is_held_is_not_free_until_it_is_given_back() -> None:
    offered = resources(gpu=2)
    told: list[str] = []
    offered.on_free = lambda: told.append("free")
    holding = offered.hold({"gpu": 1}, HOLDER)
    assert holding is not None
    assert offered.servable([GPU1, GPU2]) == [GPU1]
    assert offered.hold({"gpu": 2}, HOLDER) is None
    (row,) = offered.described()
    assert (row["resource"], row["devices"], row["module"]) == ("gpu", {"0": 1.0}, "d/m")
    holding.end()
    holding.end()
    assert offered.servable([GPU1, GPU2]) == [GPU2, GPU1]
    assert offered.described() == ()
    assert told == ["free"]


def test_a_device_is_free_when_its_process_is_gone_and_not_before() -> None:
    async def course() -> None:
        offered, freed = resources(gpu=1), asyncio.Event()
        offered.on_free = freed.set
        holding = offered.hold({"gpu": 1}, HOLDER)
        assert holding is not None
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE
        )
        holding.end(process.pid)
        assert offered.hold({"gpu": 1}, HOLDER) is None
        process.kill()
        async with asyncio.timeout(30):
            await freed.wait()
        await process.wait()
        assert offered.hold({"gpu": 1}, HOLDER) is not None

    asyncio.run(course())
