"""The folder of one running `rootward up`, and how other commands of the same user find it.

All runs of a user live below one folder that only this user can enter. A run's folder is held by
a lock as long as its owner or its server lives; one without a holder is stale, is never believed,
and is swept away by the next run.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rootward.modules.errors import RootwardError

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE_FILE = "up.json"
LOCK_FILE = "lock"
# A folder is made before it is locked; nobody may sweep it in between.
SWEEP_AGE_S = 10.0


class NoFolder(RootwardError):
    """No folder is this user's alone; the message names those that were tried, and why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpState:
    """What a running `up` tells the user's other commands: where its Redis is, and the secret."""

    url: str
    secret: str = field(repr=False)
    prefix: str
    deployment: str
    pid: int
    started_at: float


class RunFolder:
    """One locked folder with mode 0700; `lock_fd` is to be passed to whatever must keep it."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self.lock_fd = lock_fd

    @classmethod
    def create(cls) -> RunFolder:
        """Make a new folder below the user's own, after sweeping away what dead runs have left."""
        for _ in range(10):
            base = _own_base()
            _sweep(base)
            try:
                path = Path(tempfile.mkdtemp(prefix="up-", dir=base))
                return cls(path, _lock(path / LOCK_FILE))
            except FileNotFoundError:
                # The last of the other runs has just taken the folder above along.
                continue
        raise NoFolder(f"{base} is removed as fast as it is made")

    @classmethod
    def at(cls, path: Path) -> RunFolder:
        """Lock the folder `path`, made if missing; BlockingIOError while another holds it."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(path, _lock(path / LOCK_FILE))

    def announce(self, state: UpState) -> None:
        """Write the state file (0600) in one step, so that nobody reads half of it."""
        draft = self.path / (STATE_FILE + ".new")
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(asdict(state), file)
        draft.replace(self.path / STATE_FILE)

    def withdraw(self) -> None:
        """Remove the state file: from now on nobody finds this run."""
        (self.path / STATE_FILE).unlink(missing_ok=True)

    def release(self) -> None:
        """Give up the lock; a second call does nothing."""
        if self.lock_fd >= 0:
            os.close(self.lock_fd)
            self.lock_fd = -1

    def remove(self) -> None:
        """Release and remove the folder, and the user's own when this was the last in it."""
        self.release()
        shutil.rmtree(self.path, ignore_errors=True)
        _remove_empty(self.path.parent)


def running() -> list[UpState]:
    """Return the states of this user's live runs, the newest first, no stale or foreign one."""
    paths = (path for base in _usable_bases() for path in _folders(base))
    found = [state for path in paths if (state := _read(path)) is not None]
    return sorted(found, key=lambda state: state.started_at, reverse=True)


def _bases() -> list[Path]:
    """Return where a user's runs may be, the best place first.

    Names in the folder for temporary files are anybody's to take, so there is one more at home.
    """
    bases = [Path(tempfile.gettempdir()) / f"rootward-{os.getuid()}"]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir() and os.access(runtime, os.W_OK):
        bases.insert(0, Path(runtime) / "rootward")
    with contextlib.suppress(RuntimeError):
        bases.append(Path.home() / ".local" / "state" / "rootward" / "run")
    return bases


def _usable_bases() -> Iterator[Path]:
    """Yield the places where this user's runs are: up to the first that nobody else has taken."""
    for base in _bases():
        yield base
        if _is_own(base) or not base.exists():
            return


def _own_base() -> Path:
    """Return the first of these places that is this user's alone; raises NoFolder."""
    refused = []
    for base in _bases():
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            refused.append(f"{base}: {error.strerror}")
            continue
        if _is_own(base):
            return base
        refused.append(f"{base} belongs to another user or is open to others")
    raise NoFolder(
        f"there is no folder for this run ({'; '.join(refused)}): set XDG_RUNTIME_DIR to one of "
        "your own that nobody else may enter"
    )


def _is_own(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def _folders(base: Path) -> Iterator[Path]:
    # Anyone can make a folder in /tmp: one that isn't ours alone is not looked into.
    if _is_own(base):
        yield from (path for path in base.iterdir() if path.name.startswith("up-"))


def _lock(path: Path, how: int = fcntl.LOCK_EX) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _is_held(folder: Path) -> bool:
    try:
        # Shared, so that two who look at once don't take each other for the holder.
        os.close(_lock(folder / LOCK_FILE, fcntl.LOCK_SH))
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _read(folder: Path) -> UpState | None:
    path = folder / STATE_FILE
    if not _is_own(path) or not _is_held(folder):
        return None
    try:
        return UpState(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _sweep(base: Path) -> None:
    for folder in list(_folders(base)):
        try:
            age = time.time() - folder.stat().st_mtime
            fd = _lock(folder / LOCK_FILE) if age > SWEEP_AGE_S else -1
        except OSError:
            continue
        if fd >= 0:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(fd)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
