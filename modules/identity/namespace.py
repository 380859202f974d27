"""From live code to where it stands: modules of the project, their files, and names in them."""

from __future__ import annotations

import importlib.util
import os
import sys
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from ..code.project import is_rootward
from .kinds import is_a

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..code.project import Project
    from .sources import SourceFile, Sources

MISSING: Any = object()


class Places:
    """Tells the project's files from all others, and how what stands in them is called."""

    def __init__(self, project: Project, sources: Sources) -> None:
        """Look at nothing yet."""
        self.project, self.sources = project, sources
        self._files: dict[str, str | None] = {}

    def path_of(self, name: object) -> str | None:
        """Return the relative path of the file of a module by name; None for what isn't own.

        A main program that is no file, as a shell or a notebook, is called `__main__`.
        """
        if not isinstance(name, str) or is_rootward(name):
            return None
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str):
            return self.own_file(file)
        return "__main__" if name in {"__main__", "__mp_main__"} else None

    def home_of(self, code: Any) -> tuple[str, Mapping[str, Any]] | None:
        """Return file and globals of a class or function of the project; None for any other."""
        path = self.path_of(code.__module__)
        if path is not None:
            return path, vars(sys.modules[code.__module__])
        # What was run by its path may be no module by name.
        held = vars(code).values() if is_a(code, type) else (code,)
        for each in held:
            function = getattr(each, "__func__", each)
            if is_a(function, FunctionType):
                path = self.own_file(function.__code__.co_filename)
                if path is not None and code.__module__ not in sys.modules:
                    return path, function.__globals__
        return None

    def own_file(self, file: str) -> str | None:
        """Return the relative path of a file of the project; None for any other."""
        if file not in self._files:
            path = os.path.abspath(file)
            is_own = file[:1] != "<" and self.project.owns(path)
            self._files[file] = self.project.relative(path) if is_own else None
        return self._files[file]

    def source(self, path: str | None) -> SourceFile | None:
        """Return the parsed file at a path."""
        return None if path is None else self.sources.file(path)

    def holds(self, top: str) -> bool:
        """Whether a file or folder of the project has this name, loaded or not."""
        return any(
            top in {part.partition(".")[0] for part in path.split("/")}
            for path in self.sources.contents
        )


def dotted(path: str) -> str:
    """Return what a file is called as a module."""
    stem = path.removesuffix(".py").replace("/", ".")
    return stem.removesuffix(".__init__")


def namespace_module(globals_: Mapping[str, Any]) -> ModuleType | None:
    """Return the module whose globals these are; None for a namespace of its own."""
    module = sys.modules.get(str(globals_.get("__name__")))
    return module if is_a(module, ModuleType) and vars(module) is globals_ else None


def module_named(name: str) -> ModuleType | None:
    """Return an imported module; None for one that isn't."""
    found = sys.modules.get(name)
    return found if is_a(found, ModuleType) else None


def imported(globals_: Mapping[str, Any], module: str, level: int) -> str:
    """Return the whole name of a module as an import statement there means it."""
    if not level:
        return module
    package = globals_.get("__package__") or str(globals_.get("__name__")).rpartition(".")[0]
    try:
        return importlib.util.resolve_name("." * level + module, str(package))
    except ImportError:
        return module


def looked_up(module: ModuleType, qualname: str) -> Any:
    """Return what a qualified name means in a module; MISSING for nothing."""
    found: Any = module
    for part in qualname.split("."):
        holder = vars(found) if is_a(found, type | ModuleType) else {}
        if part not in holder:
            return MISSING
        found = holder[part]
    return found
