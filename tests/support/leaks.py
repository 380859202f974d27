"""Finds what a test left behind: processes of its own, and keys that nothing will ever remove.

Processes are known by a mark in their environment, which all that they start inherit; keys by the
test's own prefix, and judged by the catalogue in `rootward.orchestrator.store.keys`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from rootward.orchestrator.store.keys import Keys, Lasts

if TYPE_CHECKING:
    from redis import Redis

MARK = "TEST_MARK"


def marked_processes(mark: str) -> list[str]:
    """Return the command lines, with process ids, of all live processes that carry the mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid}: {' '.join(process.cmdline())}")
        except psutil.Error:
            # It ended while it was looked at, or belongs to someone else.
            continue
    return found


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still runs; a zombie doesn't, nor what ends while it is looked at."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def kill_marked(mark: str) -> None:
    """Kill what carries the mark, so that one test's leak is no other test's trouble."""
    for line in marked_processes(mark):
        try:
            psutil.Process(int(line.partition(":")[0])).kill()
        except psutil.Error:
            continue


def lasting_keys(server: Redis, prefix: str) -> list[str]:
    """Return the keys under `prefix` that have neither a time to live nor a reason to last."""
    keys = Keys(prefix)
    active = {name.decode().rpartition("@")[0] for name in server.smembers(keys.active)}
    found = [raw.decode() for raw in server.scan_iter(f"*{prefix}*", count=1000)]
    return [
        key
        for key in found
        if server.ttl(key) == -1
        and not _may_last(keys, key, active)
        and not _is_used_bundle(server, keys, key)
    ]


def _is_used_bundle(server: Redis, keys: Keys, key: str) -> bool:
    digest = key.removeprefix(keys.bundle("")).removesuffix(":users")
    users = server.zrange(keys.bundle_users(digest), 0, -1)
    return bool({*users} & server.smembers(keys.active))


def _may_last(keys: Keys, key: str, active: set[str]) -> bool:
    why = keys.lasting(key)
    if why is Lasts.ALWAYS:
        return True
    return why is Lasts.WHILE_ACTIVE and any(name in key for name in active)
