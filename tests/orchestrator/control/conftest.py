"""A worker without processes, and the controller that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.control.controller import Controller
from tests.support.scripted import ScriptedWorker

if TYPE_CHECKING:
    from rootward.orchestrator.client.client import Client


@pytest.fixture
def worker(client: Client) -> ScriptedWorker:
    """A worker that does what it is given when the test says so."""
    return ScriptedWorker(client)


@pytest.fixture
def controller(client: Client, worker: ScriptedWorker) -> Controller:
    """The controller in that worker; it leads for long."""
    return Controller(client.store, client.signer, worker.info.id, lease_s=30.0)
