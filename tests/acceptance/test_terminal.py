"""What a module says reaches the terminal of whoever looks as text and colours, and no command."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tests.support.programs import rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.acceptance.conftest import Network

APP = """
from rootward import ModuleBase, ServerModule

CLEAR, TITLE, COPY = "\\x1b[2J", "\\x1b]0;owned\\x07", "\\x1b]52;c;ZXZpbA==\\x1b\\\\"
C1 = "\\x9b2J\\x9d0;owned\\x9c"
ALL = CLEAR + TITLE + COPY + C1

class Failing(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        print("printed " + ALL + "\\x1b[31min red\\x1b[0m")
        raise ValueError("raised " + ALL + " here")

failing = Failing(name="failing")
up = Failing(name="up")
"""
COMMANDS = re.compile("[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\\[[0-9;]*m)|owned|ZXZpbA")


def test_no_command_reaches_the_terminal(network: Network) -> None:
    (network.folder / "app.py").write_text(APP, encoding="utf-8")
    worker = network.worker("--name", "w1")
    for command, code, words in (
        (("deploy", "app.py:failing"), 1, ("ValueError: raised", "printed", "in red")),
        (("deploy", "app.py:failing", "--verbose"), 1, ("ValueError: raised", "Traceback")),
        (("status", "failing"), 0, ("ValueError: raised",)),
        (("status", "failing", "--json"), 0, ("ValueError",)),
        (("events", "failing"), 0, ("ValueError: raised",)),
        (("events", "failing", "--json"), 0, ("task.failed",)),
        (("logs", "failing"), 0, ("printed", "\x1b[31min red\x1b[0m")),
        (("logs", "failing", "--json"), 0, ("printed",)),
        (("up", "app.py:up", "--once"), 1, ("ValueError: raised",)),
        (("status", "no\x1b]0;other\x07name"), 2, ("no deployment",)),
    ):
        done = run(rootward(*command), folder=network.folder, environ=network.environ)
        assert done.process.returncode == code, done.report()
        told = done.stdout + done.stderr
        if "--json" in command:
            assert not set(told) & {chr(n) for n in (*range(9), 27, *range(127, 160))}
            for line in done.stdout.splitlines():
                json.loads(line)
        else:
            assert COMMANDS.search(told) is None, ascii(told)
        for word in words:
            assert word in told, done.report()
    assert COMMANDS.search(worker.stderr) is None, ascii(worker.stderr)


def test_a_second_worker_of_one_name_is_noticed(network: Network) -> None:
    network.worker("--name", "same")
    wait_until(lambda: "takes tasks" in network.workers[0].stderr, description="the first is there")
    second = network.worker("--name", "same")
    wait_until(lambda: "takes tasks" in second.stderr, description="the second is there")
    assert "another live worker is called same, too" in second.stderr
    looked = run(rootward("doctor"), folder=network.folder, environ=network.environ)
    assert "2 live workers are called same" in looked.stdout


def test_an_address_that_nobody_can_call_is_refused(network: Network) -> None:
    for host in ("0.0.0.0", "::", "[::]", "0"):
        done = run(
            rootward("worker", "--host", host), folder=network.folder, environ=network.environ
        )
        assert done.process.returncode == 2, done.report()
        assert "is no address that callers can reach" in done.stderr
