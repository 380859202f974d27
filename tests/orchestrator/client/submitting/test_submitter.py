"""The name of who submits is always known, is text, and is bounded."""

from __future__ import annotations

import getpass
import os
import pwd
import socket
from typing import TYPE_CHECKING

from rootward.orchestrator.client.submitting.submitter import submitter

if TYPE_CHECKING:
    import pytest

VARIABLES = ("LOGNAME", "USER", "LNAME", "USERNAME")


def test_it_is_the_user_at_the_host() -> None:
    """As the system says it."""
    assert submitter() == f"{getpass.getuser()[:64]}@{socket.gethostname()[:64]}"


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under any number."""

    def unknown(number: int) -> None:
        raise KeyError(number)

    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert submitter().startswith(f"{os.getuid()}@")


def test_a_name_that_is_no_text_or_too_long_can_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of another encoding are escaped; 64 characters of the user's name are kept."""
    monkeypatch.setenv("LOGNAME", os.fsdecode(b"j\xfcrgen"))
    assert submitter().startswith(r"j\udcfcrgen@")
    monkeypatch.setenv("LOGNAME", "x" * 5000)
    assert submitter().partition("@")[0] == "x" * 64
