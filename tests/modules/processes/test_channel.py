"""Channels carry messages and descriptors in order, whole, and say when the other side has gone."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from typing import Any

from rootward.modules.processes import channel


def test_messages_arrive_in_order_with_their_descriptors() -> None:
    ours, theirs = channel.pair()
    other = channel.Channel(theirs)
    reading, writing = os.pipe()
    ours.send({"n": 1})
    ours.send({"n": 2}, [writing])
    ours.send({"n": 3})
    os.close(writing)
    received = [other.recv() for _ in range(3)]
    assert [item and item[0] for item in received] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert received[1] is not None
    (fd,) = received[1][1]
    os.write(fd, b"x")
    assert os.read(reading, 1) == b"x"
    os.close(fd)
    os.close(reading)
    ours.close()
    assert other.recv() is None
    other.close()


def test_large_bytes_are_sent_as_they_are_without_a_copy() -> None:
    large = bytes(range(256)) * (1 << 14)

    async def scenario() -> dict[str, Any]:
        ours, theirs = channel.pair()
        ours.attach(asyncio.get_running_loop(), lambda *_: None, lambda: None)
        tracemalloc.start()
        try:
            ours.send({"op": "load", "tree": large, "folder": None})
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < len(large) / 8
        other = channel.Channel(theirs)
        message, _ = await asyncio.to_thread(other.recv) or ({}, [])
        other.close()
        ours.close()
        return message

    assert asyncio.run(scenario()) == {"op": "load", "tree": large, "folder": None}


def test_attached_channel_never_blocks_on_a_slow_reader() -> None:
    """Megabytes wait in the sender until the other side reads."""

    async def scenario() -> list[int]:
        ours, theirs = channel.pair()
        received: list[int] = []
        done = asyncio.Event()
        ours.attach(asyncio.get_running_loop(), lambda *_: None, lambda: None)
        for _ in range(20):
            ours.send({"data": bytes(300_000)})
        other = channel.Channel(theirs)

        def took(message: dict[str, Any], fds: list[int]) -> None:
            received.append(len(message["data"]))
            if len(received) == 20:
                done.set()

        other.attach(asyncio.get_running_loop(), took, done.set)
        await asyncio.wait_for(done.wait(), 10)
        ours.close()
        other.close()
        return received

    assert asyncio.run(scenario()) == [300_000] * 20


def test_end_is_told_after_the_last_message() -> None:
    async def scenario() -> list[Any]:
        ours, theirs = channel.pair()
        heard: list[Any] = []
        ended = asyncio.Event()
        ours.attach(
            asyncio.get_running_loop(), lambda message, fds: heard.append(message), ended.set
        )
        other = channel.Channel(theirs)
        other.send({"last": True})
        other.close()
        await asyncio.wait_for(ended.wait(), 10)
        return heard

    assert asyncio.run(scenario()) == [{"last": True}]


def test_forked_child_does_not_keep_the_channel_open() -> None:
    ours, theirs = channel.pair()
    other = channel.Channel(theirs)
    gate_reading, gate_writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(gate_reading, 1)
        os._exit(0)
    try:
        ours.close()
        assert other.recv() is None
    finally:
        os.write(gate_writing, b"x")
        os.waitpid(pid, 0)
        os.close(gate_reading)
        os.close(gate_writing)
        other.close()
