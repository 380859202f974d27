"""One line of progress, wherever a program runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rootward.orchestrator.client import progress_line
from rootward.orchestrator.client.progress_line import (
    NoLine,
    NotebookLine,
    PlainLine,
    TerminalLine,
    progress_html,
)

if TYPE_CHECKING:
    import pytest


class Shell:
    """What IPython gives as its shell in a notebook."""

    kernel = object()


def test_the_line_fits_where_the_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe, a terminal, a notebook, or none when it isn't wanted."""
    line = progress_line.progress_line
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert isinstance(line("d@1"), PlainLine)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(line("d@1"), TerminalLine)
    assert isinstance(line("d@1", wanted=False), NoLine)
    ipython = type(sys)("IPython")
    ipython.get_ipython = Shell  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert isinstance(line("d@1"), NotebookLine)


def test_a_pipe_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is over in ten seconds says nothing."""
    with PlainLine("d@1") as line:
        line.show("progressing", 1, 4)
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(progress_line, "PLAIN_EVERY_S", 0.0)
        line.show("progressing", 2, 4)
    assert capsys.readouterr().err.startswith("d@1 progressing 2/4 done 0.")


def test_a_terminal_shows_a_line_and_takes_it_away(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a bar; what is printed meanwhile stays."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with TerminalLine("d@1") as line:
        line.show("progressing", 1, 2)
    assert "d@1 progressing 1/2 done" in capsys.readouterr().err


def test_a_notebook_gets_a_bar_without_markup_of_the_users() -> None:
    """Names are escaped."""
    shown = progress_html("<b>@1 progressing", 1, 2)
    assert "&lt;b&gt;@1" in shown
    assert '<progress value="1" max="2">' in shown
