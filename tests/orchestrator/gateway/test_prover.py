"""What a gateway sends to an address before it knows who listens there."""

from __future__ import annotations

from tests.support.doors import CALL, House, Replica, answer_of, run


def test_a_stranger_at_the_address_gets_neither_token_nor_call() -> None:
    async def scenario() -> None:
        async with House() as house:
            stranger, ours = await house.replica("stranger"), await house.replica("ours")
            stranger.key = b"guessed" * 5
            house.serve("app/echo", stranger, ours)
            replies = [await house.post(CALL) for _ in range(20)]
            assert [reply.body for reply in replies] == [b"ours"] * 20
            assert stranger.requests == []

    run(scenario)


def test_a_stranger_alone_is_no_replica() -> None:
    async def scenario() -> None:
        async with House(hold_s=0.2) as house:
            for number, said in enumerate(
                (b"HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n", b"\0" * 9999)
            ):
                stranger = await house.replica(f"stranger{number}")
                stranger.greeting = said
                house.serve("app/echo", stranger)
                reply = await house.post(CALL)
                assert reply.status == 503
                assert stranger.requests == []

    run(scenario)


def test_a_proof_is_asked_once_a_connection() -> None:
    async def scenario() -> None:
        asked: list[bytes] = []

        async def answer(replica: Replica, request: bytes, writer: object) -> None:
            asked.append(request)
            writer.write(answer_of(b"fine"))  # type: ignore[attr-defined]

        async with House() as house:
            replica = await house.replica("ours", answer)
            house.serve("app/echo", replica)
            for _ in range(5):
                assert (await house.post(CALL)).body == b"fine"
            assert len(asked) == 5
            assert replica.proofs == 1

    run(scenario)
