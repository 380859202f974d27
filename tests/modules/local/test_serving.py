"""A tree that is served without Redis, with real processes: every way to call it."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgpack
import numpy as np
import pytest

from rootward.modules import ModuleBase, ServerModule
from rootward.modules.errors import NotServed, RemoteError
from tests.support.served import (
    Above,
    AsyncCounting,
    AsyncTriple,
    Counting,
    OddInputError,
    Trained,
    Triple,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def odd_numbers(_: Any) -> Any:
    """Return numbers that JSON doesn't have."""
    nan, inf = float("nan"), float("inf")
    return {"a": [1.5, nan, (inf, -inf)], "b": np.array([1.0, nan]), "c": np.float64("nan")}


def odd_items(_: Any) -> Iterator[Any]:
    """Yield them."""
    yield odd_numbers(0)


class Home(BaseException):
    """Is no Exception."""


WAYS_OUT: dict[str, BaseException] = {
    "SystemExit": SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "GeneratorExit": GeneratorExit(),
    "CancelledError": asyncio.CancelledError(),
    "Home": Home("go"),
}


class Leaving(ModuleBase):
    """Raises what is no Exception."""

    def forward(self, name: str) -> None:
        raise WAYS_OUT[name]


class LeavingLater(ModuleBase):
    """The same from a coroutine."""

    async def forward(self, name: str) -> None:
        raise WAYS_OUT[name]


class LeavingStream(ModuleBase):
    """The same after an item."""

    def forward(self, name: str) -> Iterator[int]:
        yield 1
        raise WAYS_OUT[name]


class Everything(ModuleBase):
    """One module of each kind."""

    def __init__(self) -> None:
        super().__init__(name="everything")
        self.triple = ServerModule(Triple())
        self.counting = ServerModule(Counting(), stream=True)
        self.later = ServerModule(AsyncTriple())
        self.later_stream = ServerModule(AsyncCounting())
        self.above = ServerModule(Above())
        self.trained = ServerModule(Trained())
        self.odd = ServerModule(odd_numbers)
        self.odd_stream = ServerModule(odd_items, stream=True)
        self.leaving = ServerModule(Leaving())
        self.leaving_later = ServerModule(LeavingLater())
        self.leaving_stream = ServerModule(LeavingStream(), stream=True)
        self.function = ServerModule(lambda text: {"text": text.upper()}, replicas=2)


@pytest.fixture(scope="module")
def tree() -> Iterator[Everything]:
    tree = Everything()
    tree.update()
    yield tree
    tree.stop()
    with pytest.raises(NotServed):
        tree.triple(1)


