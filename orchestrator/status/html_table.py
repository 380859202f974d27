"""Tables of HTML, for notebooks: plain, escaped, without scripts."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_ROWS = 200


def heading_html(title: str, text: str) -> str:
    """Return a paragraph that begins with a title."""
    return f"<p><b>{escape(title)}</b> {escape(text)}</p>"


def table_html(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of texts, of a long one the first rows."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows[:MOST_ROWS]]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    more = f"<p>and {len(rows) - MOST_ROWS} more</p>" if len(rows) > MOST_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
