"""Calls against scripted replicas: which one is asked, what is repeated, and what is not."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from rootward.modules.errors import CallError, Unavailable
from rootward.modules.rpc import client, connections, proof
from rootward.modules.rpc.endpoints import GONE, WHOLE, Endpoint, PushedRoutes
from tests.support.scripted_replica import (
    KEY,
    ScriptedReplica,
    breaking_off,
    counting,
    doubling,
    hanging_up,
    misdirected,
    refusing,
    refusing_busy,
)
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def replica() -> Iterator[Callable[..., ScriptedReplica]]:
    made: list[ScriptedReplica] = []

    def make(answer: Any = doubling) -> ScriptedReplica:
        made.append(ScriptedReplica(answer))
        return made[-1]

    yield make
    for each in made:
        with contextlib.suppress(OSError):
            each.close()


def routes_to(*replicas: ScriptedReplica) -> PushedRoutes:
    routes = PushedRoutes(KEY)
    routes.update({"a": [each.endpoint for each in replicas]})
    return routes


def test_connection_is_kept_between_calls(replica: Callable[..., ScriptedReplica]) -> None:
    routes = routes_to(replica())
    assert [client.call(routes, "a", (n,)) for n in range(20)] == [n * 2 for n in range(20)]
    assert connections._busy == {}


@pytest.mark.parametrize("answer", [hanging_up, breaking_off, misdirected])
def test_another_replica_is_asked_when_one_does_not_answer(
    replica: Callable[..., ScriptedReplica], answer: Any
) -> None:
    routes = routes_to(replica(answer), replica())
    assert [client.call(routes, "a", (n,)) for n in range(5)] == [0, 2, 4, 6, 8]


def test_misdirected_call_goes_on_even_if_it_may_not_be_repeated(
    replica: Callable[..., ScriptedReplica],
) -> None:
    """421 says that nothing of it was begun."""
    routes = routes_to(replica(misdirected), replica())
    assert client.call(routes, "a", (4,), repeatable=False) == 8


def test_call_that_may_have_begun_is_not_repeated_unasked(
    replica: Callable[..., ScriptedReplica],
) -> None:
    broken = replica(hanging_up)
    with pytest.raises(CallError, match="isn't repeatable"):
        client.call(routes_to(broken), "a", (4,), repeatable=False)
    assert broken.asked == 1


def test_call_that_ends_every_replica_is_given_up(
    replica: Callable[..., ScriptedReplica],
) -> None:
    killed = [replica(hanging_up) for _ in range(5)]
    with pytest.raises(CallError, match="3 replicas ended"):
        client.call(routes_to(*killed), "a", (4,))
    assert sum(each.asked for each in killed) == client.MAX_BEGUN


def test_call_is_held_until_a_replica_comes(replica: Callable[..., ScriptedReplica]) -> None:
    routes = PushedRoutes(KEY)
    threading.Timer(0.1, routes.update, [{"a": [replica().endpoint]}]).start()
    assert client.call(routes, "a", (4,), hold=10) == 8


def test_service_without_replica_is_unavailable_after_the_hold() -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"a: no replica .* within 0\.1 s"):
        client.call(PushedRoutes(KEY), "a", hold=0.1)
    assert time.monotonic() - began < 5


def test_a_call_of_what_is_not_on_its_way_is_refused_at_once() -> None:
    """Held for an hour, it would outlast this test."""
    routes = PushedRoutes(KEY)
    routes.update({WHOLE: [], "b": []})
    with pytest.raises(Unavailable, match="none is on its way"):
        client.call(routes, "a", hold=3600.0)
    with pytest.raises(Unavailable, match="within 0"):
        client.call(routes, "b", hold=0.1)


def test_refused_connection_is_held_and_told(replica: Callable[..., ScriptedReplica]) -> None:
    gone = replica()
    routes = routes_to(gone)
    gone.close()
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
        client.call(routes, "a", hold=0.1)


def test_answer_that_takes_too_long_is_a_time_out(
    replica: Callable[..., ScriptedReplica],
) -> None:
    silent = replica(lambda connection, body, token: None)
    with pytest.raises(TimeoutError, match=r"0\.1 s"):
        client.call(routes_to(silent), "a", timeout=0.1)
    assert connections._busy == {}


def test_refusal_is_an_error_that_says_why(replica: Callable[..., ScriptedReplica]) -> None:
    with pytest.raises(CallError, match="TooLarge: too much"):
        client.call(routes_to(replica(refusing)), "a")


def test_stream_gives_every_item(replica: Callable[..., ScriptedReplica]) -> None:
    routes = routes_to(replica(counting(50, is_whole=True)))
    for _ in range(2):
        assert list(client.stream(routes, "a")) == list(range(50))
    assert connections._busy == {}


def test_stream_that_breaks_off_is_an_error(replica: Callable[..., ScriptedReplica]) -> None:
    items: list[int] = []
    with pytest.raises(CallError, match="broke off after 3 items"):
        items.extend(client.stream(routes_to(replica(counting(3, is_whole=False))), "a"))


def test_forgotten_stream_is_no_call_under_way(replica: Callable[..., ScriptedReplica]) -> None:
    routes = routes_to(replica(counting(50, is_whole=True)))
    forgotten = client.call(routes, "a")
    assert len(connections._busy) == 1
    [peer] = {connection.peer for held in connections._busy.values() for connection in held}
    del forgotten
    assert connections._busy == {}
    assert not connections._idle.get(peer), "the rest of the stream would be the next call's answer"


@pytest.mark.parametrize("ended_by", ["closing", "an error of the reader", "forgetting"])
def test_the_connection_of_an_abandoned_stream_is_not_used_again(
    replica: Callable[..., ScriptedReplica], ended_by: str
) -> None:
    """What is left of the stream would be taken for the answer of the next call."""
    routes = routes_to(replica(counting(50, is_whole=True)))
    items = client.call(routes, "a")
    assert next(items) == 0
    if ended_by == "closing":
        items.close()
    elif ended_by == "an error of the reader":
        with pytest.raises(ZeroDivisionError):
            items.throw(ZeroDivisionError)
    del items
    assert not any(connections._idle.get(peer) for peer in peers(routes))
    assert list(client.stream(routes, "a")) == list(range(50))
    assert all(len(connections._idle[peer]) == 1 for peer in peers(routes))


def peers(routes: PushedRoutes) -> list[connections.Peer]:
    return [
        connections.Peer(*connections.place(each.url)[:2], each.token)
        for each in routes.endpoints("a")
    ]


class NeverEjecting(PushedRoutes):
    """Has every endpoint back at once, as a table that is pushed again and again does."""

    def eject(self, path: str, endpoint: Endpoint) -> None:
        """Leave nothing out."""


@pytest.mark.parametrize("answer", [misdirected, refusing_busy])
def test_free_repeats_end_with_the_hold(
    replica: Callable[..., ScriptedReplica], answer: Any
) -> None:
    routes = NeverEjecting(KEY)
    routes.update({"a": [replica(answer).endpoint for _ in range(3)]})
    with pytest.raises(Unavailable, match=r"within 0\.2 s"):
        client.call(routes, "a", (4,), hold=0.2)


def test_each_replica_is_asked_once_whatever_the_hold(
    replica: Callable[..., ScriptedReplica],
) -> None:
    routes = NeverEjecting(KEY)
    busy = [replica(misdirected) for _ in range(3)]
    routes.update({"a": [each.endpoint for each in [*busy, replica()]]})
    assert [client.call(routes, "a", (n,), hold=0.0) for n in range(10)] == list(range(0, 20, 2))


def test_plain_answer_is_a_stream_of_one(replica: Callable[..., ScriptedReplica]) -> None:
    assert list(client.stream(routes_to(replica()), "a", (4,))) == [8]


def test_less_busy_replica_gets_the_call(replica: Callable[..., ScriptedReplica]) -> None:
    busy, idle = replica(), replica()
    held = [connections.connect(busy.endpoint.url, busy.token) for _ in range(3)]
    for each in held:
        each.occupy()
    for n in range(10):
        client.call(routes_to(busy, idle), "a", (n,))
    for each in held:
        each.vacate()
        each.close()
    assert (busy.asked, idle.asked) == (0, 10)


def test_a_stranger_at_the_address_gets_neither_token_nor_call(
    replica: Callable[..., ScriptedReplica],
) -> None:
    """The port of a dead replica may be anybody's; who has its record back in the table, too."""
    stranger, ours = replica(), replica()
    stranger.key = b"guessed" * 5
    routes = routes_to(stranger, ours)
    assert [client.call(routes, "a", (n,), repeatable=False) for n in range(20)] == [
        n * 2 for n in range(20)
    ]
    assert stranger.asked == 0
    assert stranger.token.encode() not in stranger.raw


