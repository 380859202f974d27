"""What stands in deploy/ for Prometheus and Grafana: they can read it, and it asks for what is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
RULES, DASHBOARD = ROOT / "deploy/prometheus-rules.yml", ROOT / "deploy/grafana-dashboard.json"
PROMTOOL = shutil.which("promtool")


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def expressions() -> list[str]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    alerts = [rule["expr"] for group in groups for rule in group["rules"]]
    return alerts + [t["expr"] for panel in dashboard()["panels"] for t in panel["targets"]]


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool (Debian's prometheus has it)")
def test_promtool_takes_the_rules() -> None:
    assert PROMTOOL
    found = subprocess.run(
        [PROMTOOL, "check", "rules", str(RULES)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_what_is_asked_for_is_told_of() -> None:
    """A metric that was renamed would leave an alert that never fires."""
    asked = {name for each in expressions() for name in re.findall(r"\brootward_[a-z_]+", each)}
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    documented = (ROOT / "docs" / "metrics.md").read_text()
    told = set(re.findall(r"^\| `(rootward_[a-z_]+)`", documented, re.MULTILINE))
    assert bases - told == set()


def test_every_alert_says_how_bad_it_is_and_what_it_means() -> None:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}


def test_panels_have_places_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(x < 24 for x, _ in cells)
