"""What lazyllm keeps for a session: it goes along with each call, and with each task.

Prompts, chat histories, files and parameters that a caller has set in `lazyllm.globals` are looked
up under the session's id wherever a module runs; a copy of them is there, under the same id.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import lazyllm

if TYPE_CHECKING:
    from collections.abc import Iterator


class Session:
    """A session's id and a copy of its data."""

    __slots__ = ("data", "sid")

    def __init__(self, sid: str, data: dict[str, Any]) -> None:
        self.sid = sid
        self.data = data

    @classmethod
    def current(cls) -> Session:
        """Return the caller's session."""
        return cls(lazyllm.globals._sid, dict(lazyllm.globals._data))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let what runs in the block see this session, and leave nothing of it here."""
        before = lazyllm.globals._sid
        lazyllm.globals._init_sid(self.sid)
        is_own = before != self.sid
        if is_own:
            lazyllm.globals._update(self.data)
        try:
            yield
        finally:
            if is_own:
                lazyllm.globals.clear()
            lazyllm.globals._init_sid(before)
