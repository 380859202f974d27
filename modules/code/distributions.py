"""From the name of a third-party module to the distribution that brought it, and its version.

Read from the names of the folders beside the module, because asking `importlib.metadata` about
everything that is installed takes longer than a submission may.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType


def distributions_of(modules: Iterable[tuple[str, ModuleType]]) -> dict[str, tuple[str, str]]:
    """Return distribution and version by the name of each module where they can be told."""
    found: dict[str, tuple[str, str]] = {}
    for name, module in modules:
        file = getattr(module, "__file__", None)
        if not file:
            continue
        folder = os.path.dirname(os.path.abspath(file))
        if os.path.basename(folder) == name:
            folder = os.path.dirname(folder)
        told = _distribution(folder, name)
        if told is not None:
            found[name] = told
    return found


@cache
def _distribution(folder: str, name: str) -> tuple[str, str] | None:
    known = _installed(folder)
    if name.lower() in known:
        _, distribution, version = known[name.lower()]
        return distribution, version
    for info, distribution, version in known.values():
        if _brings(os.path.join(folder, info), name):
            return distribution, version
    return None


@cache
def _installed(folder: str) -> dict[str, tuple[str, str, str]]:
    """Return folder of metadata, name and version of what is installed, by its plain name."""
    found: dict[str, tuple[str, str, str]] = {}
    try:
        entries = os.listdir(folder)
    except OSError:
        return found
    for entry in entries:
        stem, extension = os.path.splitext(entry)
        name, dash, version = stem.partition("-")
        if extension == ".dist-info" and dash:
            found[name.lower().replace(".", "_")] = entry, name.replace("_", "-"), version
    return found


def _brings(info: str, name: str) -> bool:
    try:
        with open(os.path.join(info, "RECORD"), encoding="utf-8", errors="replace") as record:
            listed = record.read()
    except OSError:
        return False
    return f"\n{name}/" in f"\n{listed}" or f"\n{name}.py," in f"\n{listed}"
