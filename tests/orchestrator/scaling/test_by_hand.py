"""What may be asked for by hand of which services."""

from __future__ import annotations

import pytest

from rootward import orchestrator
from rootward.modules import CommandModule
from rootward.orchestrator.errors import PlanError
from tests.support.scripted import ScriptedWorker


def test_a_command_has_a_number_and_no_range(redis_url: str, prefix: str, secret: str) -> None:
    with orchestrator.connect(redis_url, secret=secret, prefix=prefix) as client:
        worker = ScriptedWorker(client)
        client.submit(CommandModule(["true"], name="s"))
        worker.work()
        with pytest.raises(PlanError, match="doesn't say how many calls it has"):
            client.scale("s", "s", "1..3")
        assert client.scale("s", "s", 2) == 2