def ask(
    module: ServerModule,
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> tuple[int, str, bytes]:
    assert module._runtime is not None
    assert module._runtime.routes is not None
    url = module._runtime.routes.endpoints(module._runtime.path)[0].url
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers.get_content_type(), response.read()
    finally:
        connection.close()


def post(module: ServerModule, path: str, value: Any, **headers: str) -> tuple[int, Any]:
    status, _, body = ask(module, "POST", path, json.dumps(value).encode(), headers)
    return status, json.loads(body)


def test_python_call_carries_any_value(tree: Everything) -> None:
    assert np.array_equal(tree.triple(np.arange(4)), np.arange(4) * 3)
    assert tree.triple((1, 2)) == (1, 2, 1, 2, 1, 2)


def test_python_call_raises_the_original_exception(tree: Everything) -> None:
    with pytest.raises(OddInputError) as caught:
        tree.triple("three")
    assert (caught.value.value, caught.value.hint) == ("three", "numbers only")


@pytest.mark.parametrize("name", WAYS_OUT)
def test_what_is_no_exception_is_an_error_there_and_ends_nothing(
    tree: Everything, name: str
) -> None:
    for served in (tree.leaving, tree.leaving_later):
        with pytest.raises(RemoteError) as caught:
            served(name)
        assert caught.value.type_name == name
    with pytest.raises(RemoteError) as caught:
        list(tree.leaving_stream(name))
    assert caught.value.type_name == name
    assert post(tree.leaving, "/", name)[0] == 500


def test_trained_state_is_served(tree: Everything) -> None:
    assert tree.trained() == [1, 2, 3]
    assert tree.state_dict()


def test_served_module_calls_the_one_below_it(tree: Everything) -> None:
    above, below = tree.above()
    assert above != below


def test_generator_is_a_stream(tree: Everything) -> None:
    assert list(tree.counting(4)) == [0, 1, 2, 3]
    items: list[int] = []
    with pytest.raises(ValueError, match="broke"):
        items.extend(tree.counting(4, break_at=2))


def test_async_forward_is_awaited(tree: Everything) -> None:
    assert tree.later(5) == 15
    assert list(tree.later_stream(3)) == [0, 1, 2]


def test_json_call(tree: Everything) -> None:
    assert post(tree.triple, "/call", {"args": [5]}) == (200, {"result": 15})
    assert post(tree.triple, "/call", {"kwargs": {"value": [1]}}) == (200, {"result": [1, 1, 1]})
    assert post(tree.triple, "/", [2]) == (200, {"result": [2, 2, 2]})
    assert post(tree.later, "/", 2) == (200, {"result": 6})
    assert post(tree.function, "/", "ß") == (200, {"result": {"text": "SS"}})
    assert post(tree.counting, "/", 3) == (200, {"result": [0, 1, 2]})


def test_what_json_has_no_number_for_is_null(tree: Everything) -> None:
    """As the command line and the gateway show it; a Python caller gets the value itself."""
    wanted = {"a": [1.5, None, [None, None]], "b": [1.0, None], "c": None}
    assert post(tree.odd, "/", 0) == (200, {"result": wanted})
    status, kind, body = ask(tree.odd_stream, "POST", "/", b"0", {"Accept": "text/event-stream"})
    assert (status, kind) == (200, "text/event-stream")
    assert json.loads(body.split(b"\n")[0].removeprefix(b"data: ")) == wanted
    assert np.isnan(tree.odd(0)["c"])


def test_msgpack_call(tree: Everything) -> None:
    body = msgpack.packb({"args": [5], "kwargs": {}})
    status, kind, answer = ask(
        tree.triple, "POST", "/call", body, {"Content-Type": "application/msgpack"}
    )
    assert (status, kind) == (200, "application/msgpack")
    assert msgpack.unpackb(answer) == {"result": 15}


def test_stream_of_events(tree: Everything) -> None:
    wants = {"Accept": "text/event-stream"}
    status, kind, body = ask(tree.counting, "POST", "/", b"2", wants)
    assert (status, kind) == (200, "text/event-stream")
    assert body == b"data: 0\n\ndata: 1\n\nevent: end\ndata: {}\n\n"
    _, _, body = ask(tree.counting, "POST", "/call", b'{"args": [3, 1]}', wants)
    assert body.startswith(b"data: 0\n\nevent: error\ndata: ")
    error = json.loads(body.rpartition(b"data: ")[2])
    assert error == {"error": {"type": "ValueError", "message": "broke"}}
    _, _, body = ask(tree.later_stream, "POST", "/", b"1", wants)
    assert body == b"data: 0\n\nevent: end\ndata: {}\n\n"


def test_error_of_the_module_has_type_and_message_only(tree: Everything) -> None:
    status, answer = post(tree.triple, "/", "three")
    assert status == 500
    assert answer == {
        "error": {"type": "OddInputError", "message": "odd input 'three': numbers only"}
    }


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/call", b"{", {}, 400),
        ("/call", b"[" * 100_000, {}, 400),
        ("/call", b"[]", {}, 400),
        ("/call", b'{"args": {}}', {}, 400),
        ("/call", b'{"args": [1, 2, 3]}', {}, 400),
        ("/call", b'{"arguments": []}', {}, 400),
        ("/", b"", {}, 400),
        ("/call", b"\xc1", {"Content-Type": "application/msgpack"}, 400),
        ("/call", b"x" * 100, {"Content-Type": "application/x-rootward"}, 403),
        ("/", b"1", {"X-Rootward-Token": "another"}, 421),
        ("/", b"1", {"Origin": "https://example.org"}, 403),
        ("/", b'"' + b"x" * (16 << 20) + b'"', {}, 413),
        ("/", b"x" * ((1 << 20) + 1), {"Content-Type": "application/msgpack"}, 413),
        ("/nowhere", b"1", {}, 404),
        ("/readyz", b"1", {}, 405),
    ],
)
def test_fault_of_the_caller_is_4xx(
    tree: Everything, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    answered, kind, answer = ask(tree.triple, "POST", path, body, headers)
    assert (answered, kind) == (status, "application/json")
    assert json.loads(answer)["error"].keys() == {"type", "message"}


def test_health_and_metrics(tree: Everything) -> None:
    assert ask(tree.triple, "GET", "/healthz")[0] == 200
    assert ask(tree.triple, "GET", "/readyz")[0] == 200
    assert ask(tree.triple, "GET", "/readyz", headers={"X-Rootward-Token": "other"})[0] == 421
    post(tree.triple, "/", 1)
    text = ask(tree.triple, "GET", "/metrics")[2].decode()
    counted = next(line for line in text.splitlines() if line.startswith("rootward_calls_total"))
    assert float(counted.split()[-1]) >= 1
    assert 'le="+Inf"' in text


def test_all_replicas_are_called(tree: Everything) -> None:
    assert tree.function._runtime is not None
    assert tree.function._runtime.routes is not None
    endpoints = tree.function._runtime.routes.endpoints("everything/function")
    assert len({endpoint.url for endpoint in endpoints}) == 2


def test_many_calls_at_once(tree: Everything) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tree.triple, range(200))) == [n * 3 for n in range(200)]


def test_start_leaves_what_is_up(tree: Everything) -> None:
    before = tree.above()
    tree.start()
    assert tree.above() == before


class Library(ModuleBase):
    """Has more than one method."""

    def setup(self) -> None:
        self.books = ["one"]

    def forward(self) -> list[str]:
        return self.books

    def add(self, book: str, *, twice: bool = False) -> int:
        self.books += [book] * (2 if twice else 1)
        return len(self.books)

    async def later(self, value: int) -> int:
        return value + 1

    def fail(self) -> None:
        raise LookupError("mine")


def test_methods_of_a_served_module_are_called_in_its_replica() -> None:
    server = ServerModule(Library())
    assert server.url is None
    server.start()
    try:
        assert server.served.add("two", twice=True) == 3
        assert server.call_method("later", 1) == 2
        assert server() == ["one", "two", "two"]
        assert str(server.url).startswith("http://127.0.0.1:")
        with pytest.raises(LookupError, match="mine"):
            server.served.fail()
        with pytest.raises(AttributeError, match=r"no method 'addd'.*'add'"):
            server.served.addd()
        with pytest.raises(AttributeError, match="_secret"):
            server.call_method("_secret")
    finally:
        server.stop()
