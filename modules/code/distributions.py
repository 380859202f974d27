"""From the name of a third-party module to the distribution that brought it, and its version.

Read from the folders of metadata beside the module, because asking `importlib.metadata` about
everything that is installed takes longer than a submission may.
"""

from __future__ import annotations

import os
import re
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from types import ModuleType

_TOP_LEVEL: Final = re.compile(rb"^([^/,\n.][^/,\n.]*)[/,.]", re.MULTILINE)


def distributions_of(
    modules: Iterable[tuple[str, ModuleType]], searched: Collection[str]
) -> dict[str, tuple[str, str]]:
    """Return distribution and version by the name of each module where they can be told.

    A distribution of another name is looked for where the module's is among the `searched` only:
    that takes some ten milliseconds.
    """
    found: dict[str, tuple[str, str]] = {}
    for name, module in modules:
        file = getattr(module, "__file__", None)
        if not file:
            continue
        folder = os.path.dirname(os.path.abspath(file))
        if os.path.basename(folder) == name:
            folder = os.path.dirname(folder)
        told = _by_name(folder).get(name.lower())
        if told is None and name in searched:
            told = _by_record(folder).get(name)
        if told is not None:
            found[name] = told
    return found


@cache
def _by_name(folder: str) -> dict[str, tuple[str, str]]:
    """Return name and version of what is installed in a folder, by its name as a module."""
    told = (_told(info) for info in _infos(folder))
    return {name.lower().replace("-", "_").replace(".", "_"): (name, v) for name, v in told}


@cache
def _by_record(folder: str) -> dict[str, tuple[str, str]]:
    """Return the same by the modules that each brought, as its list of files says."""
    found: dict[str, tuple[str, str]] = {}
    for info in _infos(folder):
        try:
            with open(os.path.join(folder, info, "RECORD"), "rb") as record:
                names = set(_TOP_LEVEL.findall(record.read()))
        except OSError:
            continue
        for name in names:
            found.setdefault(name.decode("utf-8", "replace"), _told(info))
    return found


@cache
def _infos(folder: str) -> tuple[str, ...]:
    try:
        entries = os.listdir(folder)
    except OSError:
        return ()
    return tuple(sorted(each for each in entries if re.fullmatch(r".+-.+\.dist-info", each)))


def _told(info: str) -> tuple[str, str]:
    name, _, version = info.removesuffix(".dist-info").partition("-")
    return name.replace("_", "-"), version
