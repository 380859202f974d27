"""Calls to replicas that have gone without a word: the registry's word ends or repeats them."""

from __future__ import annotations

import asyncio
import socket

from rootward.orchestrator.gateway.proxy import prover
from rootward.orchestrator.gateway.proxy import replica as upstream
from tests.support.doors import CALL, TIMEOUT_S, Gate, House, run, until


def test_calls_to_a_replica_that_is_gone_are_sent_to_another() -> None:
    async def scenario() -> None:
        async with House(hold_s=TIMEOUT_S) as house:
            lost, there = await house.replica("r1", Gate()), await house.replica("r2")
            house.serve("app/echo", lost)
            calls = [asyncio.create_task(house.post(CALL)) for _ in range(3)]
            await until(lambda: len(lost.requests) == 3)
            house.serve("app/echo", there)
            house.table.gone({"another"})
            house.table.gone({"r1"})
            assert {(await call).body for call in calls} == {b"r2"}

    run(scenario)


def test_what_may_not_be_repeated_is_502() -> None:
    async def scenario() -> None:
        async with House(hold_s=TIMEOUT_S) as house:
            lost = await house.replica("r1", Gate())
            house.serve("app/echo", lost, repeatable=False)
            call = asyncio.create_task(house.post(CALL))
            await until(lambda: len(lost.requests) == 1)
            house.table.gone({"r1"})
            assert (await call).status == 502

    run(scenario)


def test_calls_of_a_service_that_was_removed_meanwhile_end_too() -> None:
    async def scenario() -> None:
        async with House(hold_s=TIMEOUT_S) as house:
            lost = await house.replica("r1", Gate())
            house.serve("app/echo", lost)
            call = asyncio.create_task(house.post(CALL))
            await until(lambda: len(lost.requests) == 1)
            house.table.put("app", [])
            house.table.gone({"r1"})
            assert (await call).status in {502, 503}

    run(scenario)


def test_a_replica_that_leaves_in_order_ends_its_calls() -> None:
    async def scenario() -> None:
        async with House(hold_s=TIMEOUT_S) as house:
            gate = Gate()
            leaving, there = await house.replica("r1", gate), await house.replica("r2")
            house.serve("app/echo", leaving)
            call = asyncio.create_task(house.post(CALL))
            await until(lambda: len(leaving.requests) == 1)
            house.serve("app/echo", there)
            house.table.gone({"r3"})
            gate.opened.set()
            assert (await call).body == b"r1"

    run(scenario)


def test_the_kernel_notices_a_host_that_vanished() -> None:
    async def scenario() -> None:
        async with House() as house:
            there = await house.replica("r1")
            replica = upstream.UpstreamReplica(there.view, "", None)
            connection = await prover.connect(replica, TIMEOUT_S)
            sock = connection.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
            connection.close()

    run(scenario)
