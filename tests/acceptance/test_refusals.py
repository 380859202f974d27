"""A Redis that refuses: each ordinary condition of a server ends a command with one sentence."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from redis import Redis

from tests.support.programs import Program, rootward, run
from tests.support.servers import Server
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

APP = """
from rootward import ModuleBase, ServerModule

class Echo(ModuleBase):
    def forward(self, x):
        return x

tree = ServerModule(Echo(), name="app")
"""
SECRET = "a secret of these tests, long enough"
PASSWORD = "p#s/w%rd@?"
READING = (
    ("status",),
    ("status", "app", "--json"),
    ("deployments",),
    ("workers", "--json"),
    ("events", "app"),
    ("logs", "app"),
    ("gateway", "list", "--json"),
    ("gateway", "get", "app", "--json"),
    ("gateway", "call", "app", "5"),
)
DOCS = Path(__file__).parents[2] / "docs" / "production.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def redis(server: Server) -> Iterator[Redis]:
    with Redis(port=server.port) as redis:
        yield redis


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def environ(server: Server, user: str = "", **more: str) -> dict[str, str]:
    url = f"redis://{user}127.0.0.1:{server.port}/0"
    return {"REDIS_URL": url, "ROOTWARD_SECRET": SECRET, **more}


def told(folder: Path, environ: dict[str, str], *command: str, code: int) -> str:
    """Return what a command says on standard error, which is one line and no fault of ours."""
    done = run(rootward(*command), folder=folder, environ=environ)
    assert done.process.returncode == code, done.report()
    assert "fault of rootward" not in done.stderr
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stderr
    return done.stderr


@contextmanager
def configured(redis: Redis, **changes: str) -> Iterator[None]:
    """Change the server's configuration, and back."""
    names = {name.replace("_", "-"): value for name, value in changes.items()}
    before = {name: redis.config_get(name)[name] for name in names}
    try:
        for name, value in names.items():
            redis.config_set(name, value)
        yield
    finally:
        for name, value in before.items():
            redis.config_set(name, value)


def test_a_full_server_says_so(server: Server, redis: Redis, folder: Path) -> None:
    with configured(redis, maxmemory="1"):
        said = told(folder, environ(server), "deploy", "app.py:tree", "--detach", code=1)
        assert "is full: raise its maxmemory" in said
        assert "error" not in told(folder, environ(server), "status", code=0)


def test_a_read_only_replica_says_so_and_can_be_read(
    server: Server, redis: Redis, folder: Path
) -> None:
    redis.replicaof("127.0.0.1", "1")
    try:
        said = told(folder, environ(server), "deploy", "app.py:tree", "--detach", code=3)
        assert "read-only replica: give the address of the primary" in said
        assert "error" not in told(folder, environ(server), "status", code=0)
        with Program(rootward("worker"), folder=folder, environ=environ(server), name="w") as w:
            w.wait(30)
        assert "read-only replica" in w.stderr
        assert w.process.returncode == 3
    finally:
        redis.replicaof("NO", "ONE")


def test_a_password_that_is_missing_or_wrong_says_so(
    server: Server, redis: Redis, folder: Path
) -> None:
    redis.config_set("requirepass", PASSWORD)
    redis.auth(PASSWORD)
    try:
        assert "asks for a password" in told(folder, environ(server), "status", code=3)
        said = told(folder, environ(server, ":wrong@"), "status", code=3)
        assert "refuses the user or password" in said
        assert "percent-encoded" in said
        assert "percent-encoded" in told(folder, environ(server, f":{PASSWORD}@"), "status", code=2)
        right = environ(server, f":{quote(PASSWORD, safe='')}@")
        assert "error" not in told(folder, right, "status", code=0)
    finally:
        redis.config_set("requirepass", "")


@pytest.fixture
def limited(server: Server, redis: Redis) -> Iterator[list[str]]:
    """Names of users that are removed afterwards."""
    users: list[str] = []
    yield users
    for user in users:
        redis.acl_deluser(user)


def test_a_user_without_rights_is_told_what_is_missing(
    server: Server, redis: Redis, folder: Path, limited: list[str]
) -> None:
    limited.append("nobody")
    redis.execute_command("ACL", "SETUSER", "nobody", "on", ">pw", "~*", "+ping")
    said = told(folder, environ(server, "nobody:pw@"), "status", code=3)
    assert "forbids this user something that is needed" in said
    assert "docs/production.md" in said
    redis.execute_command("ACL", "SETUSER", "nobody", "+client|setname", "+time", "+info")
    looked = run(rootward("doctor", "--json"), folder=folder, environ=environ(server, "nobody:pw@"))
    assert looked.process.returncode == 1, looked.report()
    findings = {each["check"]: each for each in json.loads(looked.stdout)["checks"]}
    assert findings["scripts"]["level"] == "problem"
    assert "fault of rootward" not in looked.stderr


def test_the_rules_of_the_docs_are_enough_and_readers_need_no_write(
    server: Server, redis: Redis, folder: Path, limited: list[str]
) -> None:
    for user, rules in documented().items():
        limited.append(user)
        redis.execute_command("ACL", "SETUSER", user, *rules, ">pw")
    redis.execute_command("ACL", "LOG", "RESET")
    full, reader = environ(server, "rootward:pw@"), environ(server, "looker:pw@")
    with Program(rootward("worker"), folder=folder, environ=full, name="worker"):
        assert told(folder, full, "deploy", "app.py:tree", code=0)
        for command in READING:
            told(folder, reader, *command, code=0)
        said = told(folder, reader, "stop", "app", code=3)
        assert "forbids this user" in said
        told(folder, full, "scale", "app", "2", code=0)
        for user in (reader, full):
            looked = run(rootward("doctor", "--json"), folder=folder, environ=user)
            assert "fault of rootward" not in looked.stderr, looked.report()
        told(folder, full, "stop", "app", code=0)
        wait_until(lambda: not redis.smembers("rootward:active"), description="it has stopped")
    refused = {(e["username"], e["object"]) for e in redis.acl_log()}
    assert {each for each in refused if each[0] == "rootward"} == set()


def documented() -> dict[str, list[str]]:
    """Return the ACL rules of each user in docs/production.md."""
    lines = re.findall(r"^user (\w+) (.*)$", DOCS.read_text(), re.MULTILINE)
    return {name: [rule for rule in rules.split() if rule[0] != ">"] for name, rules in lines}
