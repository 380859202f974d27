"""The seam to RQ: ids that it allows, and queues by protocol, resource and agent."""

from __future__ import annotations

import re
import zlib

import pytest

from rootward.orchestrator.store.rq_compat import (
    Serializer,
    agent_queue,
    ascii_name,
    job_id,
    plain_queue,
    repair_job_id,
    resource_queue,
)


@pytest.mark.parametrize("name", ["demo", "my.app", "büro", "搜索", "a_b-c"])
def test_job_ids_hold_only_what_rq_allows(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", job_id("p", name, 1, 0))
    assert re.fullmatch(r"[A-Za-z0-9_-]+", repair_job_id("p", name, 1))


def test_names_that_read_alike_get_different_ids() -> None:
    assert ascii_name("a.b") != ascii_name("a-b")
    assert ascii_name("a.b") != ascii_name("aüb")
    assert job_id("p", "demo", 2, 7) == "p-demo-2-7"


def test_queues_are_named_for_protocol_resources_and_agent() -> None:
    assert plain_queue("p") == "p-v2"
    assert resource_queue("p", {}) == resource_queue("p", {"gpu": 0}) == "p-v2"
    assert resource_queue("p", {"gpu": 2, "big": 1}) == "p-v2-big1-gpu2"
    assert agent_queue("p", "w-1") == "p-v2-at-w-1"


def test_a_payload_that_is_no_msgpack_is_refused() -> None:
    with pytest.raises(ValueError):
        Serializer.loads(b"\x80\x04\x95 a pickle")


def test_a_payload_that_rq_has_saved_anew_is_read_within_the_limit() -> None:
    """RQ's requeue stores what it has read compressed."""
    payload = ("run", None, ("demo", 1), {})
    assert Serializer.loads(zlib.compress(Serializer.dumps(payload))) == payload
    with pytest.raises(ValueError, match="above"):
        Serializer.loads(zlib.compress(b"\xc0" * 2**24))
    with pytest.raises(ValueError, match="inflated"):
        Serializer.loads(b"x is no zlib")
