"""What this process has executed of a project: its modules, where each was found, stray files.

It reads `sys.modules` and, where files may have been run without being put there (a plugin loaded
by its path), the functions and modules that are alive. Nothing is imported, and no file is read.
"""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from .project import is_rootward

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The project's part of what is imported; all paths are relative to the project.

    `homes` are the folders (or zip files) in which each top-level name was found, `placed` the
    files of modules that have other names than their files, `packages` the folders of top-level
    packages (true: it has an `__init__`), `files` single files, `search_path` the project's
    entries of `sys.path`, `outside` the user's other ones, absolute.
    """

    homes: Mapping[str, tuple[str, ...]]
    placed: Mapping[str, str]
    packages: Mapping[str, bool]
    files: frozenset[str]
    search_path: tuple[str, ...]
    outside: tuple[str, ...]


def loaded(project: Project) -> Loaded:
    """Return what this process has loaded of the project."""
    homes: dict[str, tuple[str, ...]] = {}
    placed: dict[str, str] = {}
    packages: dict[str, bool] = {}
    files: set[str] = set()
    # Whatever a program has put there.
    known: list[tuple[str, object]] = list(sys.modules.items())
    for name, module in known:
        if not isinstance(module, ModuleType):
            continue
        file = _file_of(module)
        if file is None:
            if is_rootward(name):
                continue
            folders = _namespace(project, module)
            if folders and "." not in name:
                homes[name] = tuple(_parent(folder) for folder in folders)
                packages.update(dict.fromkeys(folders, False))
            continue
        if not project.owns(file) or is_rootward(name):
            continue
        relative = project.relative(file)
        archive = _archive_of(project, module)
        if archive is not None:
            files.add(archive)
            homes.setdefault(name.partition(".")[0], (archive,))
            continue
        files.add(relative)
        if name in {"__main__", "__mp_main__"}:
            continue
        if not _is_named_after(relative, name):
            placed[name] = relative
        elif "." not in name:
            is_package = _stem(relative) == "__init__"
            home = _parent(relative)
            if is_package:
                packages[home] = True
                home = _parent(home)
            homes[name] = (home,)
    inside, outside = _search_path(project)
    return Loaded(
        homes=homes,
        placed=placed,
        packages=packages,
        files=frozenset(files),
        search_path=inside,
        outside=outside,
    )


def _file_of(module: object) -> str | None:
    return _normal(getattr(module, "__file__", None))


def _normal(file: object) -> str | None:
    if not isinstance(file, str) or not file or file[0] == "<":
        return None
    # That of a script is as it was given: `folder/../main.py`.
    is_normal = file[0] == "/" and "/../" not in file and "/./" not in file
    return file if is_normal else os.path.abspath(file)


def _namespace(project: Project, module: ModuleType) -> list[str]:
    """Return the folders of a package without an `__init__` that lie in the project."""
    try:
        folders = [os.path.abspath(each) for each in getattr(module, "__path__", ())]
    except (TypeError, AttributeError):
        return []
    owned = [each for each in folders if project.owns(each) and os.path.isdir(each)]
    return [each for each in map(project.relative, owned) if each]


def _archive_of(project: Project, module: ModuleType) -> str | None:
    archive = getattr(getattr(module, "__loader__", None), "archive", None)
    if not isinstance(archive, str) or not os.path.isfile(archive):
        return None
    archive = os.path.abspath(archive)
    return project.relative(archive) if project.owns(archive) else None


def _is_named_after(relative: str, name: str) -> bool:
    """Whether the import system finds this file under this name, from the folder it should be."""
    parts = name.split(".")
    places = relative.split("/")
    places[-1] = _stem(relative)
    if places[-1] == "__init__":
        places.pop()
    return places[-len(parts) :] == parts


def stray_files(project: Project) -> Iterator[str]:
    """Yield files whose code is alive, whether or not a module of theirs is known.

    Looks at every object of this process: some ten milliseconds a 100,000.
    """
    alive = [each for each in gc.get_objects() if type(each) in {FunctionType, ModuleType}]
    for file in {_normal(_source_of(each)) for each in alive}:
        if file is not None and project.owns(file) and os.path.isfile(file):
            yield project.relative(file)


def _source_of(code: Any) -> object:
    return code.__code__.co_filename if type(code) is FunctionType else vars(code).get("__file__")


def _search_path(project: Project) -> tuple[tuple[str, ...], tuple[str, ...]]:
    inside: dict[str, None] = {"": None}
    outside: dict[str, None] = {}
    for entry in [*sys.path, ""]:
        folder = os.path.abspath(entry or ".")
        if folder == project.root or project.owns(folder):
            inside[project.relative(folder)] = None
        elif os.path.isdir(folder) and not _holds(folder, project) and not _is_pythons(folder):
            outside[folder] = None
    return tuple(inside), tuple(outside)


def _holds(folder: str, project: Project) -> bool:
    return os.path.join(project.root, "").startswith(os.path.join(folder, ""))


def _is_pythons(folder: str) -> bool:
    return folder.startswith((sys.prefix, sys.base_prefix, sys.exec_prefix))


def _parent(relative: str) -> str:
    return relative.rpartition("/")[0]


def _stem(relative: str) -> str:
    # Of a compiled extension, too: `_fast.cpython-311-x86_64-linux-gnu.so`.
    return relative.rpartition("/")[2].partition(".")[0]


def third_party(project: Project) -> dict[str, Any]:
    """Return the top-level modules that are neither the project's, rootward's nor Python's."""
    found: dict[str, Any] = {}
    for name, module in list(sys.modules.items()):
        if "." in name or name in sys.stdlib_module_names or is_rootward(name):
            continue
        file = _file_of(module)
        if file is not None and not project.owns(file):
            found[name] = module
    return found
