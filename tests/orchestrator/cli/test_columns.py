"""Text in columns: widths in cells, what gives way and what never does."""

from __future__ import annotations

import pytest

from rootward.orchestrator.cli.columns import (
    cells,
    pad,
    shorten,
    shorten_label,
    shorten_middle,
    widths,
)


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("", 0), ("模块", 4), ("模m", 3), ("é", 1), ("e\u0301", 1)]
)
def test_a_width_is_counted_in_cells(text: str, width: int) -> None:
    """A Chinese character takes two, a combining one none."""
    assert cells(text) == width
    assert cells(pad(text, 10)) == 10


@pytest.mark.parametrize("width", range(12))
@pytest.mark.parametrize("text", ["a long name of a module", "很长的模块名字", "a混b合c名d字e"])
def test_what_is_shortened_fits(text: str, width: int) -> None:
    """At any width, however the characters fall."""
    for shortened in (shorten(text, width), shorten_middle(text, width)):
        assert cells(shortened) <= width


def test_both_ends_of_a_name_stay() -> None:
    """They tell names apart; a text loses its end."""
    assert shorten_middle("embedder-of-the-second-index", 16) == "embedder-o…index"
    assert shorten("the weights are gone", 12) == "the weights…"
    assert shorten("short", 5) == "short"


def test_a_deep_row_keeps_half_of_its_width_for_the_name() -> None:
    """The branches lose their left part, so that the last one still shows."""
    label = shorten_label("|  " * 20 + "└- ", "tokenizer", 24)
    assert label.startswith("…")
    assert label.endswith("└- tokenizer")
    assert cells(label) <= 24
    assert shorten_label("|- ", "a", 24) == "|- a"


def test_the_last_columns_give_way_first_and_some_never() -> None:
    """-1 stays whole, 0 is left out, anything else is the least."""
    rows = [("state", "name" * 5, "http://127.0.0.1:4", "worker-one")]
    assert widths(rows, None, (-1, 6, 0, 4)) == [5, 20, 18, 10]
    assert widths(rows, 57, (-1, 6, 0, 4)) == [5, 20, 18, 8]
    assert widths(rows, 40, (-1, 6, 0, 4)) == [5, 20, 0, 4]
    assert widths(rows, 10, (-1, 6, 0, 4)) == [5, 6, 0, 4]
