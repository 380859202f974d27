"""The bundle: an immutable record of the files of a project, and its bytes.

A bundle is known by its digest: SHA-256 over its manifest, which lists path, size, SHA-256 and mode
of each file in order and what platform they need. So the same code has the same digest on every
machine and in every folder. The archive is the manifest and the compressed contents. Nothing of an
archive is believed: paths, counts and sizes are checked before a byte of content is looked at.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ..errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .project import Project

FORMAT: Final = 1
MOST_FILES: Final = 100_000
DEEPEST: Final = 64
"""Folders, of a path."""
LONGEST_PATH: Final = 1024
"""Bytes, of a path."""
LARGEST: Final = 4 << 30
"""Bytes, of all contents; what may be stored is set by ROOTWARD_BUNDLE_LIMIT."""
_LONGEST_MANIFEST: Final = 64 << 20
_SHOWN: Final = 5
_DIGEST: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class BundleFile:
    """One file: relative path with `/`, size in bytes, SHA-256 (hex), whether it is a program."""

    path: str
    size: int
    digest: str
    is_executable: bool = False


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The files of one code state, in the order of their paths, and what they need.

    `needs` names what a process must have for them: `python` (for .pyc files and extensions of one
    version) and `platform`. `root` is the submitter's folder and no part of the digest.
    """

    files: tuple[BundleFile, ...]
    needs: Mapping[str, str] = field(default_factory=dict)
    root: str = field(default="", compare=False)
    contents: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the manifest."""
        return hashlib.sha256(self.manifest).hexdigest()

    @cached_property
    def manifest(self) -> bytes:
        """The list of files as bytes, the same for the same files."""
        import msgpack

        rows = [[f.path, f.size, bytes.fromhex(f.digest), f.is_executable] for f in self.files]
        packed: bytes = msgpack.packb([FORMAT, rows, sorted(self.needs.items())])
        return packed

    @property
    def size(self) -> int:
        """Bytes of all contents."""
        return sum(file.size for file in self.files)

    def archive(self) -> bytes:
        """Return the bytes that are stored: manifest and compressed contents."""
        import msgpack

        # A higher level takes twice as long for a tenth less.
        body = zlib.compressobj(3)
        parts = [body.compress(self.contents[file.path]) for file in self.files]
        packed: bytes = msgpack.packb([self.manifest, b"".join([*parts, body.flush()])])
        return packed


def read_bundle(
    project: Project,
    paths: Iterable[str],
    limit: int,
    more: Mapping[str, bytes] = MappingProxyType({}),
) -> Bundle:
    """Read files of a project into a bundle, and take `more` contents along.

    Raises BundleError for a file that can't be read and above `limit` bytes of contents.
    """
    ordered = sorted(paths)
    sizes = {path: _size(project.path(path)) for path in ordered}
    if sum(sizes.values()) > limit:
        raise BundleError(_too_large(project.root, sizes, limit))
    contents = dict(more)
    files = [
        BundleFile(path=path, size=len(content), digest=hashlib.sha256(content).hexdigest())
        for path, content in more.items()
    ]
    for path in ordered:
        place = project.path(path)
        try:
            with open(place, "rb") as source:
                content = source.read()
            mode = os.stat(place).st_mode
        except OSError as error:
            raise BundleError(f"{place} can't be read: {error.strerror}") from error
        contents[path] = content
        digest = hashlib.sha256(content).hexdigest()
        files.append(
            BundleFile(
                path=path, size=len(content), digest=digest, is_executable=bool(mode & 0o100)
            )
        )
    if sum(map(len, contents.values())) > limit:
        raise BundleError(_too_large(project.root, {f.path: f.size for f in files}, limit))
    for path in contents:
        check_path(path)
    listed = tuple(sorted(files))
    return Bundle(files=listed, needs=_needs(ordered), root=project.root, contents=contents)


def open_archive(archive: bytes, digest: str) -> Bundle:
    """Return the bundle of an archive with the given digest.

    Raises BundleError for anything that is no such archive: wrong bytes, paths that leave the
    folder, more or larger files than may be.
    """
    import msgpack

    try:
        manifest, body = msgpack.unpackb(archive, max_bin_len=LARGEST)
        files, needs = _listed(manifest, digest)
        return Bundle(files=files, needs=needs, contents=_contents(files, body))
    except (ValueError, TypeError, AttributeError, zlib.error) as error:
        raise _unusable(digest, error) from error


def read_manifest(manifest: bytes, digest: str) -> tuple[BundleFile, ...]:
    """Return the files of the bundle with this digest; raises BundleError for another manifest."""
    try:
        return _listed(manifest, digest)[0]
    except (ValueError, TypeError, AttributeError) as error:
        raise _unusable(digest, error) from error


def unmet_needs(needs: Mapping[str, str]) -> str | None:
    """Say what this process lacks of what a bundle needs; None when it has all."""
    here = platform_needs()
    for name, value in needs.items():
        if here.get(name) != value:
            return f"its compiled files are for {name} {value}, and here is {here.get(name)}"
    return None


def platform_needs() -> dict[str, str]:
    """Return what compiled files that were made here need: Python's tag and the platform."""
    import sysconfig

    return {"python": str(sys.implementation.cache_tag), "platform": sysconfig.get_platform()}


