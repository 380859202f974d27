"""Every ordinary refusal of Redis has a sentence of its own, and none is a fault of ours."""

from __future__ import annotations

import pytest
from redis import exceptions as kinds
from redis._parsers.base import BaseParser

from rootward.orchestrator.cli.failures import present
from rootward.orchestrator.refusals import refusal

REFUSALS = {
    "NOAUTH Authentication required.": (3, "asks for a password"),
    "WRONGPASS invalid username-password pair or user is disabled.": (3, "refuses the user"),
    "ERR AUTH <password> called without any password configured for the default user.": (
        3,
        "refuses the user",
    ),
    "NOPERM User x has no permissions to run the 'evalsha' command": (3, "docs/production.md"),
    "NOPERM No permissions to access a key": (3, "docs/production.md"),
    "ERR The user executing the script can't run this command or subcommand script: a": (
        3,
        "docs/production.md",
    ),
    "LOADING Redis is loading the dataset in memory": (3, "loading its data"),
    "MASTERDOWN Link with MASTER is down": (3, "lost its primary"),
    "READONLY You can't write against a read only replica. script: a, on @user_script:1.": (
        3,
        "read-only replica",
    ),
    "OOM command not allowed when used memory > 'maxmemory'. script: a": (1, "is full"),
    "MISCONF Redis is configured to save RDB snapshots, but it's unable to": (1, "full disk"),
    "NOREPLICAS Not enough good replicas to write.": (1, "too few replicas"),
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL": (1, "is busy"),
    "MOVED 3999 127.0.0.1:6381": (3, "Redis Cluster"),
    "CLUSTERDOWN Hash slot not served": (3, "Redis Cluster"),
    "CROSSSLOT Keys in request don't hash to the same slot": (3, "Redis Cluster"),
    "ERR max number of clients reached": (3, "maxclients"),
    "ERR unknown command 'EVALSHA', with args beginning with: 'a'": (3, "renamed"),
    "ERR DB index is out of range": (3, "no database of that number"),
    "DENIED Redis is running in protected mode because": (3, "protected mode"),
    "ERR something that nobody has heard of": (1, "refuses a command"),
}


@pytest.mark.parametrize("said", REFUSALS)
def test_what_the_server_says_becomes_a_sentence(
    said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, sentence = REFUSALS[said]
    # Redis-py makes of it one of its own errors, often without the server's code.
    error = BaseParser.parse_error(said)
    found = refusal(error, "redis://host:1/0")
    assert found is not None
    assert (found.code, found.sentence.startswith("Redis at redis://host:1/0 ")) == (code, True)
    assert sentence in found.sentence
    assert present(error) == code
    told = capsys.readouterr().err
    assert sentence in told
    assert "fault of rootward" not in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    "error",
    [
        ValueError("READONLY"),
        kinds.DataError("Invalid input of type"),
        kinds.ResponseError("ERR user_script:3: attempt to index a nil value script: abc"),
        kinds.ResponseError("ERR Error compiling script (new function): user_script:1: x"),
    ],
)
def test_a_fault_of_ours_has_none(error: Exception) -> None:
    assert refusal(error) is None
