"""A plan as a drawing, as notebooks show it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from rootward.modules import ModuleBase, ServerModule
from rootward.orchestrator.client.client import plan
from rootward.orchestrator.planning.plan_svg import MOST_TASKS, svg


class Leaf(ModuleBase):
    def _get_train_tasks(self) -> object:
        return print


def tree(leaves: int) -> ModuleBase:
    root = ModuleBase(name="root")
    root.leaves = [Leaf(name="<leaf>") for _ in range(leaves)]  # type: ignore[attr-defined]
    return ServerModule(root, name="top")


def test_each_task_is_a_box_and_each_edge_a_line() -> None:
    """It is well-formed, and names are escaped."""
    made = plan(tree(2))
    root = ET.fromstring(svg(made) or "")
    space = "{http://www.w3.org/2000/svg}"
    titles = [title.text for title in root.iter(f"{space}title")]
    assert sorted(titles) == sorted(made.ids)
    edges = sum(len(before) for before in made.reduced().values())
    assert len(list(root.iter(f"{space}path"))) == edges
    assert made._repr_html_().startswith("<svg")
    assert repr(made) == f"<Plan top {len(made.steps)} tasks, 1 services>"


def test_what_nobody_could_look_at_is_text() -> None:
    """As `rootward plan` prints it."""
    made = plan(tree(MOST_TASKS + 1))
    assert svg(made) is None
    assert made._repr_html_().startswith("<pre>top: ")
