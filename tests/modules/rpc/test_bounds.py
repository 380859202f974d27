"""Ranges of replicas: what they may be, and that what they may not be is named."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rootward.modules import ServerModule
from rootward.modules.rpc.bounds import ReplicaBounds, parse_bounds
from rootward.modules.tree import Tree
from rootward.orchestrator.planning.collect import plan_tree
from rootward.orchestrator.planning.plan import Plan


def served(**options: Any) -> ServerModule:
    return ServerModule(abs, name="m", **options)


def test_a_range_begins_with_its_fewest_and_at_least_one() -> None:
    assert served(replicas=(2, 8)).first_replicas == 2
    assert served(replicas=(0, 8)).first_replicas == 1
    assert served(replicas=3).first_replicas == 3
    assert served(replicas=3).bounds is None
    assert served(num_replicas=(1, 2)).bounds == ReplicaBounds(lowest=1, highest=2)


def test_options_are_what_the_range_is_made_of() -> None:
    module = served(replicas=(0, 4), target=2, scale_down_after=5, scale_to_zero_after=9)
    assert module.bounds == ReplicaBounds(
        lowest=0, highest=4, target=2.0, down_after_s=5.0, zero_after_s=9.0
    )
    assert str(module.bounds) == "0..4"
    assert "replicas" not in repr(module)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"replicas": (3, 2)}, r"replicas .*\(3, 2\).*fewest"),
        ({"replicas": (-1, 2)}, r"replicas .*\(-1, 2\)"),
        ({"replicas": (0, 0)}, r"replicas .*\(0, 0\)"),
        ({"replicas": (1, 2, 3)}, r"replicas .*\(1, 2, 3\)"),
        ({"replicas": (1, 2.0)}, r"replicas .*\(1, 2\.0\)"),
        ({"replicas": (True, 2)}, r"replicas .*\(True, 2\)"),
        ({"replicas": (1, 1001)}, r"replicas .*1001"),
        ({"replicas": 0}, "replicas .*not 0"),
        ({"replicas": "1..8"}, r"replicas .*'1\.\.8'"),
        ({"replicas": None}, "replicas .*None"),
        ({"replicas": (1, 2), "target": 0}, "target .*not 0"),
        ({"replicas": (1, 2), "target": math.nan}, "target .*nan"),
        ({"replicas": (1, 2), "target": "4"}, "target .*'4'"),
        ({"replicas": (1, 2), "scale_down_after": -1}, "scale_down_after .*-1"),
        ({"replicas": (0, 2), "scale_to_zero_after": math.inf}, "scale_to_zero_after .*inf"),
        ({"replicas": (1, 2), "port": 9000}, r"fixed port \(9000\)"),
    ],
)
def test_what_can_not_be_is_named_with_its_value(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        served(**options)


@pytest.mark.parametrize(
    "text", ["", "1", "1..", "..2", "2..1", "0..0", "a..b", "1...3", "1..9999"]
)
def test_a_text_that_is_no_range_is_refused_with_it(text: str) -> None:
    with pytest.raises(ValueError, match="no range of replicas"):
        parse_bounds(text)


def test_a_range_by_hand_keeps_the_target_and_times_of_the_tree() -> None:
    own = ReplicaBounds(lowest=1, highest=2, target=7, down_after_s=3, zero_after_s=5)
    assert parse_bounds(" 0..9 ", own) == ReplicaBounds(
        lowest=0, highest=9, target=7, down_after_s=3, zero_after_s=5
    )


def test_a_plan_keeps_the_range_and_shows_it() -> None:
    plan = plan_tree(Tree(served(replicas=(0, 4), target=2), "m"))
    (service,) = Plan.from_bytes(plan.to_bytes()).services
    assert service.bounds == ReplicaBounds(lowest=0, highest=4, target=2.0)
    assert service.wanted == 1
    assert "0..4 replicas" in str(plan)
    (fixed,) = Plan.from_bytes(plan_tree(Tree(served(replicas=2), "m")).to_bytes()).services
    assert (fixed.bounds, fixed.wanted) == (None, 2)
