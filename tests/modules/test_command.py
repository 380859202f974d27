"""CommandModule: what it refuses, what Python callers have of it, and a tree without Redis."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rootward.modules import CommandModule, ModuleBase
from rootward.modules.errors import CallError, NotServed, ServeFailed
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = str(Path(__file__).parents[1] / "support" / "foreign_server.py")
COMMAND = [sys.executable, SERVER, "{host}", "{port}"]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"command": "python -m http.server"}, TypeError, "command of a .* not the text 'python"),
        ({"command": []}, ValueError, "command of a CommandModule is empty"),
        ({"command": 3}, TypeError, "command of a CommandModule is a list, not 3"),
        ({"command": ["a", 3]}, TypeError, r"command\[1\] of a CommandModule .* not 3"),
        ({"command": ["a\0"]}, ValueError, r"command\[0\] of a CommandModule has no NUL"),
        ({"health": "health"}, ValueError, "health of a CommandModule .* not 'health'"),
        ({"health": "/a b"}, ValueError, "health of a CommandModule .* not '/a b'"),
        ({"port": 0}, ValueError, "port of a CommandModule .* not 0"),
        ({"port": 80, "replicas": 2}, ValueError, r"a fixed port \(80\) .* by 2 replicas"),
        ({"replicas": 0}, ValueError, "replicas of a CommandModule .* not 0"),
        ({"startup_timeout": 0}, ValueError, "startup_timeout of a CommandModule .* not 0"),
        ({"stop_timeout": float("nan")}, ValueError, "stop_timeout of a CommandModule .* not nan"),
        ({"stop_signal": "TERM"}, ValueError, "stop_signal of a CommandModule .* not 'TERM'"),
        ({"cwd": 3}, TypeError, "cwd of a CommandModule .* not 3"),
    ],
)
def test_misuse_names_option_and_value(
    options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        CommandModule(**{"command": ["true"], **options})


def test_options_are_kept_as_they_travel() -> None:
    module = CommandModule([Path("a"), "b"], env={"N": 3}, cwd=Path("c"), stop_signal=2)
    assert (module.command, module.env, module.cwd) == (["a", "b"], {"N": "3"}, "c")
    assert module.stop_signal == "SIGINT"
    assert repr(CommandModule(["a", "b"], name="x")) == "<Module type=Command name=x command=a b>"


def test_what_is_not_served_cannot_be_asked() -> None:
    module = CommandModule(["true"], name="llm")
    assert module.url is None
    for ask in (
        lambda: module(1),
        lambda: module.request("GET", "/"),
        lambda: module.stream("", "/"),
    ):
        with pytest.raises(NotServed, match="llm is not served"):
            ask()


class Front(ModuleBase):
    """A command below a module."""

    def __init__(self, **options: Any) -> None:
        super().__init__(name="front")
        self.llm = CommandModule(COMMAND, name="llm", health="/health", **options)


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    front = Front(replicas=2)
    front.start()
    yield front
    front.stop()


def test_request_gives_status_headers_and_body(front: Front) -> None:
    answer = front.llm.request(
        "PUT", "/a/b?c=d", json={"x": 1}, headers={"X-More": "yes"}, timeout=20
    )
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    told = answer.json()
    assert (told["method"], told["path"], told["body"]) == ("PUT", "/a/b?c=d", '{"x": 1}')
    assert told["headers"]["x-more"] == "yes"
    assert told["headers"]["content-type"] == "application/json"
    # Nothing of ours goes to a server of somebody else's.
    assert not [name for name in told["headers"] if "rootward" in name or name == "authorization"]
    assert front.llm.request("POST", "/", content="plain").json()["body"] == "plain"
    assert front.llm.request("GET", "/full").status == 503


def test_forward_posts_one_value(front: Front) -> None:
    assert front.llm([1, 2])["body"] == "[1, 2]"
    assert front.llm(a=1)["body"] == '{"a": 1}'
    with pytest.raises(TypeError, match="is posted one value"):
        front.llm(1, 2)


def test_stream_yields_lines_and_tells_a_refusal(front: Front) -> None:
    assert list(front.llm.stream("GET", "/lines")) == ["line 0", "line 1", "line 2"]
    with pytest.raises(CallError, match="GET /full was answered 503"):
        list(front.llm.stream("GET", "/full"))
    with pytest.raises(TypeError, match="json or content, not both"):
        front.llm.request("POST", "/", json=1, content="1")
    with pytest.raises(ValueError, match="begins with '/': 'v1'"):
        front.llm.request("GET", "v1")


def test_a_killed_one_is_left_at_once_and_comes_back(front: Front) -> None:
    pids = set()
    while len(pids) < 2:
        pids.add(front.llm.request("GET", "/").json()["pid"])
    before = set(front.llm._routes().endpoints("front/llm"))
    os.kill(pids.pop(), signal.SIGKILL)
    # Whoever is asked: one that is gone is left for the other.
    for _ in range(20):
        assert front.llm.request("GET", "/").status == 200

    def is_back() -> bool:
        now = set(front.llm._routes().endpoints("front/llm"))
        return len(now) == 2 and now != before

    wait_until(is_back, description="both are there again", timeout=20)


def test_a_fixed_port_that_is_taken_says_so(front: Front) -> None:
    url = front.llm.url
    assert url is not None
    taken = int(url.rpartition(":")[2])
    with pytest.raises(ServeFailed, match=f"port {taken} is taken"):
        CommandModule(COMMAND, port=taken).start()
