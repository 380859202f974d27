"""The record of a tree's identity: what each module is made of, as it was when it was submitted.

It is stored with a generation and compared with that of the next submission. It holds digests and
names only. Reading checks the version and the shape; whether the bytes are to be trusted is the
caller's to check first.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from ..errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION: Final = 1
_NO_PARENT: Final = -1
_LARGEST: Final = 256 << 20
_LONGEST: Final = 64 << 20
UNKNOWN: Final = "?"
"""In place of the digest of what can't be read: equal to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleIdentity:
    """What one module is made of.

    `cls` is its class, `uses` the names of the code that it uses, at any depth. `attributes`
    and `options` have digests by name. `holds` are the paths of modules that run in its process,
    `calls` those of the served ones that it reaches by HTTP. `kinds` is the work that it has.
    """

    cls: str
    uses: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    holds: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TreeIdentity:
    """What a whole tree is made of: `modules` by path, children first.

    `code` are the digests of code by name, `notes` where such code reaches for more than names
    say, `shared` the names of what counts for every module. `sources` is the digest of all sources
    as written, without comments.
    """

    modules: Mapping[str, ModuleIdentity]
    code: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    sources: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the record."""
        import hashlib

        return hashlib.sha256(self.packed).hexdigest()

    @cached_property
    def packed(self) -> bytes:
        """The record as bytes, the same for the same record; code used by many stands once."""
        import msgpack

        sets: dict[tuple[int, ...], int] = {}
        names = {name: number for number, name in enumerate(self.code)}
        places = {path: number for number, path in enumerate(self.modules)}
        rows = []
        for path, each in self.modules.items():
            uses = tuple(sorted(names[name] for name in each.uses))
            row = [sets.setdefault(uses, len(sets)), each.cls, dict(each.attributes)]
            linked = ([places[other] for other in paths] for paths in (each.holds, each.calls))
            rows.append([*_split(path, places), *row, dict(each.options), *linked, each.kinds])
        packed: bytes = msgpack.packb(
            {
                "v": VERSION,
                "code": list(self.code.items()),
                "sets": list(sets),
                "modules": rows,
                "notes": sorted((name, list(notes)) for name, notes in self.notes.items()),
                "shared": list(self.shared),
                "sources": self.sources,
            }
        )
        return packed

    def to_bytes(self) -> bytes:
        """Return the bytes that are stored."""
        return zlib.compress(self.packed, 3)

    @classmethod
    def from_bytes(cls, data: bytes) -> TreeIdentity:
        """Read what `to_bytes` made; raises CodecError for anything else."""
        import msgpack

        try:
            inflate = zlib.decompressobj()
            packed = inflate.decompress(data, _LARGEST)
            if not inflate.eof or len(data) > _LONGEST:
                raise ValueError("it is too large or broken")
            fields: dict[str, Any] = msgpack.unpackb(packed, use_list=False)
            if fields["v"] != VERSION:
                raise ValueError(f"it has version {fields['v']}, this rootward reads {VERSION}")
            code = dict(fields["code"])
            names = list(code)
            sets = [tuple(names[number] for number in numbers) for numbers in fields["sets"]]
            rows = fields["modules"]
            paths = _joined(rows)
            modules = {
                path: ModuleIdentity(
                    cls=row[3],
                    uses=sets[row[2]],
                    attributes=row[4],
                    options=row[5],
                    holds=tuple(paths[number] for number in row[6]),
                    calls=tuple(paths[number] for number in row[7]),
                    kinds=row[8],
                )
                for path, row in zip(paths, rows, strict=True)
            }
            return cls(
                modules=modules,
                code=code,
                notes=dict(fields["notes"]),
                shared=fields["shared"],
                sources=fields["sources"],
            )
        except (ValueError, TypeError, KeyError, IndexError, zlib.error) as error:
            raise CodecError(f"this is no record of a tree's identity: {error}") from error


def _split(path: str, places: Mapping[str, int]) -> tuple[int, str]:
    """Return the number of a path's parent and its own part, so that deep trees stay small."""
    above, _, part = path.rpartition("/")
    parent = places.get(above, _NO_PARENT)
    return (parent, part) if parent != _NO_PARENT else (_NO_PARENT, path)


def _joined(rows: Sequence[Sequence[Any]]) -> list[str]:
    paths = [""] * len(rows)
    # Children stand first: from the end on, each finds its parent's path already there.
    for number in range(len(rows) - 1, -1, -1):
        parent, part = rows[number][:2]
        if parent == _NO_PARENT:
            paths[number] = part
        elif parent > number:
            paths[number] = f"{paths[parent]}/{part}"
        else:
            raise ValueError("a module stands behind its parent")
    return paths
