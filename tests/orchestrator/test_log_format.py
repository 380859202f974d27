"""What a line of a log may hold."""

from __future__ import annotations

import logging

from rootward.orchestrator.log_format import CleanFormatter

ESC = "\x1b"


def test_log_lines_are_cleaned_with_their_tracebacks() -> None:
    record = logging.LogRecord("x", 20, "f", 1, "from %s", (f"a{ESC}]0;t\x07b",), None)
    assert CleanFormatter("%(levelname)s %(message)s").format(record) == "INFO from ab"
    try:
        raise ValueError(f"c{ESC}[2Jd")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    assert ESC not in CleanFormatter("%(message)s").format(record)
