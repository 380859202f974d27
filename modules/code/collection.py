"""Which files of a project go along: what was imported, what it may import later, what is named.

Packages that were touched go whole, with small data files beside their sources; single files go by
the import statements of whatever goes, at any depth. Walks look into nothing hidden, installed or
generated. The result is a list of paths; `bundle` reads them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.machinery import EXTENSION_SUFFIXES
from typing import TYPE_CHECKING, Final

from ..errors import TargetError
from .imports import imported_names, named_files, runs_files
from .loaded import loaded, stray_files
from .main_file import has_main_file
from .metadata import installed_metadata, metadata_files
from .patterns import Patterns
from .project import is_looked_into, is_rootward

if TYPE_CHECKING:
    from .loaded import Loaded
    from .project import Project

LARGEST_DATA_BYTES: Final = 1 << 20
"""Of a data file of a package, which goes along unasked."""
CODE: Final = (".py", ".pyc", ".pyi", ".so", ".pyd")
_MOST_FILES: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user said about the code: patterns to add and to leave out, and whether it goes."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    goes_along: bool = True


@dataclass(slots=True, kw_only=True)
class Collection:
    """The files that go along, and the data files of packages that are too large to go unasked.

    `names` are those that the sources import, `installed` the contents of what goes along from
    outside of the project, by path.
    """

    loaded: Loaded
    files: set[str] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    installed: dict[str, bytes] = field(default_factory=dict)


def collect(project: Project, wishes: Wishes) -> Collection:
    """Return the files of the project that a submission takes along.

    Raises TargetError for a pattern that points out of the project or means no file, and for a
    project of more than 100,000 files.
    """
    include, exclude = Patterns(wishes.include), Patterns(wishes.exclude)
    known = loaded(project)
    collection = Collection(loaded=known)
    walk = _Walk(project, collection, exclude)
    for folder, is_regular in known.packages.items():
        walk.add_package(folder, with_data=is_regular)
    for file in known.files:
        walk.add(file)
    walk.follow_imports()
    if walk.runs_files or not has_main_file():
        for file in stray_files(project):
            walk.add(file)
        walk.add_run_later()
        walk.follow_imports()
    if include:
        for file in _walk(project, "", with_hidden=include.mean_hidden):
            if include.matches(file):
                walk.add(file)
        if include.unused:
            raise TargetError(
                f"--include {include.unused[0]!r} means no file in {project.root}; patterns are "
                "relative to that folder"
            )
        walk.follow_imports()
    if collection.files:
        for file in metadata_files(project, known.search_path):
            walk.add(file)
        collection.installed = installed_metadata(project)
    collection.left_out = sorted(set(collection.left_out) - collection.files)
    return collection


class _Walk:
    """Adds files and follows what they import until nothing new is found."""

    def __init__(self, project: Project, collection: Collection, exclude: Patterns) -> None:
        self._project, self._collection, self._exclude = project, collection, exclude
        self._packages: set[str] = set()
        self._unread: list[str] = []
        self._names: set[str] = set()
        self.runs_files = False
        self._named: set[str] = set()

    def add(self, file: str) -> None:
        """Add one file, unless it is excluded."""
        files = self._collection.files
        if file in files or self._exclude.matches(file):
            return
        if len(files) >= _MOST_FILES:
            raise TargetError(
                f"{self._project.root} has more than {_MOST_FILES:,} files to go along: leave some "
                "out with --exclude, or have workers with the code installed (--no-bundle)"
            )
        files.add(file)
        if file.endswith(".py"):
            self._unread.append(file)

    def add_package(self, folder: str, *, with_data: bool) -> None:
        """Add a package whole; its data files only where it is a regular one, and small."""
        if folder in self._packages:
            return
        self._packages.add(folder)
        for file in _walk(self._project, folder):
            if file.endswith(CODE):
                self.add(file)
            elif with_data and not self._exclude.matches(file):
                if _size(self._project, file) <= LARGEST_DATA_BYTES:
                    self.add(file)
                else:
                    self._collection.left_out.append(file)

    def follow_imports(self) -> None:
        """Add what the files import of the project, and what that imports."""
        while self._unread:
            file = self._unread.pop()
            try:
                with open(self._project.path(file), "rb") as source:
                    text = source.read()
            except OSError:
                continue
            if runs_files(text):
                self.runs_files = True
                self._named |= named_files(text)
            for name in imported_names(text) - self._names:
                self._names.add(name)
                if not is_rootward(name):
                    self._add_named(name)
        self._collection.names |= self._names

    def add_run_later(self) -> None:
        """Add the files that are named where files are run by their path."""
        if self._named:
            for file in _walk(self._project, ""):
                if file.rpartition("/")[2] in self._named:
                    self.add(file)

    def _add_named(self, name: str) -> None:
        for folder in self._collection.loaded.search_path:
            place = f"{folder}/{name}" if folder else name
            path = self._project.path(place)
            if not self._project.owns(path):
                continue
            for suffix in (".py", ".pyc", *EXTENSION_SUFFIXES):
                if os.path.isfile(path + suffix):
                    self.add(place + suffix)
            if os.path.isdir(path) and is_looked_into(path):
                self.add_package(place, with_data=os.path.isfile(os.path.join(path, "__init__.py")))


def _walk(project: Project, folder: str, *, with_hidden: bool = False) -> Iterator[str]:
    """Yield the relative paths of the files below a folder, links followed, each folder once."""
    top = project.path(folder)
    seen: set[str] = set()
    for parent, folders, names in os.walk(top, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if is_looked_into(os.path.join(parent, name)))
        base = project.relative(parent)
        for name in sorted(names):
            if (with_hidden or name[0] != ".") and os.path.isfile(os.path.join(parent, name)):
                yield f"{base}/{name}" if base else name


def _size(project: Project, file: str) -> int:
    try:
        return os.stat(project.path(file)).st_size
    except OSError:
        return 0
