"""A module behind a URL: what is posted, how answers, streams and failures come back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rootward.modules import UrlModule
from rootward.modules.errors import CallError, RemoteError, Unavailable

EVENTS = b'data: 1\n\ndata: {"a":\ndata: 2}\n\n'
FAILURE = b'{"error": {"type": "KeyError", "message": "x"}}'


class Service(BaseHTTPRequestHandler):
    """Answers by the path; `/call` and `/` echo what was posted."""

    def do_POST(self) -> None:
        value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, kind, body = self.answer(value)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, value: Any) -> tuple[int, str, bytes]:
        stream = "text/event-stream"
        answers = {
            "/text": (200, "text/plain", b"plain"),
            "/bare": (200, "application/json", b"[1, 2]"),
            "/broken": (200, "application/json", b"{"),
            "/fails": (500, "application/json", FAILURE),
            "/teapot": (418, "text/plain", b"short and stout"),
            "/stream": (200, stream, EVENTS + b"event: end\ndata:\n\n"),
            "/cut": (200, stream, EVENTS),
            "/fails-late": (
                200,
                stream,
                b"data: 1\n\nevent: error\n" + b"data: " + FAILURE + b"\n\n",
            ),
        }
        echo = json.dumps({"result": {"path": self.path, "posted": value}}).encode()
        return answers.get(self.path, (200, "application/json", echo))

    def log_message(self, *args: Any) -> None:
        """Keep the output of tests clean."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_one_value_is_posted_as_it_is(url: str) -> None:
    assert UrlModule(url)({"a": [1]}) == {"path": "/", "posted": {"a": [1]}}


def test_other_arguments_go_to_call(url: str) -> None:
    posted = {"args": [1, 2], "kwargs": {"k": 3}}
    assert UrlModule(f"{url}/")(1, 2, k=3) == {"path": "/call", "posted": posted}
    assert UrlModule(f"{url}/x")()["path"] == "/x/call"


def test_answers_are_results_json_or_text(url: str) -> None:
    assert UrlModule(f"{url}/bare")(1) == [1, 2]
    assert UrlModule(f"{url}/text")(1) == "plain"


def test_a_stream_yields_item_by_item(url: str) -> None:
    assert list(UrlModule(f"{url}/stream", stream=True)(1)) == [1, {"a": 2}]


def test_an_answer_that_is_no_stream_is_one_item(url: str) -> None:
    assert list(UrlModule(f"{url}/bare", stream=True)(1)) == [[1, 2]]


def test_a_broken_stream_is_an_error_after_what_came(url: str) -> None:
    items = UrlModule(f"{url}/cut", stream=True)(1)
    assert [next(items), next(items)] == [1, {"a": 2}]
    with pytest.raises(CallError, match="broke off"):
        next(items)
    items = UrlModule(f"{url}/fails-late", stream=True)(1)
    assert next(items) == 1
    with pytest.raises(RemoteError, match="KeyError"):
        next(items)


def test_an_error_that_is_told_is_a_remote_error(url: str) -> None:
    with pytest.raises(RemoteError) as caught:
        UrlModule(f"{url}/fails")(1)
    assert (caught.value.type_name, caught.value.message) == ("KeyError", "x")


@pytest.mark.parametrize(("path", "text"), [("teapot", "418: short"), ("broken", "broken JSON")])
def test_an_answer_that_cannot_be_read_is_a_call_error(url: str, path: str, text: str) -> None:
    with pytest.raises(CallError, match=text):
        UrlModule(f"{url}/{path}")(1)


def test_nobody_there_is_unavailable(free_port: int) -> None:
    with pytest.raises(Unavailable, match="nobody answers"):
        UrlModule(f"http://127.0.0.1:{free_port}")(1)


def test_silence_is_a_time_out() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
            UrlModule(url, timeout=0.05)(1)


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("url", ["", "host:1", "file:///etc/passwd", "ftp://host"])
def test_only_http_urls_are_taken(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        UrlModule(url)
