"""The picture of a deployment as lines of styled text: a head line, and a row for each module.

It is drawn for a width and a height in cells (None: as long as it is), from a Board or from rows,
and knows neither terminal nor Redis. Of a row the label gives way first, then worker and address;
its state is always whole.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ..terminal import clean
from .columns import GAP, cells, pad, shorten, shorten_label, shorten_middle, widths
from .output import STATE_COLOURS, duration
from .tree_rows import Row, counted, fold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .board import Board

Line = list[tuple[str, str]]
_BAR_CELLS = 20
_LEAST_LABEL = 12
_LEAST_WORKER = 6


def board_lines(
    title: str, board: Board, now: float, *, width: int | None = None, height: int | None = None
) -> list[Line]:
    """Return head line and rows of a board, at most `height` lines; `now` in Unix seconds."""
    rows, hidden = board.rows(now), Counter[str]()
    if height is not None:
        rows, hidden = fold(rows, height - 1)
    return [head_line(title, board, now, width), *row_lines(rows, hidden, width=width)]


def head_line(title: str, board: Board, now: float, width: int | None = None) -> Line:
    """Return name, state, how far it has come and how long it has taken."""
    done, total = board.counts
    elapsed = (board.ended_at or now) - board.created_at if board.created_at else None
    words: Line = [(f"  {board.state}", STATE_COLOURS.get(board.state, ""))]
    if total:
        words.append((f"  {done}/{total} done", ""))
    if board.state in {"pending", "progressing"}:
        if elapsed is not None:
            words.append((f"  {duration(elapsed)}", "dim"))
        if total:
            words.append(("  " + bar(done / total, _BAR_CELLS), "cyan"))
    room = None if width is None else width - sum(cells(word) for word, _ in words[:3])
    if width is not None and room is not None:
        title = shorten(title, max(_LEAST_LABEL, room))
        while len(words) > 2 and cells(title) + sum(cells(word) for word, _ in words) > width:
            words.pop()
    return [(title, "bold"), *words]


def row_lines(
    rows: Sequence[Row],
    hidden: Counter[str] | None = None,
    *,
    width: int | None = None,
    with_urls: bool = False,
    hint: str = "",
) -> list[Line]:
    """Return the rows in columns that fit into `width`, and a line for what is hidden."""
    urls = [_urls(row, whole=width is None) if with_urls else "" for row in rows]
    known = [
        (row.label, _word(row), _seconds(row), row.worker, url)
        for row, url in zip(rows, urls, strict=True)
    ]
    # Above all the state; then the time, the label, the address, and the worker last.
    order = (1, 2, 0, 4, 3)
    columns = [tuple(row[i] for i in order) for row in known]
    found = _fitting(columns, width) if columns else [0] * 5
    by_column = dict(zip(order, found, strict=True))
    lines = [_row_line(row, known[n], by_column) for n, row in enumerate(rows)]
    if hidden:
        lines.append([(f"… {hidden.total()} more: {counted(hidden)}{hint}", "dim")])
    return lines


def bar(fraction: float, width: int) -> str:
    """Return a progress bar of that many cells."""
    full = int(min(1.0, max(0.0, fraction)) * width)
    return "━" * full + "─" * (width - full)


def plain_text(lines: Sequence[Line]) -> str:
    """Return lines without their styles."""
    return "\n".join("".join(word for word, _ in line).rstrip() for line in lines)


def as_text(lines: Sequence[Line]) -> Any:
    """Return lines as rich shows them."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="ellipsis")
    for number, line in enumerate(lines):
        if number:
            text.append("\n")
        for word, style in line:
            text.append(clean(word), style)
    return text


def _fitting(columns: Sequence[Sequence[str]], width: int | None) -> list[int]:
    """Return the widths of state, time, label, address and worker: the last is left out first."""
    for least in (
        (-1, -1, _LEAST_LABEL, 0, _LEAST_WORKER),
        (-1, -1, _LEAST_LABEL, 0, 0),
        (-1, 0, _LEAST_LABEL, 0, 0),
    ):
        found = widths(columns, width, least)
        if width is None or sum(found) + GAP * (sum(map(bool, found)) - 1) <= width:
            break
    return found


def _row_line(row: Row, texts: Sequence[str], column: dict[int, int]) -> Line:
    label = shorten_label(row.branch, row.name, column[0])
    style = "green" if row.is_folded else STATE_COLOURS.get(row.state, "")
    parts = [
        (pad(label, column[0]), ""),
        (pad(texts[1], column[1]), style),
        (texts[2].rjust(column[2]), "dim"),
        (pad(shorten_middle(texts[3], column[3]), column[3]), "dim"),
        (shorten(texts[4], column[4]), "dim"),
    ]
    shown = [part for number, part in enumerate(parts) if column[number]]
    line: Line = []
    for number, (word, style) in enumerate(shown):
        line.append((word if number == len(shown) - 1 else word + "  ", style))
    return line


def _word(row: Row) -> str:
    if row.fraction is not None and not row.hidden:
        return f"{row.state} {bar(row.fraction, 10)} {row.fraction:4.0%}"
    return row.word


def _seconds(row: Row) -> str:
    return "" if row.seconds is None else duration(row.seconds)


def _urls(row: Row, *, whole: bool) -> str:
    if whole or len(row.urls) < 2:
        return " ".join(row.urls)
    return f"{row.urls[0]} +{len(row.urls) - 1}"
