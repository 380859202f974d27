"""Scripts: what they are made of, and where a fault of one stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.store import scripts
from rootward.orchestrator.store.connection import Clients
from rootward.orchestrator.store.keys import Keys

if TYPE_CHECKING:
    from redis.exceptions import ResponseError


def test_every_script_is_named_once_and_nothing_that_they_share() -> None:
    names = scripts.names()
    assert {"create", "exchange", "sweep", "agree"} <= set(names)
    assert not {"prelude", "records", "tasks", "failures", "quarantine"} & set(names)


@pytest.mark.parametrize("name", ["exchange", "sweep", "agree"])
def test_each_line_of_a_script_is_found_in_its_file(name: str) -> None:
    lines = scripts.source(name).split("\n")
    for number, line in enumerate(lines, 1):
        file, _, place = scripts.place_in(name, number).partition(".lua:")
        if line.startswith("local function "):
            assert scripts._text_of(file).split("\n")[int(place) - 1] == line
    with pytest.raises(ValueError, match="no such line"):
        scripts.place_in(name, len(lines) + 1)


def test_a_fault_of_a_script_names_file_and_line(redis_url: str, prefix: str) -> None:
    from redis.exceptions import ResponseError

    clients = Clients(redis_url, name="test")
    try:
        runner = scripts.ScriptRunner(clients.scripts, Keys(prefix))
        with pytest.raises(ResponseError, match=r"\(stage\.lua:\d+\)") as caught:
            runner.run("stage", [], [60, b"piece"])
    finally:
        clients.close()
    error: ResponseError = caught.value
    assert "user_script" in str(error)
