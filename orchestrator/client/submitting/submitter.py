"""Who submits a deployment, as its history says it: the user and the machine."""

from __future__ import annotations

import getpass
import os
import socket
from typing import Final

LONGEST_PART: Final = 64
"""Characters of the user's and of the machine's name that are kept."""


def submitter() -> str:
    """Return user@host of this process, at most 129 characters; what isn't known has a stand-in."""
    try:
        user = getpass.getuser()
    except (KeyError, ImportError, OSError):
        # Containers run under numbers that no list of users has.
        user = str(os.getuid())
    try:
        host = socket.gethostname()
    except OSError:
        host = ""
    return f"{_part(user)}@{_part(host or 'localhost')}"


def _part(name: str) -> str:
    # A name from the environment may hold bytes that are no text, which Redis couldn't be sent.
    return name.encode(errors="backslashreplace").decode()[:LONGEST_PART]
