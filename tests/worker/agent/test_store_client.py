"""Calls of the store run in order, and wait for a Redis that is away."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from rootward.worker.agent.store_client import StoreClient, StoreLock, will_pass


def test_a_later_call_never_overtakes_one_that_is_repeated() -> None:
    order: list[str] = []

    def flaky() -> str:
        order.append("try")
        if len(order) < 3:
            raise RedisConnectionError("away")
        return "done"

    async def main() -> None:
        link = StoreClient(asyncio.get_running_loop())
        first = asyncio.ensure_future(link.insist(flaky))
        second = asyncio.ensure_future(link.insist(lambda: order.append("second")))
        assert await first == "done"
        await second
        link.close()

    asyncio.run(main())
    assert order == ["try", "try", "try", "second"]


def test_what_waiting_doesnt_mend_is_raised() -> None:
    def wrong() -> None:
        raise ResponseError("wrong type")

    async def main() -> None:
        link = StoreClient(asyncio.get_running_loop())
        with pytest.raises(ResponseError):
            await link.insist(wrong)
        link.close()
        with pytest.raises(ConnectionAbortedError):
            await link.insist(lambda: None)

    asyncio.run(main())


@pytest.mark.parametrize("message", ["MISCONF no space left", "NOREPLICAS not enough", "BUSY now"])
def test_a_server_in_trouble_is_waited_for(message: str) -> None:
    assert will_pass(ResponseError(message))
    assert not will_pass(ResponseError("ERR unknown command"))


def test_turns_are_taken_in_order_and_one_that_is_given_up_is_passed_on() -> None:
    order: list[str] = []

    async def main() -> None:
        turn = StoreLock(asyncio.get_running_loop())
        assert turn.take_now()

        async def wait(name: str) -> None:
            async with turn:
                order.append(name)
                assert not turn.take_now()

        first, second, third, last = (asyncio.ensure_future(wait(name)) for name in "abcd")
        await asyncio.sleep(0)
        third.cancel()
        turn.give()
        # It was given the turn, and hasn't seen it yet.
        first.cancel()
        await second
        await last
        assert turn.take_now()

    asyncio.run(main())
    assert order == ["b", "d"]
