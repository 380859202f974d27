"""PushedRoutes: what is pushed is seen at once, and an ejection is short."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rootward.modules.rpc import endpoints as routes_module
from rootward.modules.rpc.endpoints import Endpoint, PushedRoutes

if TYPE_CHECKING:
    import pytest

ONE = Endpoint("http://127.0.0.1:1", "t1", "r1")
TWO = Endpoint("http://127.0.0.1:2", "t2", "r2")


def test_update_replaces_the_table() -> None:
    routes = PushedRoutes(b"key")
    routes.update({"a": [ONE, TWO]})
    assert routes.endpoints("a") == (ONE, TWO)
    routes.update({"b": [list(TWO)]})
    assert routes.endpoints("a") == ()
    assert routes.endpoints("b") == (TWO,)


def test_wait_returns_when_the_table_changes() -> None:
    routes = PushedRoutes(b"key")
    threading.Timer(0.05, routes.update, [{"a": [ONE]}]).start()
    assert routes.wait("a", (), timeout=10) == (ONE,)


def test_wait_ends_at_its_time_out() -> None:
    assert PushedRoutes(b"key").wait("a", (), timeout=0.02) == ()


def test_ejected_endpoint_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_module, "EJECTION_S", 0.05)
    routes = PushedRoutes(b"key")
    routes.update({"a": [ONE]})
    routes.eject("a", ONE)
    assert routes.endpoints("a") == ()
    assert routes.wait("a", (), timeout=10) == (ONE,)
