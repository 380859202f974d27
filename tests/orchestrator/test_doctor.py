"""What the check-up thinks of servers, secrets and workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rootward.orchestrator import doctor, doctor_system
from rootward.orchestrator.doctor import Finding, Server
from rootward.orchestrator.settings import Secret, Settings
from rootward.orchestrator.store.records import AgentInfo, AgentRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

GOOD = {
    "redis_version": "8.6.3",
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "cluster_enabled": 0,
    "role": "master",
}


def agent(version: str) -> AgentRecord:
    """A live worker of a version."""
    info = AgentInfo(id=f"w-{version}", worker="w", version=version)
    return AgentRecord(info=info, lease_ms=1000)


def levels(findings: Iterable[Finding]) -> dict[str, str]:
    """The levels of findings by the name of the check."""
    return {finding.check: finding.level for finding in findings}


@pytest.mark.parametrize(
    ("change", "check", "level"),
    [
        ({}, "version", "ok"),
        ({"redis_version": "5.0.14"}, "version", "problem"),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, "version", "ok"),
        ({"redis_version": "6.2.20"}, "version", "ok"),
        ({"redis_version": "6.2.19"}, "version", "warning"),
        ({"redis_version": "7.0.15"}, "version", "warning"),
        ({"redis_version": "8.6.2"}, "version", "warning"),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.3"}, "version", "warning"),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.4"}, "version", "ok"),
        ({"maxmemory_policy": "allkeys-lru"}, "eviction", "problem"),
        ({}, "eviction", "ok"),
        ({"aof_enabled": 0}, "persistence", "warning"),
        ({"aof_last_write_status": "err"}, "persistence", "problem"),
        ({}, "persistence", "ok"),
        ({"cluster_enabled": 1}, "topology", "problem"),
        ({"role": "slave"}, "topology", "problem"),
    ],
)
def test_the_server_is_judged_by_its_info(change: dict[str, Any], check: str, level: str) -> None:
    """Each thing that could lose a deployment is found, and none that couldn't."""
    info = {**GOOD, **change}
    looks = (
        doctor.check_version,
        doctor.check_memory,
        doctor.check_persistence,
        doctor.check_role,
    )
    findings = [finding for look in looks for finding in look(info)]
    assert levels(findings)[check] == level
    assert all(finding.advice for finding in findings if finding.level != "ok")


def test_latency_clock_and_rights_are_judged() -> None:
    """A far server, a wrong clock and a user who may run no scripts."""
    good = Server(info={}, round_trips_ms=[0.2, 0.3, 9.0], skew_s=0.1)
    bad = Server(info={}, round_trips_ms=[20.0], skew_s=-60.0, scripts=False)
    for server, expected in ((good, "ok"), (bad, "warning")):
        assert levels(doctor.check_latency(server)) == {"latency": expected}
        assert levels(doctor.check_clock(server)) == {"clock": expected}
    assert list(doctor.check_scripts(good)) == []
    assert levels(doctor.check_scripts(bad)) == {"scripts": "problem"}


def test_workers_are_judged_by_their_versions() -> None:
    """None at all, or a mixture, is worth a word."""
    assert levels(doctor.check_workers([])) == {"workers": "warning"}
    assert levels(doctor.check_workers([agent("1"), agent("1")])) == {"workers": "ok"}
    assert levels(doctor.check_workers([agent("1"), agent("2")])) == {"workers": "warning"}


def test_the_secret_is_judged_and_not_shown() -> None:
    """A missing one stops every worker; without a Redis nobody needs it."""
    found = [
        list(doctor.check_secret(Settings(redis_url="redis://x", secret=secret)))
        for secret in (None, Secret("short"), Secret("x" * 32))
    ]
    assert [finding.level for (finding,) in found] == ["problem", "warning", "ok"]
    assert "short" not in repr(found)
    assert levels(doctor.check_secret(Settings())) == {"secret": "ok"}


def test_a_good_server_has_no_problem(redis_url: str, prefix: str) -> None:
    """The private server passes its own check-up."""
    settings = Settings(redis_url=redis_url, prefix=prefix, secret=Secret("x" * 32))
    found = levels(doctor.examine(settings))
    assert "problem" not in found.values()
    assert found["eviction"] == "ok"
    assert found["workers"] == "warning"


def test_it_is_said_where_processes_may_outlive_a_killed_worker() -> None:
    """Only Linux has a signal for it."""
    found = [levels(doctor_system.check_deaths(platform)) for platform in ("linux", "darwin")]
    assert found == [{"deaths": "ok"}, {"deaths": "warning"}]


def test_without_redis_the_private_server_is_looked_for() -> None:
    """`up` needs a program to start."""
    assert "redis" in levels(doctor.examine(Settings()))
