"""The list of metrics: unique names by Prometheus' conventions, the same in the docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rootward.orchestrator.metrics import CATALOGUE, Metric, MetricKind, Times
from rootward.orchestrator.metrics.catalogue import table
from rootward.orchestrator.metrics.exposition import Exposition, Families

DOCS = Path(__file__).parents[3] / "docs" / "metrics.md"


def test_the_documented_list_is_the_one_in_force() -> None:
    assert DOCS.read_text().endswith(table())


def test_no_name_stands_twice() -> None:
    names = [metric.name.removesuffix("_total") for metric in CATALOGUE]
    assert len(set(names)) == len(names) > 40


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Metric) -> None:
    assert re.fullmatch(r"rootward_[a-z][a-z_]*", metric.name)
    assert metric.name.endswith("_total") is (metric.kind is MetricKind.COUNTER)
    assert metric.name.endswith("_seconds") or metric.kind is not MetricKind.HISTOGRAM
    assert not re.search(r"_(ms|millis|minutes|kb|mb|percent)(_|$)", metric.name)
    assert all(re.fullmatch(r"[a-z_]+", label) and label != "le" for label in metric.labels)
    assert metric.meaning.endswith(".")


def test_every_metric_can_be_written_and_is_read_back() -> None:
    times = Times((1.0, 2.0))
    for seconds in (0.5, 1.0, 1.5, 9.0):
        times.observe(seconds)
    families = Families()
    for metric in CATALOGUE:
        labels = ['a "quoted"\n\\' for _ in metric.labels]
        if metric.name == "rootward_build_info":
            continue
        if metric.kind is MetricKind.HISTOGRAM:
            families.add_times(metric, times, *labels)
        else:
            families.add(metric, 3, *labels)
    text = Exposition().text(families).decode()
    found = {each.name: each for each in text_string_to_metric_families(text)}
    for metric in CATALOGUE:
        family = found[metric.name.removesuffix("_total")]
        assert family.documentation == metric.meaning
        assert set(family.samples[0].labels) - {"le"} == set(metric.labels)
    histogram = found["rootward_call_seconds"]
    values = {(each.name, each.labels.get("le")): each.value for each in histogram.samples}
    assert values["rootward_call_seconds_bucket", "1.0"] == 2
    assert values["rootward_call_seconds_bucket", "+Inf"] == 4
    assert values["rootward_call_seconds_count", None] == 4
    assert values["rootward_call_seconds_sum", None] == 12.0
    assert "process_resident_memory_bytes" in found
    assert found["rootward_build_info"].samples[0].labels.keys() == {"version", "python"}


def test_a_page_is_what_was_collected_last() -> None:
    page = Exposition()
    first, second = Families(), Families()
    metric = next(each for each in CATALOGUE if each.name == "rootward_gateway_connections")
    first.add(metric, 1)
    second.add(metric, 2)
    assert b"rootward_gateway_connections 1.0" in page.text(first)
    again = page.text(second)
    assert b"rootward_gateway_connections 2.0" in again
    assert again.count(b"\nrootward_build_info{") == 1
