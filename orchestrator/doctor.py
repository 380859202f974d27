"""The check-up: is everything here that a deployment needs, and what to do where it isn't.

Each check is a small function of what was asked of the server once, and gives findings. Nothing is
changed, and no right is needed beyond reading `INFO` and running a script.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .doctor_history import check_history
from .doctor_system import check_system
from .findings import OK, PROBLEM, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .client.client import Client
    from .settings import Settings
    from .store.records import AgentRecord

MIN_REDIS = (6, 2)
# The first of each line without the known fault in the script engine (CVE-2025-49844); for Redis
# from 7.2 on also without that in blocking reads (CVE-2026-23479).
SOUND_REDIS = ((6, 2, 20), (8, 6, 3))
SOUND_VALKEY = ((7, 2, 11), (8, 0, 6), (8, 1, 4), (9, 0, 0))
# A deployment makes a handful of round trips a task: above this every one of them is felt.
SLOW_MS = 5.0
SKEW_S = 2.0
PINGS = 20
MIN_SECRET_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What was asked of Redis: `info`, the round trips in milliseconds, its clock less ours.

    `refused` says why what this user may not ask for is missing.
    """

    info: Mapping[str, Any]
    round_trips_ms: Sequence[float]
    skew_s: float
    scripts: bool = True
    refused: Mapping[str, str] = field(default_factory=dict)


def examine(settings: Settings) -> list[Finding]:
    """Run every check that the settings allow. Raises NoRedis when a given Redis isn't reached."""
    findings = [*check_system(), *check_secret(settings)]
    if settings.redis_url is None:
        return [*findings, *check_private_server()]
    from .store.connection import check

    check(settings.redis_url)
    from .client.client import Client

    client = Client(settings)
    try:
        server = ask(client._clients.scripts)
        if server.info:
            for look in (check_version, check_memory, check_persistence, check_role):
                findings += look(server.info)
        findings += [*check_latency(server), *check_clock(server), *check_scripts(server)]
        findings += _as_far_as_allowed("workers", lambda: check_workers(client.workers()))
        findings += _as_far_as_allowed("signature", lambda: check_signature(client))
        memory = int(server.info.get("maxmemory", 0))
        findings += _as_far_as_allowed(
            "history", lambda: check_history(client.store, settings, memory)
        )
        findings += [_forbidden(what, why) for what, why in server.refused.items()]
    finally:
        client.close()
    return findings


def ask(redis: Any) -> Server:
    """Ask a server, by a redis-py client, everything that the checks look at."""
    from redis.exceptions import ResponseError

    round_trips = []
    for _ in range(PINGS):
        began = time.perf_counter()
        redis.ping()
        round_trips.append((time.perf_counter() - began) * 1000)
    refused: dict[str, str] = {}
    skew, info = 0.0, dict[str, Any]()
    try:
        before = time.time()
        seconds, micros = redis.time()
        skew = seconds + micros / 1e6 - (before + time.time()) / 2
    except ResponseError as error:
        refused["clock"] = str(error)
    try:
        info = dict(redis.info())
    except ResponseError as error:
        refused["info"] = str(error)
    try:
        scripts = redis.eval("return 1", 0) == 1
    except Exception:
        # A user without the right to run scripts: any error says the same.
        scripts = False
    return Server(
        info=info, round_trips_ms=round_trips, skew_s=skew, scripts=scripts, refused=refused
    )


def _as_far_as_allowed(check: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Return what a look finds, or that this user may not look."""
    from redis.exceptions import ResponseError

    try:
        yield from look()
    except ResponseError as error:
        yield _forbidden(check, str(error))


def _forbidden(check: str, why: str) -> Finding:
    return Finding(
        check=check,
        level=WARNING,
        message=f"this user of Redis may not look: {why}",
        advice="give it the rights that docs/production.md lists",
    )


def check_version(info: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge the server's version."""
    product = "valkey" if info.get("valkey_version") else "redis"
    text = str(info.get("valkey_version") or info.get("redis_version") or "unknown")
    version = tuple(int(part) for part in text.split(".")[:3] if part.isdecimal())
    if version[:2] < MIN_REDIS:
        least = ".".join(map(str, MIN_REDIS))
        yield Finding(
            check="version",
            level=PROBLEM,
            message=f"{product} {text} is too old",
            advice=f"use Redis {least} or later, or any Valkey",
        )
    elif not _is_sound(version, SOUND_VALKEY if product == "valkey" else SOUND_REDIS):
        yield Finding(
            check="version",
            level=WARNING,
            message=f"{product} {text} has known faults that let who may run scripts, or a blocked "
            "client, corrupt its memory, unless your distribution has mended it",
            advice="use Redis 8.6.3 or later, or Valkey 9 (CVE-2025-49844, CVE-2026-23479)",
        )
    else:
        yield Finding(check="version", level=OK, message=f"{product} {text}")


def _is_sound(version: tuple[int, ...], lines: Sequence[tuple[int, int, int]]) -> bool:
    """Whether the version is of a line that was mended, and not older than that; or later."""
    return version >= lines[-1] or any(
        version[:2] == line[:2] and version >= line for line in lines
    )


def check_memory(info: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge the eviction policy: anything but noeviction deletes our keys when memory is short."""
    policy = str(info.get("maxmemory_policy") or "unknown")
    if policy != "noeviction":
        yield Finding(
            check="eviction",
            level=PROBLEM,
            message=f"the eviction policy is {policy}: Redis may delete deployments",
            advice="set maxmemory-policy noeviction",
        )
    else:
        yield Finding(check="eviction", level=OK, message="evicts nothing")


def check_persistence(info: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge whether what was acknowledged outlives a restart of the server."""
    if info.get("aof_enabled"):
        if str(info.get("aof_last_write_status", "ok")) != "ok":
            yield Finding(
                check="persistence",
                level=PROBLEM,
                message="the append-only file can't be written",
                advice="look for a full disk in the server's log",
            )
        else:
            yield Finding(check="persistence", level=OK, message="append-only file")
    else:
        yield Finding(
            check="persistence",
            level=WARNING,
            message="no append-only file: a restart of Redis loses deployments",
            advice="set appendonly yes",
        )


def check_role(info: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge the server's place among others: neither a replica nor a cluster can be used."""
    if info.get("cluster_enabled"):
        yield Finding(
            check="topology",
            level=PROBLEM,
            message="this is a Redis Cluster, which isn't supported",
            advice="use a single server, or Sentinel for failover",
        )
    elif str(info.get("role", "master")) != "master":
        yield Finding(
            check="topology",
            level=PROBLEM,
            message="this server is a read-only replica",
            advice="give the address of the primary, or of Sentinel",
        )


def check_latency(server: Server) -> Iterator[Finding]:
    """Judge the round trip."""
    median = statistics.median(server.round_trips_ms)
    text = f"round trip {median:.2f} ms (slowest of {PINGS}: {max(server.round_trips_ms):.2f} ms)"
    if median > SLOW_MS:
        yield Finding(
            check="latency",
            level=WARNING,
            message=text,
            advice="run workers nearer to Redis: each task makes some round trips",
        )
    else:
        yield Finding(check="latency", level=OK, message=text)


def check_clock(server: Server) -> Iterator[Finding]:
    """Judge this machine's clock against the server's, which is the one that leases follow."""
    text = f"this clock is {abs(server.skew_s) * 1000:.0f} ms from that of Redis"
    if "clock" in server.refused:
        return
    if abs(server.skew_s) > SKEW_S:
        yield Finding(
            check="clock",
            level=WARNING,
            message=text,
            advice="leases don't mind, but times shown here are off: set the clock by NTP",
        )
    else:
        yield Finding(check="clock", level=OK, message=text)


def check_scripts(server: Server) -> Iterator[Finding]:
    """Judge whether this user may run scripts, which every step is made of."""
    if not server.scripts:
        yield Finding(
            check="scripts",
            level=PROBLEM,
            message="this user may not run scripts",
            advice="grant +@scripting (EVAL, EVALSHA) to the user in REDIS_URL",
        )


def check_workers(agents: Sequence[AgentRecord]) -> Iterator[Finding]:
    """Judge the live workers: that there are any, and that they are of one version."""
    versions = sorted({agent.info.version for agent in agents})
    names = Counter(agent.name for agent in agents)
    for name in sorted(name for name, count in names.items() if count > 1):
        yield Finding(
            check="workers",
            level=WARNING,
            message=f"{names[name]} live workers are called {name}",
            advice="give each a name of its own with --name",
        )
    if not agents:
        yield Finding(
            check="workers",
            level=WARNING,
            message="no worker is running",
            advice="start one with `rootward worker`",
        )
    elif len(versions) > 1:
        yield Finding(
            check="workers",
            level=WARNING,
            message=f"the {len(agents)} workers have different versions: {', '.join(versions)}",
            advice="bring them all to the newest",
        )
    else:
        of = f", version {versions[0]}" if versions[0] else ""
        plural = "" if len(agents) == 1 else "s"
        yield Finding(check="workers", level=OK, message=f"{len(agents)} worker{plural}{of}")


def check_signature(client: Client) -> Iterator[Finding]:
    """Judge whether the newest deployment was signed with the secret that is given here."""
    from rootward.modules.errors import SignatureError

    from .status.read_status import read_plan

    newest = client.deployments()[:1]
    if client.settings.secret is None:
        return
    known = client.store.agents.agreed()
    if known not in {None, *client.signer.fingerprints(client.keys.prefix)}:
        yield Finding(
            check="secret",
            level=PROBLEM,
            message="the workers have another secret than the one given here",
            advice="set the same ROOTWARD_SECRET for workers and whoever submits or calls",
        )
    if not newest:
        return
    try:
        read_plan(client.store, client.signer, newest[0].name, newest[0].generation)
    except SignatureError:
        yield Finding(
            check="signature",
            level=WARNING,
            message=f"{newest[0].id} was submitted with another secret than the one given here",
            advice="set the same ROOTWARD_SECRET for workers and whoever submits or calls",
        )


def check_secret(settings: Settings) -> Iterator[Finding]:
    """Judge the secret that signs every job and every tree."""
    make = "`python -c 'import secrets; print(secrets.token_hex(32))'`"
    if settings.secret is None:
        yield Finding(
            check="secret",
            # Without a Redis there is nothing to sign for: `up` makes its own.
            level=OK if settings.redis_url is None else PROBLEM,
            message="no secret is given",
            advice=f"set ROOTWARD_SECRET, the same everywhere; make one with {make}",
        )
    elif len(settings.secret) < MIN_SECRET_BYTES:
        yield Finding(
            check="secret",
            level=WARNING,
            message=f"the secret has only {len(settings.secret)} bytes",
            advice=f"make a longer one with {make}",
        )
    else:
        yield Finding(check="secret", level=OK, message="a secret is given")


def check_private_server() -> Iterator[Finding]:
    """Without a Redis: judge whether `rootward up` could start one of its own."""
    from .embedded.server import NoServer, find_binary

    try:
        binary = find_binary()
    except NoServer as error:
        yield Finding(check="redis", level=PROBLEM, message="no Redis is given", advice=str(error))
    else:
        yield Finding(
            check="redis",
            level=WARNING,
            message=f"no Redis is given; `rootward up` would start {binary.name}",
            advice="set REDIS_URL to use workers on other machines",
        )
