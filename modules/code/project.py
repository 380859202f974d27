"""The project: the folder that holds the user's own code, and which files belong to it.

A project is the folder of a file TARGET, the folder that holds the top-level package of a package,
or the folder of the program that makes a tree. What is installed (site-packages, a virtual
environment, the standard library, rootward itself) never belongs to it, wherever it lies. Nothing
is imported or read here.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import ModuleType

INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
SKIPPED: Final = frozenset({"__pycache__", "node_modules", *INSTALLED})
"""Names of folders that are never looked into, beside hidden ones and virtual environments."""


class Project:
    """One project folder; `root` is absolute, as the submitter's `sys.path` names it.

    `is_installed` says that the folder itself is one of installed packages: it owns nothing.
    """

    def __init__(self, root: str) -> None:
        """Keep the folder; it need not exist."""
        self.root = os.path.abspath(root)
        real = os.path.realpath(self.root)
        self._prefixes = tuple(dict.fromkeys(os.path.join(each, "") for each in (self.root, real)))
        self.is_installed = _is_installed_place(self.root)
        # A project below a prefix (a container may have all in one) isn't installed by that.
        above = self._prefixes[0]
        self._foreign = tuple(each for each in _installed_places() if not above.startswith(each))
        self._known: dict[str, bool] = {}

    @classmethod
    def of_module(cls, module: ModuleType) -> Project:
        """Return the project of a file's or package's module: where its top-level name is found."""
        file = os.path.abspath(getattr(module, "__file__", None) or "")
        depth = module.__name__.count(".")
        if os.path.basename(file).partition(".")[0] == "__init__":
            depth += 1
        folder = os.path.dirname(file)
        for _ in range(depth):
            folder = os.path.dirname(folder)
        return cls(folder)

    @classmethod
    def of_program(cls) -> Project:
        """Return the project of the running program; the current folder where it has no file.

        So it is for standard input, shells and notebooks, and for a program that is installed, as a
        test runner is: what it runs are the files of the current folder.
        """
        main = sys.modules.get("__main__")
        file = getattr(main, "__file__", None)
        if main is None or not file or not os.path.isfile(file):
            return cls(os.getcwd())
        folder = os.path.dirname(os.path.abspath(file))
        spec = getattr(main, "__spec__", None)
        if spec is not None:
            # Of `python -m package.module`.
            for _ in range(spec.name.count(".")):
                folder = os.path.dirname(folder)
        project = cls(folder)
        return project if project.owns(os.path.abspath(file)) else cls(os.getcwd())

    def owns(self, file: str) -> bool:
        """Whether an absolute path lies in the project and is nothing installed."""
        # Nearly all of what is asked for lies elsewhere, and each submission asks for all modules.
        if not file.startswith(self._prefixes) or file.startswith(self._foreign):
            return False
        known = self._known.get(file)
        if known is None:
            known = self._known[file] = self._owns(file)
        return known

    def relative(self, file: str) -> str:
        """Return the path of an owned file relative to the root, with `/`."""
        for prefix in self._prefixes:
            if file.startswith(prefix):
                return file[len(prefix) :].replace(os.sep, "/")
        if file in {self.root, *(prefix[:-1] for prefix in self._prefixes)}:
            return ""
        raise ValueError(f"{file} lies outside of {self.root}")

    def path(self, relative: str) -> str:
        """Return the absolute path of a relative one."""
        return os.path.join(self.root, *relative.split("/")) if relative else self.root

    def _owns(self, file: str) -> bool:
        if self.is_installed:
            return False
        *folders, _ = self.relative(file).split("/")
        if INSTALLED.intersection(folders):
            return False
        inner = self.root
        for folder in folders:
            inner = os.path.join(inner, folder)
            if self._is_environment(inner):
                return False
        return True

    def _is_environment(self, folder: str) -> bool:
        key = os.path.join(folder, "pyvenv.cfg")
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = os.path.exists(key)
        return known


def is_looked_into(folder: str) -> bool:
    """Whether a walk through a project goes into this folder (an absolute path)."""
    name = os.path.basename(folder)
    hidden = name.startswith(".") or name in SKIPPED
    return not hidden and not os.path.exists(os.path.join(folder, "pyvenv.cfg"))


def is_rootward(name: str) -> bool:
    """Whether a module is one of ours, which every worker has."""
    return name.partition(".")[0] == "rootward"


def _is_installed_place(root: str) -> bool:
    inside = os.path.join(root, "")
    return bool(INSTALLED.intersection(root.split(os.sep))) or inside.startswith(
        os.path.join(sysconfig.get_path("stdlib"), "")
    )


def _installed_places() -> tuple[str, ...]:
    # The three folders of rootward: of a checkout, they lie beside a user's files.
    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    parts = (os.path.join(ours, part) for part in ("modules", "orchestrator", "worker"))
    places = {sys.prefix, sys.exec_prefix, sysconfig.get_path("stdlib"), *parts}
    return tuple(os.path.join(each, "") for each in sorted(places))
