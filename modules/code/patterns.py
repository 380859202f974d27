"""Patterns that name files of a project: what `--include` and `--exclude` take.

A pattern is relative to the project and uses `/`: `*` and `?` stay within one name, `**` goes
through any number of folders. One without a `/` means that name in any folder; one that names a
folder means all that is in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Patterns:
    """Some patterns; raises TargetError for one that points out of the project."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Check and translate them."""
        self._texts = tuple(patterns)
        self._compiled = [(text, _compiled(text)) for text in self._texts]
        self._unused = set(self._texts)

    def __bool__(self) -> bool:
        return bool(self._compiled)

    def matches(self, path: str) -> bool:
        """Whether one of them means this relative path."""
        found = False
        for text, compiled in self._compiled:
            if compiled.fullmatch(path):
                self._unused.discard(text)
                found = True
        return found

    @property
    def mean_hidden(self) -> bool:
        """Whether one of them names a hidden file or folder."""
        return any(part.startswith(".") for text in self._texts for part in text.split("/"))

    @property
    def unused(self) -> tuple[str, ...]:
        """Those that have matched nothing so far."""
        return tuple(text for text in self._texts if text in self._unused)


def _compiled(pattern: str) -> re.Pattern[str]:
    text = pattern.replace("\\", "/").removeprefix("./").rstrip("/")
    if not text or text.startswith("/") or ".." in text.split("/"):
        raise TargetError(
            f"the pattern {pattern!r} must lie inside of the project: write it relative to the "
            "project's folder, as in 'data/*.csv'"
        )
    if "/" not in text:
        text = f"**/{text}"
    parts = text.split("/")
    expression = "".join(
        "(?:[^/]+/)*" if part == "**" else _segment(part) + "/" for part in parts[:-1]
    )
    last = ".*" if parts[-1] == "**" else _segment(parts[-1]) + "(?:/.*)?"
    return re.compile(expression + last, re.DOTALL)


def _segment(part: str) -> str:
    pieces = re.split(r"(\*+|\?|\[[^/\]]+\])", part)
    return "".join(
        "[^/]*" if piece.startswith("*") else "[^/]" if piece == "?" else _set_of(piece)
        for piece in pieces
        if piece
    )


def _set_of(piece: str) -> str:
    if piece.startswith("[") and piece.endswith("]") and len(piece) > 2:
        inner = piece[1:-1].replace("\\", r"\\")
        return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
    return re.escape(piece)
