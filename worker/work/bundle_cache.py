"""Unpacked bundles on this machine's disk, shared by the agents of one user.

Each bundle has a folder under its digest with its files and its manifest. Who uses one holds a
shared lock on its lock file, which the kernel takes back when the process ends; only what nobody
holds is evicted, the least recently used first, when all are too large together. What is found is
checked file by file against the manifest, and what is damaged is written anew. A folder appears
under its name only when it is whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import Final

from rootward.modules.code.bundle import Bundle, BundleFile, read_manifest
from rootward.modules.code.cache_folder import cache_folder
from rootward.modules.errors import BundleError

LARGEST_BYTES: Final = 2 << 30
"""Of all bundles together, before unused ones are evicted."""
_ABANDONED_S: Final = 3600.0
# The same for all files, so that what Python compiles of them stays valid; 1980 as in zip files.
_TIME: Final = 315_532_800


class Lease:
    """A bundle's folder, which stays as long as this is open."""

    def __init__(self, folder: Path, lock: int) -> None:
        """Take over the locked descriptor."""
        self.folder = str(folder)
        self._lock: int | None = lock

    def close(self) -> None:
        """Let it be evicted; twice is harmless."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class BundleCache:
    """The bundles below `folder`/bundles; `limit` is in bytes."""

    def __init__(self, folder: str = "", limit: int = LARGEST_BYTES) -> None:
        """Touch nothing yet.

        No folder means the user's cache, or one below the system's folder for temporary files where
        that can't be written to, as in a read-only container.
        """
        self._folder = Path(cache_folder(folder)) / "bundles"
        self._instead = None if folder else _temporary() / "bundles"
        self._limit = limit

    def open(self, digest: str) -> Lease | None:
        """Return the folder of a bundle; None when it isn't here, or damaged."""
        if not (self._folder / digest).is_dir():
            return None
        lock = self._locked(digest, fcntl.LOCK_SH)
        place = self._folder / digest
        try:
            files = read_manifest((place / "manifest").read_bytes(), digest)
            if not any(_is_damaged(place / "code", file) for file in files):
                os.utime(lock)
                return Lease(place / "code", lock)
        except (OSError, BundleError):
            # Damaged, or evicted in between: it is fetched anew.
            pass
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        return None

    def put(self, bundle: Bundle) -> Lease:
        """Write a bundle and return its folder; raises BundleError where that can't be done."""
        try:
            try:
                self._make_folder()
            except OSError:
                if self._instead is None:
                    raise
                self._folder, self._instead = self._instead, None
                self._make_folder()
            lock = self._locked(bundle.digest, fcntl.LOCK_SH)
            try:
                os.ftruncate(lock, 0)
                os.pwrite(lock, str(bundle.size).encode(), 0)
                self._write(bundle)
            except BaseException:
                os.close(lock)
                raise
            self._evict(bundle.digest)
        except OSError as error:
            raise BundleError(
                f"the code can't be kept in {self._folder} ({error.strerror}): set ROOTWARD_CACHE "
                "to a folder that this worker may write to"
            ) from error
        return Lease(self._folder / bundle.digest / "code", lock)

    def _make_folder(self) -> None:
        self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        places = [self._folder]
        if self._folder == _temporary() / "bundles":
            # Anybody may have made it before us.
            places.append(self._folder.parent)
        for place in places:
            found = place.lstat()
            if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise BundleError(
                    f"others may write to {place}, and code is run from it: set ROOTWARD_CACHE to "
                    "a folder of this user's own"
                )

    def _write(self, bundle: Bundle) -> None:
        place = self._folder / bundle.digest
        new = self._folder / f".{bundle.digest[:16]}.{secrets.token_hex(8)}"
        try:
            for file in bundle.files:
                _write_file(new / "code" / file.path, bundle.contents[file.path], file)
            (new / "code").mkdir(parents=True, exist_ok=True)
            (new / "manifest").write_bytes(bundle.manifest)
            try:
                new.rename(place)
            except OSError:
                # It is there, and somebody may be using it: what is damaged is replaced in place.
                _repair(place, new, bundle)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _evict(self, kept: str) -> None:
        """Remove what was used least recently, until all fits; what anybody uses stays."""
        for path in self._folder.glob(".*"):
            # Of an agent that was killed while it wrote; of one that writes it may just be gone.
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    shutil.rmtree(path, ignore_errors=True)
        found: list[tuple[float, int, str]] = []
        for path in self._folder.glob("*.lock"):
            with contextlib.suppress(OSError, ValueError):
                found.append((path.stat().st_mtime, int(path.read_text() or 0), path.stem))
        total = sum(size for _, size, _ in found)
        for _, size, digest in sorted(found):
            if total <= self._limit:
                return
            if digest != kept and self._remove(digest):
                total -= size

    def _remove(self, digest: str) -> bool:
        try:
            lock = self._locked(digest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        gone = self._folder / f".{digest[:16]}.{secrets.token_hex(8)}"
        try:
            with contextlib.suppress(FileNotFoundError):
                (self._folder / digest).rename(gone)
            (self._folder / f"{digest}.lock").unlink(missing_ok=True)
        finally:
            os.close(lock)
        shutil.rmtree(gone, ignore_errors=True)
        return True

    def _locked(self, digest: str, how: int) -> int:
        """Return a descriptor that holds the lock of a bundle."""
        path = self._folder / f"{digest}.lock"
        while True:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, how)
                # Who evicted it in between has taken the file away, and a lock on it is none.
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_ino == os.fstat(lock).st_ino:
                        return lock
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)


def _temporary() -> Path:
    return Path(tempfile.gettempdir()) / f"rootward-{os.geteuid()}"


def _write_file(path: Path, content: bytes, file: BundleFile) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    # Nobody is to write into it by mistake: other generations may use it, too.
    path.chmod(0o555 if file.is_executable else 0o444)
    os.utime(path, (_TIME, _TIME))


def _is_damaged(folder: Path, file: BundleFile) -> bool:
    path = folder / file.path
    try:
        found = path.lstat()
        return (
            not stat.S_ISREG(found.st_mode)
            or found.st_size != file.size
            or hashlib.sha256(path.read_bytes()).hexdigest() != file.digest
        )
    except OSError:
        return True


def _repair(place: Path, new: Path, bundle: Bundle) -> None:
    for file in bundle.files:
        if _is_damaged(place / "code", file):
            target = place / "code" / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            (new / "code" / file.path).replace(target)
    (new / "manifest").replace(place / "manifest")
