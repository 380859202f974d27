"""What other processes read of a project: the identity of its tree.

A reader is a process with a hash seed of its own, which forks for each project; so nothing of one
is left for the next, and the same code is read under another seed, in another folder.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Self

from rootward.modules.identity.changes import TreeChanges, changes
from rootward.modules.identity.record import TreeIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SERVE = """
import base64, os, sys, traceback
import numpy
import rootward.modules.server, rootward.modules.flows.action
from rootward.modules.code.packing import Code
from rootward.modules.identity.reading import identify
from rootward.modules.state.target import load_target
from rootward.modules.tree import Tree

def answer(folder, target):
    os.chdir(folder)
    sys.path[:] = [each for each in sys.path if each]
    loaded = load_target(target)
    bundle, _ = Code(loaded.project, target=loaded.module).pack(1 << 26)
    found = identify(Tree(loaded.root, "app"), loaded.project, bundle.contents)
    return base64.b64encode(found.to_bytes()).decode()

for line in sys.stdin:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            told = answer(*line.rstrip("\\n").split("\\t"))
        except BaseException:
            told = "failed " + traceback.format_exc().replace("\\n", "|")
        os.write(writer, told.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        print(told.read(), flush=True)
    os.waitpid(child, 0)
"""


class IdentityReader:
    """A process that reads identities under one hash seed."""

    def __init__(self, seed: int) -> None:
        environ = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", SERVE],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def read(self, folder: Path, target: str = "app.py:tree") -> TreeIdentity:
        """Return the identity of the tree of the project in a folder."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(f"{folder}\t{target}", file=self._process.stdin, flush=True)
        told = self._process.stdout.readline().rstrip("\n")
        assert told, "the reader is gone"
        assert not told.startswith("failed"), told.replace("|", "\n")
        return TreeIdentity.from_bytes(base64.b64decode(told))


class Edits:
    """Compares a project before and after an edit, each written into a folder of its own."""

    def __init__(self, folder: Path, before: IdentityReader, after: IdentityReader) -> None:
        self._folder, self._readers = folder, (before, after)
        self._count = 0

    def changes(
        self, before: Mapping[str, str | bytes], after: Mapping[str, str | bytes]
    ) -> TreeChanges:
        """Return what has become of each module."""
        old, new = (
            reader.read(self._write(files))
            for reader, files in zip(self._readers, (before, after), strict=True)
        )
        return changes(old, new)

    def changed(
        self, before: Mapping[str, str | bytes], after: Mapping[str, str | bytes]
    ) -> set[str]:
        """Return the paths of the modules that aren't as they were, without the root's name."""
        found = self.changes(before, after).modules
        return {each.path for each in found if each.mark != "unchanged"}

    def _write(self, files: Mapping[str, str | bytes]) -> Path:
        self._count += 1
        # Deeper each time, so that no two have a path of one length.
        folder = self._folder.joinpath(str(self._count), *["deep"] * (self._count % 3))
        for path, text in files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder
