"""What `importlib.metadata` knows of the project itself, where it is installed editably.

Such an installation leaves the project's files where they are and its name, version and entry
points in site-packages, from where nothing goes along; a package that asks for its own version
would fail on workers. So these few files are taken along as if they stood in the project.
"""

from __future__ import annotations

import json
import os
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .project import Project

FOLDER: Final = ".installed"
"""The folder of a bundle, on the search path, that holds what isn't in the project."""
_FILES: Final = ("METADATA", "PKG-INFO", "entry_points.txt", "top_level.txt")


def metadata_files(project: Project, search_path: tuple[str, ...]) -> set[str]:
    """Return the relative paths of metadata that stands in the project, beside its packages."""
    found: set[str] = set()
    for folder in search_path:
        for info in _infos(project.path(folder), (".egg-info", ".dist-info")):
            place = f"{folder}/{info}" if folder else info
            found.update(f"{place}/{name}" for name in _present(project.path(place)))
    return found


def installed_metadata(project: Project) -> dict[str, bytes]:
    """Return the contents of metadata of the project's editable installations, by their path."""
    contents: dict[str, bytes] = {}
    for entry in sys.path:
        place = os.path.abspath(entry or ".")
        for info, source in _editable(place, _changed_at(place)):
            folder = os.path.join(place, info)
            if not project.owns(folder) and _is_around_or_within(project, source):
                for name in _present(folder):
                    with open(os.path.join(folder, name), "rb") as file:
                        contents[f"{FOLDER}/{info}/{name}"] = file.read()
    return contents


@lru_cache(maxsize=64)
def _editable(place: str, _changed_at: int) -> tuple[tuple[str, str], ...]:
    """Return the editable installations that a folder of `sys.path` lists: metadata, source folder.

    Kept until the folder changes: one of site-packages has hundreds of entries, and each submission
    asks.
    """
    found = []
    for info in _infos(place, (".dist-info",)):
        # Every worker has its own rootward.
        source = None if info.startswith("rootward-") else _source(os.path.join(place, info))
        if source is not None:
            found.append((info, source))
    return tuple(found)


def _changed_at(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def _infos(folder: str, endings: tuple[str, ...]) -> Iterator[str]:
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.endswith(endings) and os.path.isdir(os.path.join(folder, entry)):
            yield entry


def _present(folder: str) -> list[str]:
    return [name for name in _FILES if os.path.isfile(os.path.join(folder, name))]


def _source(info: str) -> str | None:
    """Return the folder that an installation was made from, None for one that isn't editable."""
    try:
        with open(os.path.join(info, "direct_url.json"), encoding="utf-8") as file:
            origin = json.load(file)
        if not origin["dir_info"]["editable"]:
            return None
        return os.path.join(os.path.abspath(unquote(urlsplit(origin["url"]).path)), "")
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_around_or_within(project: Project, source: str) -> bool:
    root = os.path.join(project.root, "")
    return root.startswith(source) or source.startswith(root)