def test_a_proof_that_another_replica_has_made_proves_nothing(
    replica: Callable[..., ScriptedReplica],
) -> None:
    """What a stranger passes on to a replica that lives is answered for that one's own token."""
    stranger = replica()
    known = stranger.endpoint
    stranger.token = "the token of the one that it asks"
    routes = PushedRoutes(KEY)
    routes.update({"a": [known]})
    with pytest.raises(Unavailable, match="isn't the replica"):
        client.call(routes, "a", (1,), hold=0.1)
    assert stranger.asked == 0


def test_what_never_proves_anything_is_left_when_the_time_of_the_call_is_over(
    replica: Callable[..., ScriptedReplica], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "TIMEOUT_S", 0.1)
    silent, ours = socket.create_server(("127.0.0.1", 0)), replica()
    with silent:
        dead = Endpoint(f"http://127.0.0.1:{silent.getsockname()[1]}", "t", "t")
        routes = PushedRoutes(KEY)
        routes.update({"a": [dead]})
        with pytest.raises(TimeoutError, match=r"0\.05 s"):
            client.call(routes, "a", (1,), timeout=0.05)
        routes.update({"a": [dead, ours.endpoint]})
        assert client.call(routes, "a", (4,)) == 8
    assert connections._busy == {}


def silent(connection: socket.socket, body: bytes, token: str) -> None:
    """Answer as a host does that has vanished: never."""
    del body, token
    connection.recv(1)


