"""How the submitter imports its code, as another process needs to know it.

An Origin travels in the header of a packed tree. Paths in it are relative to the project's folder,
which is another one on each machine; the bundle holds what stands there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the submitter's code is, and under which names.

    `root` is the submitter's folder, `bundle` the digest of what goes along of it (None: nothing,
    it is used where it is). `target` is the module that is imported first, `main` the main file
    that is run as a module, with its name under `-m`; `homes`, `placed`, `search_path` and
    `outside` are those of Loaded, `third_party` the distribution and version of other modules, and
    `texts` the sources of functions that go by value, by their file's name.
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
    texts: Mapping[str, str] = field(default_factory=dict)

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
