"""How the submitter imports its code, as another process needs to know it.

An Origin travels in the header of a packed tree. Paths in it are relative to the project's folder,
which is another one on each machine; the bundle holds what stands there.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .collection import Wishes, collect
from .distributions import distributions_of
from .loaded import loaded, third_party
from .main_file import ALIAS, main_file, send_main_by_name

if TYPE_CHECKING:
    from .bundle import Bundle
    from .collection import Collection
    from .loaded import Loaded
    from .project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the submitter's code is, and under which names.

    `root` is the submitter's folder, `bundle` the digest of what goes along of it (None: nothing,
    it is used where it is). `target` is the module that is imported first, `main` the main file
    that is run as a module, with its name under `-m`; `homes`, `placed`, `search_path` and
    `outside` are those of Loaded, `third_party` the distribution and version of other modules.
    """

    root: str
    bundle: str | None = None
    target: str | None = None
    main: tuple[str, str | None] | None = None
    homes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    placed: Mapping[str, str] = field(default_factory=dict)
    search_path: tuple[str, ...] = ("",)
    outside: tuple[str, ...] = ()
    third_party: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def to_header(self) -> dict[str, Any]:
        """Return it as a map of plain values."""
        return asdict(self)

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> Origin:
        """Read what `to_header` made; raises TypeError or KeyError for anything else."""
        fields = dict(header)
        for name in ("search_path", "outside"):
            fields[name] = tuple(fields[name])
        if fields["main"] is not None:
            path, module = fields["main"]
            fields["main"] = path, module
        fields["homes"] = {name: tuple(each) for name, each in fields["homes"].items()}
        return cls(**fields)


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
                return bundle, self._origin(collection.loaded, bundle.digest)
        return None, self._elsewhere()

    def bundle(self, collection: Collection, limit: int) -> Bundle | None:
        """Read the collected files; None for none. Raises BundleError."""
        from .bundle import read_bundle

        return read_bundle(self.project, collection.files, limit) if collection.files else None

    def here(self) -> Origin:
        """Return how other processes of this machine import the code, from where it is."""
        return self._origin(loaded(self.project), None)

    def _origin(self, known: Loaded, bundle: str | None) -> Origin:
        return Origin(
            root=self.project.root,
            bundle=bundle,
            target=self.target,
            main=self._main(),
            homes=known.homes,
            placed=known.placed,
            search_path=known.search_path,
            outside=known.outside,
            third_party=distributions_of(third_party(self.project).items()),
        )

    def _elsewhere(self) -> Origin:
        known = loaded(self.project)
        inside = tuple(map(self.project.path, known.search_path))
        return Origin(
            root=self.project.root,
            target=self.target,
            search_path=(),
            outside=() if self.project.is_installed else (*inside, *known.outside),
            third_party=distributions_of(third_party(self.project).items()),
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
