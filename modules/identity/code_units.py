"""The code of a project as units that use each other: classes, functions, globals, whole modules.

A unit counts by its syntax, from the file that goes along, and by what it is in this process: the
values of the globals that it names, defaults, closures, attributes of classes. Neither is enough:
values say nothing of a decorator's text, and syntax nothing of what was replaced from outside. What
can't be read counts with its whole file. Units are made one after the other, so that a long chain
of functions is no deep recursion.
"""

from __future__ import annotations

import types
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .canonical import Reading, Unknown
from .fingerprint import digest_of, fingerprint
from .functions import code_digest, node_of
from .kinds import is_a
from .names_used import FILES, FOREIGN_CODE, NamesUsed, widen
from .namespace import dotted, imported, looked_up, module_named, namespace_module
from .scopes import WIDE_MODULES, WIDE_NAMES, Uses, uses_of

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable, Mapping

    from .namespace import Places
    from .packages import Packages
    from .sources import SourceFile

_SKIPPED: Final = frozenset(
    {
        "__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__",
        "__firstlineno__", "__static_attributes__", "__annotate__", "__annotate_func__",
        "__annotations_cache__", "__slots__", "_abc_impl", "_slot_names", "__abstractmethods__",
        "__parameters__", "__match_args__",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A piece of code by itself: what it is, and by name and path what it uses."""

    digest: str
    uses: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class CodeUnits:
    """Makes the units that something uses, each once."""

    def __init__(self, members: Mapping[int, str], places: Places, packages: Packages) -> None:
        """Read nothing yet; `members` are the paths of the tree's modules by id."""
        self.units: dict[str, Unit] = {}
        self._members, self._places, self._packages = members, places, packages
        self._pending: deque[tuple[str, Callable[[Reading], list[str]]]] = deque()
        self._names: dict[int, str] = {}
        self._taken: dict[str, object] = {}
        self._uses: dict[int, tuple[str, Uses]] = {}
        self._names_used = NamesUsed(self, places)

    # What a value can hold: see canonical.Names.

    def code(self, value: Any, reading: Reading) -> bytes:
        """Return what stands for a class, function or module, and note that it is used."""
        if is_a(value, types.ModuleType):
            return self.module(value, reading)
        if is_a(value, type):
            if self.is_own(value):
                return b"class:" + self._refer(value, reading).encode()
            return self._foreign(value.__module__, value.__qualname__, reading)
        if is_a(value, types.FunctionType):
            module = namespace_module(value.__globals__)
            is_named = module is not None and looked_up(module, value.__qualname__) is value
            if is_named and self._places.path_of(value.__module__) is not None:
                return b"function:" + self._refer(value, reading).encode()
            return self._function(value, reading)
        return self._builtin(value, reading)

    def member(self, module: Any, reading: Reading) -> bytes | None:
        """Return what stands for a module of the tree, None for any other."""
        path = self._members.get(id(module))
        if path is None:
            return None
        reading.members[path] = None
        return b"module:" + path.encode()

    def text(self, text: str) -> str:
        """Return a text without the place of the project's folder."""
        root = self._places.project.root
        return text.replace(root, "<project>") if len(root) > 1 and root in text else text

    def is_own(self, cls: type) -> bool:
        """Whether a class is of the project."""
        return self._places.home_of(cls) is not None

    # What is asked for.

    def settle(self) -> None:
        """Make all units that were asked for, and those that they use."""
        while self._pending:
            name, read = self._pending.popleft()
            reading = Reading(self)
            try:
                parts = read(reading)
            except Unknown as unknown:
                parts = [str(unknown)]
                widen(FILES, f"{name}: {unknown} can't be compared", reading)
            self.units[name] = Unit(
                digest=self._with_orders(parts),
                uses=tuple(reading.uses),
                members=tuple(reading.members),
                notes=tuple(reading.notes),
            )

    def use_nodes(
        self, nodes: Iterable[ast.AST], globals_: Mapping[str, Any], path: str, reading: Reading
    ) -> list[str]:
        """Note what nodes of a file use of its globals; return their digests."""
        digests: list[str] = []
        for node in nodes:
            digest, uses = self._read_node(node)
            digests.append(digest)
            self._names_used.use_all(uses, globals_, path, reading)
        return digests

    def use_value(self, value: Any, globals_: Mapping[str, Any], reading: Reading) -> str:
        """Return the digest of a global's or a class's value; of its whole file if it has none."""
        alone = Reading(self)
        try:
            digest = alone.digest(value)
        except Unknown as unknown:
            path = self._places.path_of(globals_.get("__name__"))
            source = self._places.source(path)
            digest = digest_of(str(unknown), FILES if source is None else source.digest)
            if source is None:
                alone.uses[FILES] = None
        reading.take(alone)
        return digest

    @staticmethod
    def _with_orders(parts: list[str]) -> str:
        orders = [part.partition("/")[2] for part in parts if "/" in part]
        digest = digest_of(*(part.partition("/")[0] for part in parts))
        return f"{digest}/{digest_of(*orders)}" if orders else digest

    def _read_node(self, node: ast.AST) -> tuple[str, Uses]:
        found = self._uses.get(id(node))
        if found is None:
            found = self._uses[id(node)] = fingerprint([node]), uses_of([node])
        return found

    # Units.

    def _refer(self, value: Any, reading: Reading) -> str:
        """Return the name of the unit of an own class or function, and have it made."""
        name = self._names.get(id(value))
        if name is None:
            home = self._places.home_of(value)
            whole = f"{dotted(home[0] if home else '')}.{value.__qualname__}"
            # Classes that one function makes at each call are several of one name.
            name, number = whole, 2
            while name in self._taken:
                name, number = f"{whole}#{number}", number + 1
            self._names[id(value)] = name
            self._taken[name] = value
            read = self._read_class if is_a(value, type) else self._read_function
            self._pending.append((name, lambda reading: read(value, reading)))
        reading.uses[name] = None
        return name

    def _read_class(self, cls: type, reading: Reading) -> list[str]:
        path, globals_ = self._places.home_of(cls) or ("", {})
        source = self._places.source(path)
        nodes = () if source is None else source.defined.get(cls.__qualname__, ())
        parts = self.use_nodes(nodes, globals_, path, reading)
        for base in (type(cls), *cls.__mro__[1:]):
            parts.append(self.use_value(base, globals_, reading))
        is_generated = "__dataclass_fields__" in vars(cls)
        for name, value in sorted(vars(cls).items()):
            is_slot = is_a(value, types.MemberDescriptorType | types.GetSetDescriptorType)
            if name in _SKIPPED or is_slot or (is_generated and _is_generated(value)):
                continue
            parts += [name, self.use_value(value, globals_, reading)]
        return parts

    def _read_function(self, function: types.FunctionType, reading: Reading) -> list[str]:
        path, _ = self._places.home_of(function) or ("", {})
        source = self._places.source(path)
        # With the decorators of whatever stands under that name.
        nodes = () if source is None else source.defined.get(function.__qualname__, ())
        parts = self.use_nodes(nodes, function.__globals__, path, reading)
        return [*parts, self._function(function, reading).hex()]

    def _function(self, function: types.FunctionType, reading: Reading) -> bytes:
        """Return the token of a function: its text, and what it has beside that."""
        code = function.__code__
        path = self._places.own_file(code.co_filename)
        source = self._places.source(path)
        node = None if source is None else node_of(source, code)
        globals_ = function.__globals__
        home = str(globals_.get("__name__"))
        if node is not None:
            text = self.use_nodes([node], globals_, path or "", reading)[0]
        elif path is not None or code.co_filename[:1] == "<":
            text = code_digest(code)
            self._names_used.use_code(code, globals_, reading)
        else:
            text = self._foreign(home, code.co_qualname, reading).decode()
        held = [
            reading.token(function.__defaults__),
            reading.token(function.__kwdefaults__),
            *(reading.token(cell) for cell in function.__closure__ or ()),
            reading.token(vars(function)),
        ]
        return reading.joined("function", [text.encode(), *held])

    def _builtin(self, value: Any, reading: Reading) -> bytes:
        owner = getattr(value, "__self__", None)
        name = str(getattr(value, "__qualname__", None) or getattr(value, "__name__", ""))
        if owner is None or is_a(owner, types.ModuleType):
            module = str(getattr(value, "__module__", None) or getattr(owner, "__name__", ""))
            if module == "builtins" and name in WIDE_NAMES:
                widen(FILES, f"{name}()", reading)
            return self._foreign(module, name, reading)
        return reading.joined("bound", [reading.token(owner), name.encode()])

    def _foreign(self, module: str, name: str, reading: Reading) -> bytes:
        """Note that something of another package is used: it counts by name and version."""
        top = module.partition(".")[0]
        if top in WIDE_MODULES - {"builtins", "__main__"} and not name.startswith("_"):
            widen(FILES, f"{module}.{name}", reading)
        self.package(top, reading)
        return f"foreign:{module}.{name}".encode()

    def package(self, top: str, reading: Reading) -> None:
        """Note that another package is used, in the version that is here."""
        version = self._packages.version(top)
        if version is not None:
            unit = f"package {top}"
            self.units.setdefault(unit, Unit(digest=version))
            reading.uses[unit] = None

    def module(self, module: types.ModuleType, reading: Reading) -> bytes:
        """Note that a whole module is used: of an own one everything counts."""
        path = self._places.path_of(module.__name__)
        if path is None:
            return self._foreign(module.__name__, "module", reading)
        name = f"module {dotted(path)}"
        if name not in self._taken:
            self._taken[name] = module
            self._pending.append((name, lambda reading: self._read_module(module, path, reading)))
        reading.uses[name] = None
        return name.encode()

    def _read_module(self, module: types.ModuleType, path: str, reading: Reading) -> list[str]:
        known = path in self._places.sources.contents
        if not known:
            reading.uses[FILES] = None
        for name in sorted(vars(module)):
            if not name.startswith("__"):
                self.use_global(vars(module), path, name, reading)
        return [self._places.sources.digest(path) if known else path]

    def use_global(
        self, globals_: Mapping[str, Any], path: str, name: str, reading: Reading
    ) -> None:
        """Note that a global of own code is used, under the name that it has at home."""
        value = globals_[name]
        if is_a(value, types.ModuleType):
            self.module(value, reading)
            return
        is_code = is_a(value, type | types.FunctionType)
        is_home = is_code and value.__module__ == globals_.get("__name__")
        if is_home and value.__qualname__ == name:
            self._refer(value, reading)
            return
        unit, number = f"{dotted(path)}.{name}", 2
        while self._taken.get(unit, globals_) is not globals_:
            unit, number = f"{dotted(path)}.{name}#{number}", number + 1
        if unit not in self._taken:
            self._taken[unit] = globals_
            self._pending.append(
                (unit, lambda reading: self._read_global(globals_, path, name, reading))
            )
        reading.uses[unit] = None

    def _read_global(
        self, globals_: Mapping[str, Any], path: str, name: str, reading: Reading
    ) -> list[str]:
        source = self._places.source(path)
        if source is not None and self._use_imported(globals_, source, name, reading):
            return ["imported"]
        nodes = () if source is None else source.defined.get(name, ())
        parts = self.use_nodes(nodes, globals_, path, reading)
        return [*parts, self.use_value(globals_[name], globals_, reading)]

    def _use_imported(
        self, globals_: Mapping[str, Any], source: SourceFile, name: str, reading: Reading
    ) -> bool:
        """Note where an imported global comes from; False when that isn't known."""
        value = globals_[name]
        wanted = [source.imports[name]] if name in source.imports else []
        wanted += [(star, name, level) for star, level in source.stars if not wanted]
        for origin, attribute, level in wanted:
            home = module_named(imported(globals_, origin, level))
            if home is None or attribute is None or vars(home) is globals_:
                continue
            if vars(home).get(attribute, self) is not value:
                continue
            path = self._places.path_of(home.__name__)
            if path is not None:
                self.use_global(vars(home), path, attribute, reading)
                return True
            self._foreign(home.__name__, attribute, reading)
            return is_a(value, FOREIGN_CODE)
        return False


def _is_generated(value: Any) -> bool:
    function = getattr(value, "__func__", value)
    return is_a(function, types.FunctionType) and function.__code__.co_filename == "<string>"
