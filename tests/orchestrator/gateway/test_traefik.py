"""What is written for Traefik: entries of services, and only what differs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from rootward.orchestrator.gateway.proxy.views import EndpointView, ServiceView
from rootward.orchestrator.gateway.traefik import Publisher, entries

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as server:
        yield server


def view(path: str, *hosts: str, repeatable: bool = True) -> ServiceView:
    endpoints = tuple(
        EndpointView(host=host, port=80 + number, token="t", replica=f"r{number}", worker="w")
        for number, host in enumerate(hosts)
    )
    return ServiceView(
        path=path,
        deployment=path.partition("/")[0],
        generation=1,
        wanted=1,
        endpoints=endpoints,
        repeatable=repeatable,
        call_token="call-token",
    )


def values_of(found: dict[str, str], part: str) -> list[str]:
    return [value for key, value in sorted(found.items()) if part in key]


def test_a_service_becomes_a_route_that_takes_nothing_else() -> None:
    found = entries([view("app/echo", "127.0.0.1", "127.0.0.1")])
    assert values_of(found, "/rule") == [
        "Path(`/services/app/echo`) || PathPrefix(`/services/app/echo/`)"
    ]
    assert values_of(found, "/url") == ["http://127.0.0.1:80", "http://127.0.0.1:81"]
    assert not values_of(found, "Authorization")
    assert values_of(found, "/passHostHeader") == ["false"]


def test_replicas_off_loopback_get_the_token_of_the_deployment() -> None:
    assert values_of(entries([view("app", "10.0.0.7")]), "Authorization") == ["Bearer call-token"]


def test_a_foreign_server_gets_no_token_and_is_asked_for_nothing_of_ours() -> None:
    found = entries([replace(view("app", "10.0.0.7"), is_foreign=True)])
    assert not values_of(found, "Authorization")
    assert not values_of(found, "/healthCheck/")


def test_what_may_not_be_repeated_is_not() -> None:
    assert not values_of(entries([view("app", "127.0.0.1", repeatable=False)]), "/retry/")


def test_something_stays_when_nothing_is_served() -> None:
    assert len(entries([])) == 1
    assert entries([view("app")]) == entries([])


def test_only_what_differs_is_written_and_what_is_gone_removed(server: Redis, prefix: str) -> None:
    publisher = Publisher(server, prefix)
    server.set(f"{prefix}/http/routers/another/rule", "not ours")
    both = entries([view("one", "127.0.0.1"), view("two", "127.0.0.1")], prefix)
    assert publisher.publish(both) == len(both)
    assert publisher.publish(both) == 0
    one = entries([view("one", "127.0.0.1")], prefix)
    assert publisher.publish(one) == len(both) - len(one)
    there = {key.decode() for key in server.scan_iter(f"{prefix}/*")}
    assert there == {*one, f"{prefix}/http/routers/another/rule"}
    for key in there:
        server.delete(key)
