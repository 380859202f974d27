"""The code of one submission: what of it goes along, and how this process imports it."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from .collection import Wishes, collect
from .distributions import distributions_of
from .loaded import loaded, third_party
from .main_file import ALIAS, main_file, main_texts, send_main_by_name
from .metadata import FOLDER
from .origin import Origin

if TYPE_CHECKING:
    from .bundle import Bundle
    from .collection import Collection
    from .loaded import Loaded
    from .project import Project


class Code:
    """The code of one submission: its project, and how this process imports it."""

    def __init__(
        self, project: Project, *, target: str | None = None, wishes: Wishes | None = None
    ) -> None:
        """Look at nothing yet; `target` is a TARGET's module, None for a program's own tree."""
        self.project = project
        self.wishes = Wishes() if wishes is None else wishes
        self.target = target

    def collect(self) -> Collection:
        """Return the files that go along; raises TargetError."""
        return collect(self.project, self.wishes)

    def pack(self, limit: int) -> tuple[Bundle | None, Origin]:
        """Read what goes along, `limit` bytes at most, and say how it is imported.

        There is no bundle where nothing is to go along or all is installed; then workers import
        what they have. Raises TargetError and BundleError.
        """
        if self.wishes.goes_along:
            collection = self.collect()
            bundle = self.bundle(collection, limit)
            if bundle is not None:
                found = distributions_of(third_party(self.project).items(), collection.names)
                origin = self._origin(collection.loaded)
                return bundle, replace(
                    origin,
                    bundle=bundle.digest,
                    third_party=found,
                    search_path=(*origin.search_path, *([FOLDER] if collection.installed else [])),
                )
        return None, self._elsewhere()

    def contents(self) -> dict[str, bytes]:
        """Return the files that would go along, also where nothing is to, by relative path."""
        found: dict[str, bytes] = {}
        for path in sorted(self.collect().files):
            try:
                with open(self.project.path(path), "rb") as source:
                    found[path] = source.read()
            except OSError:
                # It went away in between.
                continue
        return found

    def bundle(self, collection: Collection, limit: int) -> Bundle | None:
        """Read the collected files; None for none. Raises BundleError."""
        from .bundle import read_bundle

        if not collection.files:
            return None
        return read_bundle(self.project, collection.files, limit, collection.installed)

    def here(self) -> Origin:
        """Return how other processes of this machine import the code, from where it is."""
        return self._origin(loaded(self.project))

    def _origin(self, known: Loaded) -> Origin:
        main = self._main()
        return Origin(
            root=self.project.root,
            target=self.target,
            main=main,
            texts=main_texts() if self.target is None and main is None else {},
            homes=known.homes,
            placed=known.placed,
            search_path=known.search_path,
            outside=known.outside,
        )

    def _elsewhere(self) -> Origin:
        if self.target is None:
            send_main_by_name(())
        known = loaded(self.project)
        inside = tuple(map(self.project.path, known.search_path))
        return Origin(
            root=self.project.root,
            target=self.target,
            search_path=(),
            outside=() if self.project.is_installed else (*inside, *known.outside),
            texts=main_texts() if self.target is None else {},
            third_party=distributions_of(third_party(self.project).items(), ()),
        )

    def _main(self) -> tuple[str, str | None] | None:
        """Return the main file when it goes as a module, and have what it defines go by name."""
        main = main_file(self.project) if self.target is None else None
        send_main_by_name(() if main is None else main.defined)
        if main is None:
            return None
        # Classes come back from other processes under that name.
        sys.modules.setdefault(ALIAS, sys.modules["__main__"])
        return main.path, main.module
