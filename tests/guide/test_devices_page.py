"""The example on the page about devices plans as the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rootward.modules.tree import Tree
from rootward.orchestrator.planning.collect import plan_tree

PAGE = Path(__file__).parents[2] / "docs" / "devices.md"


def test_the_example_needs_what_it_says() -> None:
    (block,) = re.findall(r"```python\n(.+?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(block, str(PAGE), "exec"), names)
    (service,) = plan_tree(Tree(names["served"], "ranker")).services
    assert service.resources == {"gpu": 1.0, "memory": 4.0}
    assert service.wanted == 2
