"""How a process writes its log as text: one cleaned line, and a traceback where there is one."""

from __future__ import annotations

import logging

from .terminal import clean


class CleanFormatter(logging.Formatter):
    """Formats a record as text that commands no terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as cleaned text, its traceback included."""
        return clean(super().format(record))


def log_as_text(level: int) -> None:
    """Have this process write its log as cleaned lines to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(CleanFormatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
