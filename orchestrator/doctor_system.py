"""What `rootward doctor` looks at on this machine, without any Redis."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .findings import OK, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator


def check_deaths(platform: str) -> Iterator[Finding]:
    """Judge whether the system ends a worker's processes by itself when the worker is killed."""
    if platform == "linux":
        yield Finding(check="deaths", level=OK, message="processes end with their worker (Linux)")
    else:
        yield Finding(
            check="deaths",
            level=WARNING,
            message=f"{platform} has no parent-death signal: processes of a killed worker end when "
            "they notice that it is gone",
            advice="run workers on Linux where one that computes must end at once",
        )


def check_system() -> Iterator[Finding]:
    """Judge this machine: Python, and how many files may be open."""
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding(check="python", level=OK, message=f"Python {python} on {sys.platform}")
    yield from check_deaths(sys.platform)
    try:
        import resource
    except ImportError:
        return
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 < soft < 1024:
        yield Finding(
            check="files",
            level=WARNING,
            message=f"only {soft} files may be open at once",
            advice="raise it with `ulimit -n 4096` where workers are started",
        )
