"""Loads an HTTP address with wrk (apt-get install wrk), and reads what that says.

Unlike a client in Python it isn't itself what is measured: it makes more calls a second than any
server here answers.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

SCRIPT = """
wrk.method = "POST"
wrk.body = '{"args": [7]}'
wrk.headers["Content-Type"] = "application/json"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one load came to: times in microseconds, calls a second, calls, CPU us a call."""

    p50: float
    p99: float
    rate: float
    calls: int
    cpu: float


def cpu_s(url: str) -> float:
    """Return the CPU seconds that the process behind a URL has used until now."""
    port = urlsplit(url).port
    for each in psutil.net_connections("tcp"):
        if each.status == psutil.CONN_LISTEN and each.laddr.port == port and each.pid:
            times = psutil.Process(each.pid).cpu_times()
            return times.user + times.system
    raise SystemExit(f"nobody listens at {url}")


def require() -> None:
    """End the program, with a sentence, where there is no wrk."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk isn't on PATH (apt-get install wrk)")


def load(url: str, connections: int, seconds: int, script: Path) -> Load:
    """Load a URL with the calls of `script`; an error in an answer ends the program."""
    used_s = cpu_s(url)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-s", str(script)]
    said = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"{url} answered with errors:\n{said}")
    calls = int(_found(r"(\d+) requests in", said))
    return Load(
        p50=_microseconds(_found(r"^ +50%\s+(\S+)", said)),
        p99=_microseconds(_found(r"^ +99%\s+(\S+)", said)),
        rate=float(_found(r"Requests/sec:\s+(\S+)", said)),
        calls=calls,
        cpu=(cpu_s(url) - used_s) / calls * 1e6,
    )


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"wrk said nothing like {pattern!r}:\n{text}")
    return found[1]


def _microseconds(text: str) -> float:
    for unit, factor in (("us", 1.0), ("ms", 1e3), ("s", 1e6)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)
