"""Reading the identity of a live tree: its modules' code, attributes, options and children.

The tree is read as it is in this process, and its code from the files that go along. Nothing is
imported; what attributes and globals hold is looked at, never called, except for what pickling
would call as well.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from ..processes.gc_pause import GcPaused
from ..state.attributes import attributes_of
from ..tasks import WorkFinder
from .canonical import Reading, Unknown
from .code_units import CodeUnits, Unit
from .effects import ImportEffects
from .fingerprint import digest_of
from .names_used import FILES, TEXTS
from .namespace import Places
from .packages import Packages
from .record import UNKNOWN, ModuleIdentity, TreeIdentity
from .sources import Sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..code.project import Project
    from ..composite import Composite
    from ..tree import Tree
    from .sources import SourceFile

KINDS: Final = ("train", "deploy", "eval")
OPTIONS: Final = frozenset(
    {
        "port", "replicas", "resources", "env", "startup_timeout", "call_timeout", "ping_timeout",
        "repeatable", "exclusive", "stream", "pre", "post", "return_trace", "command", "health",
        "cwd", "stop_signal", "stop_timeout", "max_batch", "batch_wait_ms", "environment",
        "target", "scale_down_after", "scale_to_zero_after",
    }
)  # fmt: skip
"""The attributes of a served module that are options of its service."""
_EFFECTS: Final = "what the project does while it is imported"
_CODE: Final = (".py", ".pyi", ".pyc")
_METADATA: Final = (".dist-info/", ".egg-info/")


def identify(tree: Tree, project: Project, contents: Mapping[str, bytes]) -> TreeIdentity:
    """Return the identity of a tree whose project's files are `contents`, by relative path.

    Raises TaskGetterError, as planning does.
    """
    with GcPaused():
        return _Reader(tree, project, contents).read()


class _Reader:
    """One tree being read."""

    def __init__(self, tree: Tree, project: Project, contents: Mapping[str, bytes]) -> None:
        self._tree = tree
        self._sources = Sources(contents)
        self._places = Places(project, self._sources)
        self._paths = tree.paths()
        members = {id(n.module): path for n, path in zip(tree.nodes, self._paths, strict=True)}
        self._units = CodeUnits(members, self._places, Packages())
        self._closures: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[str, ...]]] = {}

    def read(self) -> TreeIdentity:
        """Read everything."""
        shared = self._shared()
        nodes = self._tree.nodes
        paths = self._paths
        read = [self._module(node.module) for node in nodes]
        self._units.settle()
        self._add_files([each for _, _, each in read])
        finder = WorkFinder(KINDS)
        below = [[paths[child] for child in node.children] for node in nodes]
        serves = {path for path, node in zip(paths, nodes, strict=True) if node.module.serves}
        modules: dict[str, ModuleIdentity] = {}
        for node, path, children, (attributes, options, reading) in zip(
            nodes, paths, below, read, strict=True
        ):
            uses, members = self._closure(tuple(reading.uses))
            linked = dict.fromkeys([*children, *reading.members, *members])
            linked.pop(path, None)
            modules[path] = ModuleIdentity(
                cls=_class_name(type(node.module)),
                uses=uses,
                attributes=attributes,
                options=options,
                holds=tuple(each for each in linked if each not in serves),
                calls=tuple(each for each in linked if each in serves),
                kinds=tuple(sorted(finder.kinds_of(node.module))),
            )
        units = self._units.units
        return TreeIdentity(
            modules=modules,
            code={name: unit.digest for name, unit in sorted(units.items())},
            notes={name: unit.notes for name, unit in sorted(units.items()) if unit.notes},
            shared=tuple(sorted({*shared, *self._closure(tuple(shared))[0]})),
            sources=digest_of(*map(self._sources.written, self._sources.contents)),
        )

    def _module(self, module: Composite) -> tuple[dict[str, str], dict[str, str], Reading]:
        """Return attributes and options of a module by name, and what it uses."""
        whole = Reading(self._units)
        self._units.code(type(module), whole)
        attributes: dict[str, str] = {}
        options: dict[str, str] = {}
        local = module.local_attributes
        held = {k: v for k, v in attributes_of(module).items() if k not in local}
        for name, value in held.items():
            reading = Reading(self._units)
            try:
                digest = reading.digest(value)
            except Unknown:
                digest = UNKNOWN
            is_option = module.serves and name in OPTIONS
            (options if is_option else attributes)[name] = digest
            whole.take(reading, f"{name}: ")
        return attributes, options, whole

    def _shared(self) -> list[str]:
        """Make the units that count for every module; return their names."""
        units = self._units.units
        shared = []
        for path in sorted(self._sources.contents):
            if not path.endswith(_CODE) and not any(part in path for part in _METADATA):
                units[f"file {path}"] = Unit(digest=self._sources.written(path))
                shared.append(f"file {path}")
        reading = Reading(self._units)
        parts = list(self._effects(reading))
        if parts:
            units[_EFFECTS] = Unit(
                digest=digest_of(*parts),
                uses=tuple(reading.uses),
                members=(),
                notes=tuple(reading.notes),
            )
            shared.append(_EFFECTS)
        return shared

    def _add_files(self, readings: Iterable[Reading]) -> None:
        """Make the units of all files if anything uses them: to parse all takes its time."""
        units = self._units.units
        used = {name for unit in units.values() for name in unit.uses}
        used.update(name for reading in readings for name in reading.uses)
        ordered = sorted(self._sources.contents)
        if FILES in used:
            digests = [self._sources.digest(path) for path in ordered]
            units[FILES] = Unit(digest=digest_of(*ordered, *digests))
        if TEXTS in used:
            written = map(self._sources.written, ordered)
            units[TEXTS] = Unit(digest=digest_of(*ordered, *written))

    def _effects(self, reading: Reading) -> Iterable[str]:
        """Yield the digests of statements that count for all, in the order of their import."""
        imported: dict[str, tuple[SourceFile, Any]] = {}
        for name, module in list(sys.modules.items()):
            path = self._places.path_of(name)
            source = self._places.source(path)
            if path is not None and source is not None:
                imported.setdefault(path, (source, module))
        effects = ImportEffects([source for source, _ in imported.values()])
        for path, (source, module) in imported.items():
            counted = effects.counted(source, vars(module))
            if counted:
                yield path
            for node in counted:
                reading.notes[f"{path}:{node.lineno}"] = None
                yield from self._units.use_nodes([node], vars(module), path, reading)

    def _closure(self, start: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return all code that some uses, at any depth, and the tree's modules that it names."""
        key = tuple(sorted(start))
        known = self._closures.get(key)
        if known is not None:
            return known
        found = dict.fromkeys(key)
        members: dict[str, None] = {}
        stack = list(found)
        units = self._units.units
        while stack:
            unit = units[stack.pop()]
            members.update(dict.fromkeys(unit.members))
            for name in unit.uses:
                if name not in found:
                    found[name] = None
                    stack.append(name)
        self._closures[key] = tuple(sorted(found)), tuple(sorted(members))
        return self._closures[key]


def _class_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
