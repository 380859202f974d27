"""The process of a replica: ready only when it serves, told apart from others, drained in order."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
import time
from typing import Any
from urllib.request import urlopen

import pytest

from rootward.modules import ModuleBase, ServerModule
from rootward.modules.errors import CallError
from rootward.modules.rpc import client
from rootward.modules.rpc.endpoints import PushedRoutes
from rootward.modules.state import state_log
from rootward.modules.tree import Tree
from tests.support.hosted import KEY, TIMEOUT_S, Owner
from tests.support.served import BadSetup
from tests.support.waiting import wait_until


class Service(ModuleBase):
    """Serves what its state says, after a wait if asked to."""

    def __init__(self) -> None:
        super().__init__(name="service")
        self.m = ServerModule(Slow())


class Slow(ModuleBase):
    """Answers with the state that it has."""

    word = "first"

    def setup(self) -> None:
        self.loaded = f"loaded {self.word}"

    def forward(self, wait_s: float = 0) -> tuple[str, str]:
        threading.Event().wait(wait_s)
        return self.loaded, self.word


PATH = "service/m"


def changed(word: str) -> bytes:
    """Return the state entry of a task that has set the word."""
    tree = Tree(Service(), "service")
    with state_log.Recorder(tree, "service", 1 << 20) as recorder:
        tree.module_at("service/m/m").word = word
    (entry,) = recorder.changes()
    return entry


def routes_to(owner: Owner, token: str) -> PushedRoutes:
    routes = PushedRoutes(KEY)
    routes.update({PATH: [[f"http://127.0.0.1:{owner.port}", token, "r"]]})
    return routes


async def ask(routes: PushedRoutes, *args: Any) -> Any:
    async with asyncio.timeout(TIMEOUT_S):
        return await asyncio.to_thread(client.call, routes, PATH, args, hold=0.5)


def calls_under_way(owner: Owner) -> int:
    """Return how many calls the replica says that it runs."""
    with urlopen(f"http://127.0.0.1:{owner.port}/metrics", timeout=TIMEOUT_S) as answer:
        found = re.search(rb"^rootward_calls_in_flight\{.*\} (\d+)", answer.read(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_states_are_there_before_setup_and_can_follow() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            template = await owner.load(Service())
            heard, spec = owner.replica(template, PATH, states=(changed("second"),))
            assert await heard.next() == {"event": "ready"}
            routes = routes_to(owner, spec.token)
            assert await ask(routes) == ("loaded second", "second")
            heard.child.send({"op": "states", "states": [changed("third")]})
            assert await heard.next() == {"event": "states_applied"}
            assert await ask(routes) == ("loaded second", "third")

    asyncio.run(scenario())


class Greedy(ModuleBase):
    """Calls what is served below it while it is set up."""

    def __init__(self) -> None:
        super().__init__(name="greedy")
        self.below = ServerModule(Slow())

    def setup(self) -> None:
        print("asks")
        self.heard = self.below()

    def forward(self) -> tuple[str, str]:
        return self.heard


def test_a_call_in_setup_waits_for_a_replica_on_its_way() -> None:
    """As it may be set up before what is below it is there."""

    async def scenario() -> None:
        async with Owner() as owner:
            template = await owner.load(ServerModule(Greedy(), name="top"))
            above, spec = owner.replica(template, "top", table={"top/greedy/below": []})
            address = owner.port
            below, child = owner.replica(template, "top/greedy/below")
            assert await below.next() == {"event": "ready"}
            assert above.messages.empty()
            table = {"top/greedy/below": [[f"http://127.0.0.1:{owner.port}", child.token, "r"]]}
            above.child.send({"op": "routes", "table": table})
            assert await above.next() == {"event": "ready"}
            routes = PushedRoutes(KEY)
            routes.update({"top": [[f"http://127.0.0.1:{address}", spec.token, "r"]]})
            answer = await asyncio.to_thread(client.call, routes, "top", hold=0.5)
            assert answer == ("loaded first", "first")

    asyncio.run(scenario())


def test_ping_is_answered_while_a_call_runs() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            heard, spec = owner.replica(await owner.load(Service()), PATH)
            await heard.next()
            call = asyncio.create_task(ask(routes_to(owner, spec.token), 0.5))
            heard.child.send({"op": "ping", "n": 7})
            assert await heard.next() == {"event": "pong", "n": 7}
            await call

    asyncio.run(scenario())


class Stuck(ModuleBase):
    """Blocks the event loop that runs it."""

    async def forward(self, wait_s: float) -> float:
        threading.Event().wait(wait_s)
        return wait_s


def test_ping_is_answered_while_a_call_blocks_the_loop_and_says_so() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            template = await owner.load(ServerModule(Stuck(), name="stuck"))
            heard, spec = owner.replica(template, "stuck")
            await heard.next()
            routes = PushedRoutes(KEY)
            routes.update({"stuck": [[f"http://127.0.0.1:{owner.port}", spec.token, "r"]]})
            call = asyncio.create_task(
                asyncio.to_thread(client.call, routes, "stuck", (1.5,), hold=0.5)
            )
            blocked_s = 0.0
            for number in range(1000):
                heard.child.send({"op": "ping", "n": number})
                said = await heard.next()
                assert said["n"] == number
                blocked_s = max(blocked_s, said.get("loop_s", 0.0))
                if call.done():
                    break
                await asyncio.to_thread(threading.Event().wait, 0.1)
            assert await call == 1.5
            assert 0.8 < blocked_s < 1.6

    asyncio.run(scenario())


def test_a_thread_that_runs_a_call_beyond_its_limit_ends_the_process_after_the_answer() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            template = await owner.load(Service())
            heard, spec = owner.replica(template, PATH, call_timeout=0.3)
            await heard.next()
            with pytest.raises(CallError, match=r"call_timeout of 0\.3 s"):
                await ask(routes_to(owner, spec.token), 60)
            ending = await heard.next()
            assert ending["event"] == "ending"
            assert "call_timeout of 0.3 s" in ending["reason"]
            assert await heard.ended() == 1 << 8

    asyncio.run(scenario())


def test_calls_within_their_limit_go_on() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            template = await owner.load(Service())
            heard, spec = owner.replica(template, PATH, call_timeout=30.0)
            await heard.next()
            assert (await ask(routes_to(owner, spec.token), 0.2))[1] == "first"
            assert calls_under_way(owner) == 0

    asyncio.run(scenario())


def test_drain_finishes_calls_and_refuses_new_ones() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            heard, spec = owner.replica(await owner.load(Service()), PATH)
            await heard.next()
            routes = routes_to(owner, spec.token)
            await ask(routes)
            call = asyncio.create_task(ask(routes, 0.5))
            await asyncio.to_thread(threading.Event().wait, 0.1)
            heard.child.send({"op": "drain", "grace": 5})
            assert (await call)[1] == "first"
            assert await heard.ended() == 0

    asyncio.run(scenario())


def test_failed_setup_is_told_and_ends_the_process() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            template = await owner.load(ServerModule(BadSetup(), name="bad"))
            heard, _ = owner.replica(template, "bad")
            failed = await heard.next()
            assert failed["event"] == "failed"
            assert failed["error"]["type"] == "FileNotFoundError"
            assert await heard.ended() == 1 << 8
            assert heard.output[1] == b"reading the weights\n"

    asyncio.run(scenario())


def test_lease_that_is_not_renewed_ends_the_replica() -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            heard, _ = owner.replica(await owner.load(Service()), PATH)
            await heard.next()
            heard.child.send({"op": "ping", "n": 1, "ttl": 0.1})
            assert await heard.ended() is not None

    asyncio.run(scenario())


def test_what_was_asked_in_time_is_not_answered_after_the_lease() -> None:
    """A process that is stopped goes on where it was, when another has long taken over."""

    async def scenario() -> None:
        async with Owner() as owner:
            heard, spec = owner.replica(await owner.load(Service()), PATH)
            await heard.next()
            assert heard.child.pid is not None
            routes = routes_to(owner, spec.token)
            calls = [asyncio.create_task(ask(routes, 2.0)) for _ in range(4)]
            await asyncio.to_thread(
                wait_until, lambda: calls_under_way(owner) == 4, description="all are under way"
            )
            heard.child.send({"op": "ping", "n": 1, "ttl": 0.5})
            await heard.next()
            os.kill(heard.child.pid, signal.SIGSTOP)
            over = time.monotonic() + 2.5
            await asyncio.to_thread(
                wait_until, lambda: time.monotonic() > over, description="lease and calls are over"
            )
            os.kill(heard.child.pid, signal.SIGCONT)
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert [each for each in answers if not isinstance(each, Exception)] == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("given", "status"), [(None, 401), ("Bearer no", 401), ("Bearer yes", 200)]
)
def test_off_loopback_the_call_token_is_required(given: str | None, status: int) -> None:
    async def scenario() -> None:
        async with Owner() as owner:
            heard, _ = owner.replica(
                await owner.load(Service()), PATH, host="0.0.0.0", call_token="yes"
            )
            await heard.next()
            reader, writer = await asyncio.open_connection("127.0.0.1", owner.port)
            sent = "" if given is None else f"Authorization: {given}\r\n"
            writer.write(
                f"POST /call HTTP/1.1\r\nHost: x\r\n{sent}Content-Length: 2\r\n"
                "Connection: close\r\n\r\n{}".encode()
            )
            async with asyncio.timeout(TIMEOUT_S):
                answer = await reader.read()
            writer.close()
            assert int(answer.split()[1]) == status

    asyncio.run(scenario())
