"""From the names that code uses to the units that they mean, in the namespace that it runs in.

A name is looked up as the code itself would find it: in its module's globals now, and through the
modules that are named on the way. Code that reaches for more than names say, which `scopes` finds,
uses all files, with a note of the line.
"""

from __future__ import annotations

import builtins
import types
from typing import TYPE_CHECKING, Any, Final, Protocol

from .kinds import is_a
from .namespace import imported, module_named, namespace_module
from .scopes import WIDE_MODULES, WIDE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .canonical import Reading
    from .namespace import Places
    from .scopes import LocalImport, Use, Uses

FILES: Final = "all files"
"""The unit of all files of the project, for code of which can't be told what it uses."""
TEXTS: Final = "all files as written"
"""The same with comments and docstrings, for code that reads those."""
FOREIGN_CODE: Final = (type, types.FunctionType, types.BuiltinFunctionType)
# Of how a module was imported, which differs from process to process.
_OF_IMPORT: Final = frozenset(
    {"__name__", "__package__", "__spec__", "__loader__", "__path__", "__cached__"}
)


class UsedUnits(Protocol):
    """What notes that units are used, and makes them."""

    def use_global(
        self, globals_: Mapping[str, Any], path: str, name: str, reading: Reading
    ) -> None:
        """Note that a global of own code is used."""

    def module(self, module: types.ModuleType, reading: Reading) -> bytes:
        """Note that a whole module is used."""

    def package(self, top: str, reading: Reading) -> None:
        """Note that another package is used, in the version that is here."""


def widen(unit: str, note: str, reading: Reading) -> None:
    """Note that all files are used, and why."""
    reading.uses[unit] = None
    reading.notes[note] = None


class NamesUsed:
    """Finds what names mean."""

    def __init__(self, units: UsedUnits, places: Places) -> None:
        self._units, self._places = units, places

    def use_all(self, uses: Uses, globals_: Mapping[str, Any], path: str, reading: Reading) -> None:
        """Note all that a piece of code in the file at `path` uses."""
        for line, word in uses.wide:
            widen(FILES, f"{path}:{line} {word}", reading)
        for line, word in uses.texts:
            widen(TEXTS, f"{path}:{line} {word}", reading)
        for use, line in uses.names.items():
            self._use_name(use, globals_, f"{path}:{line}", reading)
        for each in uses.imports:
            self._use_local_import(each, globals_, path, reading)

    def use_code(self, code: types.CodeType, globals_: Mapping[str, Any], reading: Reading) -> None:
        """Note what compiled code uses of which there is no source."""
        for name in code.co_names:
            if name in globals_:
                self._use_name((name, ()), globals_, code.co_filename, reading)
        for const in code.co_consts:
            if isinstance(const, types.CodeType):
                self.use_code(const, globals_, reading)

    def _use_name(
        self, use: Use, globals_: Mapping[str, Any], where: str, reading: Reading
    ) -> None:
        name, chain = use
        if name in _OF_IMPORT:
            return
        if name not in globals_:
            if name in WIDE_NAMES and hasattr(builtins, name):
                widen(FILES, f"{where} {name}", reading)
            return
        value = globals_[name]
        if is_a(value, types.ModuleType):
            self._use_chain(value, chain, where, reading)
            return
        module = namespace_module(globals_)
        path = None if module is None else self._places.path_of(module.__name__)
        self._units.use_global(globals_, path or where.partition(":")[0], name, reading)
        self._note_foreign(name, value, where, reading)

    def _note_foreign(self, name: str, value: Any, where: str, reading: Reading) -> None:
        """Say where a function of another package is used that reaches for code."""
        if not is_a(value, FOREIGN_CODE):
            return
        module = str(value.__module__)
        is_wide = module.partition(".")[0] in WIDE_MODULES and (
            module != "builtins" or (name in WIDE_NAMES)
        )
        if is_wide and self._places.path_of(module) is None:
            widen(FILES, f"{where} {name}", reading)

    def _use_chain(
        self, module: types.ModuleType, chain: tuple[str, ...], where: str, reading: Reading
    ) -> None:
        """Note that what follows a module's name is used, as in `package.consts.SCALE`."""
        for attribute in chain:
            path = self._places.path_of(module.__name__)
            if path is None:
                break
            if attribute.startswith("__") or attribute not in vars(module):
                self._units.module(module, reading)
                return
            value = vars(module)[attribute]
            if not is_a(value, types.ModuleType):
                self._units.use_global(vars(module), path, attribute, reading)
                return
            module = value
        if module.__name__.partition(".")[0] in WIDE_MODULES and (
            self._places.path_of(module.__name__) is None
        ):
            widen(FILES, f"{where} {module.__name__}", reading)
            return
        self._units.module(module, reading)

    def _use_local_import(
        self, found: LocalImport, globals_: Mapping[str, Any], path: str, reading: Reading
    ) -> None:
        whole = imported(globals_, found.module, found.level)
        top = whole.partition(".")[0]
        where = f"{path}:{found.line} import {whole}"
        module = module_named(whole)
        own = None if module is None else self._places.path_of(whole)
        if module is not None and own is not None:
            self._use_imported_names(found, module, own, where, reading)
        elif module is None and self._places.holds(top):
            widen(FILES, where, reading)
        else:
            if top in WIDE_MODULES:
                widen(FILES, where, reading)
            self._units.package(top, reading)

    def _use_imported_names(
        self, found: LocalImport, module: types.ModuleType, path: str, where: str, reading: Reading
    ) -> None:
        if not found.names:
            self._units.module(module, reading)
        for name in found.names:
            below = module_named(f"{module.__name__}.{name}")
            if name in vars(module):
                self._units.use_global(vars(module), path, name, reading)
            elif below is not None:
                self._units.module(below, reading)
            else:
                widen(FILES, where, reading)
