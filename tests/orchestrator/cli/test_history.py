"""The table of `history`: what a row says, and that it fits a narrow terminal."""

from __future__ import annotations

from dataclasses import replace

from rootward.orchestrator.cli.columns import widths
from rootward.orchestrator.cli.history import HISTORY_HEADER, HISTORY_LEAST, history_row
from rootward.orchestrator.status.evaluations import Evaluation
from rootward.orchestrator.status.history import HistoryEntry


def entry(*evaluations: Evaluation, by: str | None, how: str, digest: str | None) -> HistoryEntry:
    return HistoryEntry(
        generation=12,
        state="progressing",
        current=True,
        created_at=1000.0,
        by=by,
        how=how,
        digest=digest,
        evaluations=evaluations,
    )


def test_a_row_says_what_was_measured_of_which_module() -> None:
    """By its path below the deployment's name; what isn't known is a dash."""
    found = entry(
        Evaluation(module="calc", result=0.98765, measure="accuracy"),
        Evaluation(module="calc/leaf", result=[1, 2], result_repr="[1, 2]"),
        by="ana@tower",
        how="deploy",
        digest="0123456789abcdef",
    )
    assert history_row("calc", found, 1012.34) == (
        *("@12", "progressing", "yes", "12.3s", "ana@tower", "deploy", "01234567"),
        "calc accuracy=0.9877, leaf result=[1, 2]",
    )
    unknown = history_row("calc", entry(by=None, how="restored", digest=None), 1000.5)
    assert unknown[4:] == ("-", "restored", "-", "-")


def test_a_row_says_what_can_be_gone_back_to_and_where_a_generation_came_from() -> None:
    made = entry(by="ana@tower", how="rollback", digest=None)
    shown = history_row("calc", replace(made, current=False, can_roll_back=True, source=3), 1000.5)
    assert (shown[2], shown[5]) == ("can be", "rollback (@3)")


def test_the_table_fits_a_narrow_terminal() -> None:
    """Long names are shortened, and nothing else has to be."""
    evaluation = Evaluation(module="calc", result_repr="x" * 60)
    found = entry(evaluation, by="a" * 64 + "@" + "b" * 64, how="restored", digest="ab" * 32)
    rows = [HISTORY_HEADER, history_row("calc", found, 1000.0 + 3600)]
    fitting = widths(rows, 80, HISTORY_LEAST)
    assert sum(fitting) + 2 * (len(fitting) - 1) <= 80
