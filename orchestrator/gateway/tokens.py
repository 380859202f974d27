"""The gateway's own token: made at the first start, kept in a file that only its user can read.

It never stands on a command line, in a log or in an answer; whoever needs it reads the file.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from ..settings import SettingsError

FILE_NAME: Final = "gateway-token"
_LEAST_LENGTH: Final = 16


def default_path() -> Path:
    """Return where a user's token is kept."""
    given = os.environ.get("XDG_STATE_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".local" / "state"
    return base / "rootward" / FILE_NAME


def load(path: Path) -> str:
    """Return the token in the file, which is made if there is none.

    Raises SettingsError for a file that others may read, that isn't the user's, or that holds none.
    """
    try:
        if not path.exists():
            _make(path)
        with path.open(encoding="ascii") as file:
            mode = os.fstat(file.fileno())
            token = file.read(1024).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the token file {path} can't be used: {error}") from error
    if stat.S_IMODE(mode.st_mode) & 0o077 or mode.st_uid != os.getuid():
        raise SettingsError(f"{path} must be yours and readable by you alone: chmod 600 {path}")
    if len(token) < _LEAST_LENGTH or not token.isprintable() or " " in token:
        raise SettingsError(f"{path} holds no token: remove it, and the next start makes one")
    return token


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        # A gateway that starts at the same time may have been first: its token is the one.
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