def test_a_call_is_sent_again_when_the_registry_says_that_its_replica_is_gone() -> None:
    lost, there = ScriptedReplica(silent), ScriptedReplica(doubling)
    with contextlib.closing(lost), contextlib.closing(there):
        routes = PushedRoutes(KEY)
        routes.update({"m": [lost.endpoint]})
        answers: list[Any] = []
        caller = threading.Thread(target=lambda: answers.append(client.call(routes, "m", (4,))))
        caller.start()
        wait_until(lambda: lost.asked == 1, description="the call is under way")
        routes.update({"m": [there.endpoint]})
        assert caller.is_alive(), "one that isn't ready for a while goes on with its calls"
        routes.update({"m": [there.endpoint], GONE: [lost.endpoint]})
        caller.join(10)
        assert answers == [8]
        assert client.busy(lost.token) == client.busy(there.token) == 0


def test_what_may_not_be_repeated_ends_with_the_registrys_word() -> None:
    with contextlib.closing(ScriptedReplica(silent)) as lost:
        routes = PushedRoutes(KEY)
        routes.update({"m": [lost.endpoint]})
        raised: list[BaseException] = []

        def call() -> None:
            try:
                client.call(routes, "m", (4,), repeatable=False)
            except CallError as error:
                raised.append(error)

        caller = threading.Thread(target=call)
        caller.start()
        wait_until(lambda: lost.asked == 1, description="the call is under way")
        routes.update({GONE: [lost.endpoint]})
        caller.join(10)
        assert "the registry says that it is gone" in str(raised[0])


def test_the_kernel_notices_a_host_that_vanished() -> None:
    with contextlib.closing(ScriptedReplica(doubling)) as replica:
        connection = connections.connect(replica.endpoint.url, replica.token)
        sock = connection._sock
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
        connection.close()
