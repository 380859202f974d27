"""Tables and pictures of results: text for people, SVG for `--plot`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

_BAR, _ROW, _LEFT, _WIDTH = 12, 16, 250, 800


def text(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with its columns aligned."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(head, widths, strict=True)) + " |"]
    lines.append("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    lines += [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join(lines)


def plot(path: Path, title: str, bars: Sequence[tuple[str, float]], unit: str) -> None:
    """Save horizontal bars, one a pair of name and value, as SVG."""
    longest = max((value for _, value in bars), default=1.0) or 1.0
    height = 40 + _ROW * len(bars)
    scale = (_WIDTH - _LEFT - 90) / longest
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}">',
        "<style>text { font: 11px sans-serif }</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="10" y="20" style="font-size: 14px">{escape(title)}</text>',
    ]
    for index, (name, value) in enumerate(bars):
        y = 34 + _ROW * index
        width = max(1.0, value * scale)
        parts += [
            f'<text x="{_LEFT - 6}" y="{y + 10}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="#4477aa"/>',
            f'<text x="{_LEFT + width + 4:.1f}" y="{y + 10}">{value:.3g} {escape(unit)}</text>',
        ]
    path.write_text("\n".join([*parts, "</svg>\n"]))
