"""The drawing of a plan for notebooks: tasks in columns by level, and the edges that matter.

Plain SVG without scripts, in colours that can be read on light and dark. What is too large to be
looked at as a graph isn't drawn.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from .graph import Kind

if TYPE_CHECKING:
    from .graph import PlanGraph

MOST_TASKS = 300
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 190, 26, 46, 10, 8
_COLOURS = {
    Kind.TRAIN: "#2f6fb0",
    Kind.PREPARE: "#7a7a7a",
    Kind.DEPLOY: "#2e8540",
    Kind.EVAL: "#8a5a00",
    Kind.JOIN: "#7a7a7a",
}
_LABEL = 26


def svg(plan: PlanGraph) -> str | None:
    """Return the graph of a plan as SVG; None for more than MOST_TASKS tasks."""
    if len(plan.steps) > MOST_TASKS:
        return None
    places: dict[str, tuple[int, int]] = {}
    levels = plan.levels()
    for column, level in enumerate(levels):
        for row, task in enumerate(level):
            x = _MARGIN + column * (_WIDTH + _GAP_X)
            places[task.id] = (x, _MARGIN + row * (_HEIGHT + _GAP_Y))
    width = 2 * _MARGIN + len(levels) * (_WIDTH + _GAP_X) - _GAP_X
    height = 2 * _MARGIN + max(map(len, levels), default=0) * (_HEIGHT + _GAP_Y) - _GAP_Y
    parts: list[str] = []
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{max(width, 1)}" height="{max(height, 1)}"'
        ' font-family="sans-serif" font-size="12" role="img"'
        f' aria-label="plan of {escape(plan.deployment)}">'
    )
    for task_id, before in plan.reduced().items():
        parts += [_edge(places[each], places[task_id]) for each in before]
    parts += [_node(task.id, task.kind, places[task.id]) for level in levels for task in level]
    return "".join([head, *parts, "</svg>"])


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x2, y2 = end[0], end[1] + _HEIGHT // 2
    middle = (x1 + x2) // 2
    return (
        f'<path d="M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}" fill="none"'
        ' stroke="#888888" stroke-width="1"/>'
    )


def _node(task_id: str, kind: Kind, place: tuple[int, int]) -> str:
    x, y = place
    shown = task_id if len(task_id) <= _LABEL else f"{task_id[:9]}…{task_id[-16:]}"
    return (
        f'<g><title>{escape(task_id)}</title><rect x="{x}" y="{y}" width="{_WIDTH}"'
        f' height="{_HEIGHT}" rx="4" fill="{_COLOURS[kind]}"/>'
        f'<text x="{x + 8}" y="{y + 17}" fill="#ffffff">{escape(shown)}</text></g>'
    )
