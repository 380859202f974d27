"""What `importlib.metadata` knows of the project itself, where it is installed editably.

Such an installation leaves the project's files where they are and its name, version and entry
points in site-packages, from where nothing goes along; a package that asks for its own version
would fail on workers. So these few files are taken along as if they stood in the project.
"""

from __future__ import annotations

import json
import os
import sys
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
        for info in _infos(entry or ".", (".dist-info",)):
            if info.startswith("rootward-"):
                # Every worker has its own.
                continue
            folder = os.path.join(entry or ".", info)
            if not project.owns(os.path.abspath(folder)) and _is_of(project, folder):
                for name in _present(folder):
                    with open(os.path.join(folder, name), "rb") as file:
                        contents[f"{FOLDER}/{info}/{name}"] = file.read()
    return contents


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


def _is_of(project: Project, info: str) -> bool:
    """Whether this is an editable installation of a folder around the project, or within it."""
    try:
        with open(os.path.join(info, "direct_url.json"), encoding="utf-8") as file:
            told = json.load(file)
        is_editable = bool(told["dir_info"]["editable"])
        folder = os.path.join(os.path.abspath(unquote(urlsplit(told["url"]).path)), "")
    except (OSError, ValueError, KeyError, TypeError):
        return False
    root = os.path.join(project.root, "")
    return is_editable and (root.startswith(folder) or folder.startswith(root))
