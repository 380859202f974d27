"""The connections: clear and quick errors, no password shown, a client for each purpose."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.errors import NoRedis
from rootward.orchestrator.store.connection import Clients, check

if TYPE_CHECKING:
    from pathlib import Path


def test_a_server_that_answers_passes(redis_url: str) -> None:
    check(redis_url)


def test_no_server_is_told_within_a_second(tmp_path: Path) -> None:
    for url in (f"unix://{tmp_path}/none", "redis://user:secret@127.0.0.1:1/0"):
        began = time.monotonic()
        with pytest.raises(NoRedis) as caught:
            check(url)
        # A second, and what a loaded machine adds.
        assert time.monotonic() - began < 10.0
        assert "secret" not in str(caught.value)
        assert "rootward up" in str(caught.value)


def test_a_server_that_never_answers_is_told_within_a_second() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(NoRedis):
            check(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - began < 10.0


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(NoRedis, match="no address"):
        check("http://example.org")


def test_each_client_waits_and_repeats_as_its_purpose_wants(redis_url: str) -> None:
    clients = Clients(redis_url, name="rootward-test")
    try:
        assert clients.scripts.client_getname() == "rootward-test"
        heart = clients.heartbeat.connection_pool
        assert heart.max_connections == 1
        blocking = clients.blocking.connection_pool.connection_kwargs
        assert blocking["socket_timeout"] > 5
        assert clients.heartbeat.ping()
    finally:
        clients.close()
        clients.close()


def test_sentinels_are_named_in_the_address() -> None:
    clients = Clients("sentinel://user:pw@one:26379,two:26380/service?db=3")
    kwargs = clients.scripts.connection_pool.connection_kwargs
    assert (kwargs["db"], kwargs["password"]) == (3, "pw")
    clients.close()