def check_path(path: object) -> str:
    """Return a path that is safe to write below a folder; BundleError for any other."""
    if isinstance(path, str) and _is_safe(path):
        return path
    raise BundleError(f"{path!r:.80} is no path that a bundle may have")


def _is_safe(path: str) -> bool:
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        return False
    parts = path.split("/")
    return (
        length <= LONGEST_PATH
        and len(parts) <= DEEPEST
        and not {"", ".", ".."}.intersection(parts)
        and not re.search(r"[\\\x00-\x1f]|^[A-Za-z]:", path)
    )


def _unusable(digest: str, error: Exception) -> BundleError:
    return BundleError(f"the bundle {digest[:12]} can't be used: {error}")


def _listed(manifest: bytes, digest: str) -> tuple[tuple[BundleFile, ...], dict[str, str]]:
    import msgpack

    if len(manifest) > _LONGEST_MANIFEST:
        raise ValueError("its manifest is too long")
    if hashlib.sha256(manifest).hexdigest() != digest:
        raise ValueError("its digest is another")
    version, rows, needs = msgpack.unpackb(manifest, max_array_len=MOST_FILES)
    if version != FORMAT:
        raise ValueError(f"it has format {version}, this rootward reads {FORMAT}")
    files = []
    total = 0
    for path, size, sha256, is_executable in rows:
        check_path(path)
        if not isinstance(size, int) or size < 0 or len(sha256) != 32:
            raise ValueError(f"its entry of {path!r} is broken")
        total += size
        files.append(
            BundleFile(path=path, size=size, digest=sha256.hex(), is_executable=bool(is_executable))
        )
    if total > LARGEST:
        raise ValueError("its contents are too large")
    _check_tree([file.path for file in files])
    return tuple(files), {str(name): str(value) for name, value in needs}


def _check_tree(paths: list[str]) -> None:
    """Refuse a list with a path twice, or with one that is both a file and a folder."""
    known = set(paths)
    if len(known) != len(paths) or paths != sorted(paths):
        raise ValueError("its files aren't in order")
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent:
            if parent in known:
                raise ValueError(f"{parent!r} is a file and a folder")
            parent = parent.rpartition("/")[0]


def _contents(files: tuple[BundleFile, ...], body: bytes) -> dict[str, bytes]:
    """Decompress no more than the manifest announces, and check each file."""
    total = sum(file.size for file in files)
    inflate = zlib.decompressobj()
    data = memoryview(inflate.decompress(body, total + 1))
    if len(data) != total or not inflate.eof:
        raise ValueError("its contents are of another size than its manifest says")
    contents: dict[str, bytes] = {}
    at = 0
    for file in files:
        content = bytes(data[at : at + file.size])
        at += file.size
        if hashlib.sha256(content).hexdigest() != file.digest:
            raise ValueError(f"{file.path} isn't what its manifest says")
        contents[file.path] = content
    return contents


def _needs(paths: Iterable[str]) -> dict[str, str]:
    needs: dict[str, str] = {}
    for path in paths:
        if path.endswith((".so", ".pyd", ".dylib", ".dll")):
            return platform_needs()
        if path.endswith(".pyc"):
            needs["python"] = platform_needs()["python"]
    return needs


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError as error:
        raise BundleError(f"{path} can't be read: {error.strerror}") from error


def _too_large(root: str, sizes: Mapping[str, int], limit: int) -> str:
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:_SHOWN]
    named = ", ".join(f"{path} ({size / 2**20:,.1f} MiB)" for path, size in largest)
    return (
        f"the code in {root} is {sum(sizes.values()) / 2**20:,.1f} MiB, the limit is "
        f"{limit / 2**20:,.1f} MiB; the largest files: {named}. Leave them out with --exclude, "
        "have workers with the code installed (--no-bundle), or raise ROOTWARD_BUNDLE_LIMIT"
    )


def is_digest(text: object) -> bool:
    """Whether this is the digest of a bundle, fit to be part of a path or key."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None
