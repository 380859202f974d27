"""What tasks change on modules: recording it, carrying it to another copy of the tree, keeping it.

A `Recorder` watches one task.  On the task's own module it finds every attribute that was set,
replaced, deleted or mutated (its encoded bytes differ); on any other module of the tree, what was
set, replaced or deleted.  The changes become `entries`, bytes that `apply` writes into another copy
of the same tree.  What shares an object with a changed attribute of the own module goes along, so
that two names of one array stay two names of one.  The cost grows with the task's own module and
with what changed, never with the size of the tree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import is_
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from .. import composite
from ..composite import Composite
from ..errors import CodecError, NotPortable, StateTooLarge
from ..evaluation.account import ACCOUNT
from . import entries, values
from .attributes import attributes_of
from .entries import ModuleChange
from .values import PLAIN

if TYPE_CHECKING:
    from ..tree import Tree

_MISSING: Final = object()
# Of values that are kept as they are for comparison; a digest is no shorter.
_SHORT_BYTES: Final = 64
# The slot itself: the mark is no change, and no `__setattr__` is to hear of it.
_set_changed: Final = Composite._changed.__set__  # type: ignore[attr-defined]


class Recorder:
    """Context manager around one task of the module at `path` of `tree`.

    `limit` is the largest encoded change of one module, in bytes; None means that the changes
    stay in this process (a local run): nothing needs to be portable then, and `changes` is empty.
    `kind` is the task's, which the entries name as what wrote them. `changed` says afterwards what
    has changed. One task at a time records in a process.
    """

    def __init__(self, tree: Tree, path: str, limit: int | None, kind: str = "") -> None:
        """Prepare to record; nothing is read before the block is entered."""
        self._tree = tree
        self._writer = f"{kind}:{path}" if kind else ""
        self.module = tree.module_at(path)
        self._limit = limit
        self._before: dict[str, tuple[object, object]] = {}
        self._touched: dict[int, tuple[Composite, dict[str, None]]] = {}
        self._entries: list[bytes] = []
        self.changed: list[ModuleChange] = []

    def __enter__(self) -> Self:
        """Take the own module's attributes as they are and start to watch the others."""
        local = self.module.local_attributes
        self._before = {
            name: (value, None if type(value) in PLAIN else self._kept(value))
            for name, value in attributes_of(self.module).items()
            if name not in local
        }
        composite.recorder = self._note
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop watching; after a success, encode what changed (NotPortable, StateTooLarge)."""
        composite.recorder = None
        if kind is not None:
            return
        changed = self._found()
        self._before = {}
        if self._limit is not None:
            self._entries = entries.encode(self._tree, changed, self._limit, self._writer)

    def checkpoint(self) -> list[bytes] | None:
        """Return entries of what has changed until now, and record anew from here.

        None when that can't travel yet (it holds an open file, say): then it stays recorded.
        """
        changed, known = self._found(), len(self.changed)
        try:
            taken = entries.encode(self._tree, changed, self._limit or 0, self._writer)
        except (CodecError, NotPortable, StateTooLarge):
            del self.changed[known - len(changed) :]
            return None
        self._touched = {}
        self.__enter__()
        return taken

    def _found(self) -> list[ModuleChange]:
        """Return what has changed, and take note of it."""
        own, found = self.module, []
        if names := self._changed():
            found.append(ModuleChange(own, names))
        found += [
            ModuleChange(module, list(touched))
            for module, touched in self._touched.values()
            if module is not own
        ]
        for change in found:
            _mark(change.module, change.names)
        self.changed += found
        return found

    def changes(self) -> list[bytes]:
        """Return the entries, one for each changed module, in the order of their first change."""
        return list(self._entries)

    def _note(self, module: Composite, name: str) -> None:
        self._touched.setdefault(id(module), (module, {}))[1][name] = None

    def _changed(self) -> list[str]:
        """Return the names of what changed on the own module."""
        before, local = self._before, self.module.local_attributes
        now = attributes_of(self.module)
        names = [name for name in before if name not in now]
        rebound: list[str] = []
        for name, value in now.items():
            old, kept = before.get(name, (_MISSING, None))
            if value is old and type(value) in PLAIN:
                # It can't have been mutated.
                continue
            if name in local:
                continue
            if self._differs(value, old, kept):
                names.append(name)
            elif value is not old and type(value) not in PLAIN:
                rebound.append(name)
        names += self._rejoined(rebound, now)
        if all(type(now.get(name)) in PLAIN for name in names):
            return names
        mine = {name: value for name, value in now.items() if name not in local}
        return entries.shared_names(names, mine, self._tree)

    def _rejoined(self, rebound: Sequence[str], now: Mapping[str, Any]) -> list[str]:
        """Return those that hold an equal value as before, but share it, or have shared it."""
        before = {name: old for name, (old, _) in self._before.items()}
        return [
            name
            for name in rebound
            if len(entries.shared_names([name], dict(now), self._tree)) > 1
            or len(entries.shared_names([name], before, self._tree)) > 1
        ]

    def _differs(self, value: object, old: object, kept: object) -> bool:
        kind = type(value)
        if kind in PLAIN:
            # By text: zeros have signs, and NaN is no number.
            return type(old) is not kind or (repr(old) != repr(value))
        if old is _MISSING:
            return True
        if kept is None:
            # What can't be encoded can't be compared either: only its replacement is seen.
            return value is not old
        if isinstance(kept, bytes):
            return self._digest(value) != kept
        if value is old and _are_same(_items(value), _items(kept)):
            return False
        return self._digest(value) != self._digest(kept)

    def _kept(self, value: Any) -> object:
        """Return what tells later whether it was mutated: itself, copied, or a digest."""
        items = _items(value)
        if items is not None and all(type(i) in PLAIN or self._tree.holds(i) for i in items):
            return value.copy() if type(value) is dict else value[:]
        return self._digest(value)

    def _digest(self, value: object) -> bytes | None:
        import hashlib

        try:
            encoded = values.dumps(value, tree=self._tree)
        except CodecError:
            return None
        return encoded if len(encoded) <= _SHORT_BYTES else hashlib.blake2b(encoded).digest()


def _items(value: Any) -> Collection[Any] | None:
    """Return all that a plain container holds, keys too; None for anything else."""
    kind = type(value)
    if kind is list or kind is tuple:
        items: Collection[Any] = value
        return items
    return [*value, *value.values()] if kind is dict else None


def _are_same(items: Collection[Any] | None, others: Collection[Any] | None) -> bool:
    assert items is not None
    assert others is not None
    return len(items) == len(others) and all(map(is_, items, others))


def apply(tree: Tree, entry: bytes) -> None:
    """Write one entry into this copy of the tree.

    Attributes are set past `__setattr__`: what is applied is no change of a running task.
    Raises CodecError when the entry is unreadable or names a module that the tree lacks.
    """
    for module, names in entries.apply(tree, entry):
        _mark(module, names)


def _mark(module: Composite, names: Collection[str]) -> None:
    changed = module._changed
    if not changed.issuperset(names):
        _set_changed(module, changed.union(names))


def state_dict(root: Composite) -> dict[str, Any]:
    """Return what tasks have changed on `root` and below it: `{"path.attribute": value}`.

    Paths are relative to `root` (its own attributes have no path: `"weights"`), so that the dict
    fits any tree of the same shape.  Values are the live objects, not copies.
    """
    states: dict[str, Any] = {}
    for prefix, module in _relative(root):
        attributes = attributes_of(module)
        for name in sorted(module._changed):
            if name in attributes and name != ACCOUNT:
                states[f"{prefix}.{name}" if prefix else name] = attributes[name]
    return states


def load_state_dict(root: Composite, states: Mapping[str, Any]) -> None:
    """Set what `state_dict` of a tree of the same shape returned.

    Raises KeyError, before anything is set, when a path is not in this tree.
    """
    modules = dict(_relative(root))
    plan: list[tuple[Composite, str, Any]] = []
    for key, value in states.items():
        prefix, _, name = key.rpartition(".")
        if prefix not in modules:
            raise KeyError(
                f"{key!r}: this tree has no module {prefix!r}; it has {sorted(modules)[:20]}"
            )
        plan.append((modules[prefix], name, value))
    for module, name, value in plan:
        setattr(module, name, value)
        _mark(module, [name])


def _relative(root: Composite) -> list[tuple[str, Composite]]:
    from ..tree import Tree

    tree = Tree(root, "root")
    return [(node.path.partition("/")[2], node.module) for node in tree.nodes]
