"""What has changed from one record of a tree's identity to the next, module by module.

Pure: two records in, changes with their reasons out. A module is changed by what it is made of, and
by what runs in its process; a served module that it calls changes only what it may answer.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from .names_used import FILES, TEXTS
from .record import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .record import ModuleIdentity, TreeIdentity

_SHOWN: Final = 5
_WIDE: Final = {FILES: "all files of the project", TEXTS: "all files with their comments"}


class Mark(StrEnum):
    """What has become of a module."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleDifference:
    """What has become of the module at `path`, and why, a sentence for each reason.

    `code` are the names of changed code, `attributes` and `options` those that differ; `children`
    are paths in its process that changed, came or went. `reaches_changed` says that it is unchanged
    but calls, at any depth, a served module that isn't.
    """

    path: str
    mark: Mark
    code: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    reaches_changed: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the change as `diff --json` prints it."""
        return {
            "module": self.path,
            "change": str(self.mark),
            "code": list(self.code),
            "attributes": list(self.attributes),
            "options": list(self.options),
            "children": list(self.children),
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeChanges:
    """What has become of all modules, those of the new tree first, children first."""

    modules: tuple[ModuleDifference, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return all(each.mark is Mark.UNCHANGED for each in self.modules)

    def of(self, mark: Mark | str) -> tuple[ModuleDifference, ...]:
        """Return the modules that have become that."""
        return tuple(each for each in self.modules if each.mark == mark)

    @property
    def unchanged(self) -> frozenset[str]:
        """The paths of modules that are as they were."""
        return frozenset(each.path for each in self.of(Mark.UNCHANGED))


def changes(old: TreeIdentity, new: TreeIdentity) -> TreeChanges:
    """Return what has become of each module of two trees."""
    compare = _Comparison(old, new)
    own = {path: compare.own(path) for path in new.modules if path in old.modules}
    added = [path for path in new.modules if path not in old.modules]
    touched = {path for path, change in own.items() if change.reasons} | set(added)
    spread = _spread(touched, {path: each.holds for path, each in new.modules.items()})
    reached = _spread(
        spread, {path: (*each.holds, *each.calls) for path, each in new.modules.items()}
    )
    found = []
    for path in new.modules:
        if path not in own:
            found.append(ModuleDifference(path=path, mark=Mark.ADDED))
            continue
        found.append(_with_children(own[path], new.modules[path].holds, spread, path in reached))
    found += [
        ModuleDifference(path=path, mark=Mark.REMOVED)
        for path in old.modules
        if path not in new.modules
    ]
    return TreeChanges(modules=tuple(found))


def code_unchanged(old: TreeIdentity, new: TreeIdentity) -> frozenset[str]:
    """Return the paths whose code is as it was, with that of all in their process.

    Attributes and options may differ: what was learned is put over them.
    """
    compare = _Comparison(old, new)
    touched = {
        path
        for path in new.modules
        if path not in old.modules or compare.own(path).code or compare.changed_class(path)
    }
    spread = _spread(touched, {path: each.holds for path, each in new.modules.items()})
    return frozenset(path for path in new.modules if path not in spread)


class _Comparison:
    """Two records side by side; what many modules share is compared once."""

    def __init__(self, old: TreeIdentity, new: TreeIdentity) -> None:
        self._old, self._new = old, new
        # A dict in another order is a change only if the sources could have made it one.
        self._is_order_free = old.sources == new.sources
        self._code = {
            name
            for name in {*old.code, *new.code}
            if not self._same(old.code.get(name), new.code.get(name))
        }
        shared = self._differing(old.shared, new.shared)
        self._shared = frozenset(shared)
        self._reported = frozenset(name for name in shared if not name.startswith("file "))
        self._seen: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[str, ...]] = {}

    def own(self, path: str) -> ModuleDifference:
        """Return what has changed of a module itself."""
        old, new = self._old.modules[path], self._new.modules[path]
        code = self._code_of(old, new)
        attributes = self._fields(old.attributes, new.attributes)
        options = self._fields(old.options, new.options)
        links = tuple(sorted(set(old.calls) ^ set(new.calls)))
        held = tuple(sorted(set(old.holds) ^ set(new.holds)))
        reasons = [*self._code_reasons(code, new)]
        if self.changed_class(path):
            reasons.append(f"class {new.cls} in place of {old.cls}")
        if attributes:
            reasons.append(f"{_plural('attribute', attributes)} {_listed(attributes)}")
            unknown = [name for name in attributes if new.attributes.get(name) == UNKNOWN]
            if unknown:
                reasons[-1] += f" ({_listed(unknown)} can't be compared)"
        if options:
            reasons.append(f"{_plural('option', options)} {_listed(options)}")
        if old.kinds != new.kinds:
            reasons.append(f"work {_listed(new.kinds) or 'none'} in place of {_listed(old.kinds)}")
        if links:
            reasons.append(f"calls {_listed(links)}, or did")
        if held:
            reasons.append(f"holds {_listed(held)}, or did")
        return ModuleDifference(
            path=path,
            mark=Mark.CHANGED if reasons else Mark.UNCHANGED,
            code=code,
            attributes=attributes,
            options=options,
            children=held,
            reasons=tuple(reasons),
        )

    def changed_class(self, path: str) -> bool:
        """Whether a module is of another class."""
        return self._old.modules[path].cls != self._new.modules[path].cls

    def _code_of(self, old: ModuleIdentity, new: ModuleIdentity) -> tuple[str, ...]:
        key = old.uses, new.uses
        found = self._seen.get(key)
        if found is None:
            names = {*self._differing(old.uses, new.uses), *self._shared}
            found = self._seen[key] = tuple(sorted(_without_parts(names)))
        return found

    def _differing(self, old: Iterable[str], new: Iterable[str]) -> set[str]:
        before, after = set(old), set(new)
        return (before ^ after) | ((before | after) & self._code)

    def _code_reasons(self, code: tuple[str, ...], new: ModuleIdentity) -> list[str]:
        named = [name for name in code if name not in _WIDE]
        reasons = [f"code of {_listed(named)}"] if named else []
        notes = {**self._old.notes, **self._new.notes}
        for unit in code:
            if unit in _WIDE:
                where = dict.fromkeys(n for name in new.uses for n in notes.get(name, ()))
                told = f" (reached by {_listed(where)})" if where else ""
                reasons.append(f"{_WIDE[unit]}{told}")
        if self._new.shared and not self._reported.isdisjoint(code):
            lines = [note for unit in self._new.shared for note in notes.get(unit, ())]
            if lines:
                reasons[0] += f" (run at import: {_listed(lines)})"
        return reasons

    def _fields(self, old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(
            sorted(name for name in {*old, *new} if not self._same(old.get(name), new.get(name)))
        )

    def _same(self, old: str | None, new: str | None) -> bool:
        if old is None or new is None or UNKNOWN in {old, new}:
            return False
        if old == new:
            return True
        return self._is_order_free and old.partition("/")[0] == new.partition("/")[0]


def _spread(touched: Iterable[str], below: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the paths, and all that stand above them."""
    above: dict[str, list[str]] = defaultdict(list)
    for path, children in below.items():
        for child in children:
            above[child].append(path)
    found = set(touched)
    stack = list(found)
    while stack:
        for parent in above[stack.pop()]:
            if parent not in found:
                found.add(parent)
                stack.append(parent)
    return found


def _with_children(
    change: ModuleDifference, holds: Iterable[str], changed: set[str], is_reaching: bool
) -> ModuleDifference:
    from dataclasses import replace

    inside = tuple(sorted(each for each in holds if each in changed))
    if not inside:
        is_only_reaching = is_reaching and change.mark is Mark.UNCHANGED
        return replace(change, reaches_changed=is_only_reaching)
    return replace(
        change,
        mark=Mark.CHANGED,
        children=tuple(sorted({*change.children, *inside})),
        reasons=(*change.reasons, f"loads {_listed(_below(change.path, inside))}, which changed"),
    )


def _below(path: str, others: Iterable[str]) -> list[str]:
    """Return paths as they are seen from one above them."""
    return [other.removeprefix(f"{path}/") for other in others]


def _without_parts(names: Iterable[str]) -> list[str]:
    """Leave out what is part of a class that is named itself."""
    known = set(names)
    return [name for name in known if name.rpartition(".")[0] not in known]


def _listed(names: Iterable[str]) -> str:
    words = list(names)
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more


def _plural(noun: str, names: tuple[str, ...]) -> str:
    return noun if len(names) == 1 else f"{noun}s"
