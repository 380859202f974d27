"""Text in columns: how many cells it takes, how it is shortened, and which column gives way.

Widths are counted in cells of the terminal, as a Chinese character takes two. Only what is meant to
be shortened is: states and numbers are shown whole or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MORE = "…"
GAP = 2


def cells(text: str) -> int:
    """Return how many cells of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def pad(text: str, width: int) -> str:
    """Fill the text up with spaces to a width in cells."""
    return text + " " * max(0, width - cells(text))


def shorten(text: str, width: int) -> str:
    """Cut the end of a text off so that it takes at most `width` cells, and mark that."""
    if cells(text) <= width:
        return text
    return _head(text, width - 1) + MORE if width > 0 else ""


def shorten_middle(text: str, width: int) -> str:
    """Cut the middle of a text out: of names, both ends tell them apart."""
    if cells(text) <= width:
        return text
    if width < 8:
        return shorten(text, width)
    tail = _head(text[::-1], (width - 1) // 3)[::-1]
    return _head(text, width - 1 - cells(tail)) + MORE + tail


def shorten_label(branch: str, name: str, width: int) -> str:
    """Shorten the label of a tree's row: first its name, then, deep down, its branch from the left.

    At least half of the width is left to the name.
    """
    room = max(width // 2, width - cells(name))
    if cells(branch) > room:
        kept = branch[len(branch) - max(0, room - 1) :]
        branch = MORE + kept if room > 0 else ""
    return branch + shorten_middle(name, width - cells(branch))


def widths(rows: Sequence[Sequence[str]], room: int | None, least: Sequence[int]) -> list[int]:
    """Return the width of each column so that a row fits into `room` cells (None: no limit).

    `least[i]` is what column i may be shortened to, -1 when it stays whole, 0 when it is left out
    rather than shortened. The last columns give way first.
    """
    found = [max((cells(row[i]) for row in rows), default=0) for i in range(len(least))]
    if room is None:
        return found
    for number in range(len(least) - 1, -1, -1):
        over = sum(found) + GAP * (sum(width > 0 for width in found) - 1) - room
        if over <= 0:
            break
        if least[number] == 0:
            found[number] = 0
        elif least[number] > 0:
            found[number] = min(found[number], max(least[number], found[number] - over))
    return found


def _head(text: str, width: int) -> str:
    if text.isascii():
        return text[: max(0, width)]
    kept, used = 0, 0
    for character in text:
        used += cells(character)
        if used > width:
            break
        kept += 1
    return text[:kept]
