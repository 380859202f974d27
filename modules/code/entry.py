"""Entering another process's code: from here on this process imports as the submitter did.

The project's names are found in its folder whatever else is installed; its other folders stand at
the end of `sys.path`, so that nothing of the user's hides what rootward itself imports. The main
file and the target are imported first, once. It also knows how to tell an error here in the user's
own terms: paths relative to the project, and what a missing module is.
"""

from __future__ import annotations

import importlib.util
import linecache
import os
import sys
from importlib.machinery import PathFinder
from importlib.util import spec_from_file_location
from typing import TYPE_CHECKING

from ..errors import CodeMismatch
from .bundle import unmet_needs
from .main_file import ALIAS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from .origin import Origin

_entered: Entered | None = None


def enter(origin: Origin, folder: str | None = None, *, worker: str | None = None) -> None:
    """Let this process import the code of `origin`, once; `folder` is where its bundle is.

    Raises what the user's own main file or target raises while it is imported.
    """
    global _entered
    root = origin.root if folder is None else folder
    _entered = Entered(origin, root, worker)
    finder = _ProjectFinder(root, origin.homes, origin.placed)
    sys.meta_path.insert(0, finder)
    for entry in origin.search_path:
        _append(os.path.join(root, *entry.split("/")) if entry else root)
    for entry in origin.outside:
        # Folders of the submitter's that are here, too; on another machine they seldom are.
        if os.path.isdir(entry):
            _append(entry)
    importlib.invalidate_caches()
    for file, text in origin.texts.items():
        # Without a time they stay, whatever is found on this machine's disk under that name.
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    if origin.main is not None:
        _run_main(root, *origin.main)
    if origin.target is not None:
        importlib.import_module(origin.target)


def entered() -> Entered | None:
    """Return the code that this process has entered, if any."""
    return _entered


class Entered:
    """The code that this process runs, and how its errors are told."""

    def __init__(self, origin: Origin, root: str, worker: str | None) -> None:
        self._origin, self._root, self._worker = origin, root, worker
        # Where its modules are found, for programs that this process starts.
        self.folders = [os.path.join(root, *entry.split("/")) for entry in origin.search_path]
        self._prefix = os.path.join(root, "")
        self._prefixes = [os.path.join(each, "") for each in (root, origin.root) if each != "/"]

    def shorten(self, text: str) -> str:
        """Make paths below the project's folder relative to it, as in a traceback."""
        for prefix in self._prefixes:
            text = text.replace(prefix, "")
        return text

    def explain(self, error: BaseException) -> str | None:
        """Say what a missing module or file is, and what to do; None for any other error."""
        if isinstance(error, ModuleNotFoundError) and error.name:
            return self._missing_module(error.name)
        if isinstance(error, FileNotFoundError) and isinstance(error.filename, str):
            return self._missing_file(error.filename)
        return None

    def _missing_module(self, name: str) -> str | None:
        where = f"worker {self._worker}" if self._worker else "this process"
        known = self._origin.third_party.get(name.partition(".")[0])
        if known is not None:
            distribution, version = known
            return (
                f"{where} has no module {name!r}; the submitter has it from {distribution} "
                f"{version}: install {distribution}=={version} there"
            )
        if self._origin.bundle is None:
            return f"{where} has no module {name!r}, and the code didn't go along"
        return (
            f"{where} has no module {name!r}: it is neither installed there nor among the files of "
            f"{self._origin.root} that went along (`rootward plan TARGET --bundle` lists them, "
            "--include adds to them)"
        )

    def _missing_file(self, name: str) -> str | None:
        if self._origin.bundle is None:
            return None
        # A program that isn't installed has no such name: `ffmpeg`.
        if not os.path.isabs(name) and ("/" in name or os.path.splitext(name)[1]):
            return (
                f"{name} is a path relative to the folder that the worker was started in: take the "
                f"file along (--include {name!r}) and name it by Path(__file__).parent"
            )
        if not name.startswith(self._prefix):
            return None
        relative = os.path.normpath(name.removeprefix(self._prefix))
        return f"{relative} didn't go along with the code: add --include {relative!r}"


class _ProjectFinder:
    """Finds the names that the submitter has from its project there, and nowhere else."""

    def __init__(
        self, root: str, homes: Mapping[str, Sequence[str]], placed: Mapping[str, str]
    ) -> None:
        self._homes = {
            name: [os.path.join(root, *home.split("/")) if home else root for home in each]
            for name, each in homes.items()
        }
        self._placed = {name: os.path.join(root, *file.split("/")) for name, file in placed.items()}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module of the project is; None for any other."""
        if path is None and name in self._homes:
            spec = PathFinder.find_spec(name, self._homes[name], target)
            if spec is not None:
                return spec
        file = self._placed.get(name)
        return spec_from_file_location(name, file) if file and os.path.isfile(file) else None


def check_needs(needs: Mapping[str, str]) -> None:
    """Raise CodeMismatch when compiled files of a bundle can't be used here."""
    unmet = unmet_needs(needs)
    if unmet is not None:
        raise CodeMismatch(
            f"the code can't run here: {unmet}; use workers of the submitter's kind, or leave the "
            "compiled files out (--exclude) and install them on the workers"
        )


def _run_main(root: str, path: str, module: str | None) -> None:
    """Run the main file as multiprocessing does, so that it is no main program here."""
    if module is None:
        spec = spec_from_file_location(ALIAS, os.path.join(root, *path.split("/")))
    else:
        spec = importlib.util.find_spec(module)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"no module named {module or path!r}", name=module)
    main = importlib.util.module_from_spec(spec)
    main.__name__ = ALIAS
    if module is None:
        # As of a script: multiprocessing's own processes then look for the file, not for a name.
        main.__spec__ = None
    # Known before it runs: dataclasses and pickling look for their module while it does.
    sys.modules["__main__"] = sys.modules[ALIAS] = main
    if module is None:
        spec.loader.exec_module(main)
        return
    code = spec.loader.get_code(module)  # type: ignore[attr-defined]
    # A loader runs a module under its own name only.
    exec(code, vars(main))  # noqa: S102


def _append(folder: str) -> None:
    # At the end: a folder of the user's called `rich` must not hide what we import.
    if folder not in sys.path:
        sys.path.append(folder)
