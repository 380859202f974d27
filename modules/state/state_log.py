"""What tasks change on modules: recording it, carrying it to another copy of the tree, keeping it.

A `Recorder` watches one task.  On the task's own module it finds every attribute that was set,
replaced, deleted or mutated (its encoded bytes differ); on any other module of the tree, what was
set, replaced or deleted.  The changes become entries, bytes that `apply` writes into another copy
of the same tree; modules inside values travel as paths, so aliases stay aliases.  The cost grows
with the task's own module and with what changed, never with the size of the tree.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from operator import is_
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from .. import module as _module
from ..errors import CodecError, NotPortable, StateTooLarge
from ..evaluation import ACCOUNT
from ..module import ModuleBase
from . import values
from .values import PLAIN

if TYPE_CHECKING:
    from ..tree import Tree

_MISSING: Final = object()
# Of values that are kept as they are for comparison; a digest is no shorter.
_SHORT_BYTES: Final = 64
_LONGEST_BITS: Final = 63
# The slot itself: the mark is no change, and no `__setattr__` is to hear of it.
_set_changed: Final = ModuleBase._changed.__set__  # type: ignore[attr-defined]


class Recorder:
    """Context manager around one task of the module at `path` of `tree`.

    `limit` is the largest encoded change of one module, in bytes; None means that the changes
    stay in this process (a local run): nothing needs to be portable then, and `changes` is empty.
    One task at a time records in a process.
    """

    def __init__(self, tree: Tree, path: str, limit: int | None) -> None:
        """Prepare to record; nothing is read before the block is entered."""
        self._tree = tree
        self._path = path
        self.module = tree.module_at(path)
        self._limit = limit
        self._before: dict[str, tuple[object, object]] = {}
        self._touched: dict[int, tuple[ModuleBase, dict[str, None]]] = {}
        self._entries: list[bytes] = []

    def __enter__(self) -> Self:
        """Take the own module's attributes as they are and start to watch the others."""
        local = self.module.local_attributes
        self._before = {
            name: (value, None if type(value) in PLAIN else self._kept(value))
            for name, value in vars(self.module).items()
            if name not in local
        }
        _module._recorder = self._note
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop watching; after a success, encode what changed (NotPortable, StateTooLarge)."""
        _module._recorder = None
        if kind is not None:
            return
        own = self.module
        if names := self._changed():
            self._record(own, self._path, names)
        for module, touched in self._touched.values():
            if module is not own:
                self._record(module, self._tree.path_of(module), list(touched))
        self._before = {}

    def changes(self) -> list[bytes]:
        """Return the entries, one for each changed module, in the order of their first change."""
        return list(self._entries)

    def _record(self, module: ModuleBase, path: str | None, names: list[str]) -> None:
        _mark(module, names)
        if self._limit is not None and path is not None:
            self._entries.append(_entry(self._tree, module, path, names, self._limit))

    def _note(self, module: ModuleBase, name: str) -> None:
        self._touched.setdefault(id(module), (module, {}))[1][name] = None

    def _changed(self) -> list[str]:
        """Return the names of what changed on the own module."""
        before, local = self._before, self.module.local_attributes
        now = vars(self.module)
        names = [name for name in before if name not in now]
        for name, value in now.items():
            old, kept = before.get(name, (_MISSING, None))
            if value is old and type(value) in PLAIN:
                # It can't have been mutated.
                continue
            if name not in local and self._differs(value, old, kept):
                names.append(name)
        return names

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


def _entry(tree: Tree, module: ModuleBase, path: str, names: list[str], limit: int) -> bytes:
    """Pack path, values that msgpack holds as they are, other values encoded, names deleted."""
    import msgpack

    now = vars(module)
    plain: dict[str, Any] = {}
    coded: dict[str, bytes] = {}
    for name in names:
        if name not in now or name in module.local_attributes:
            continue
        value = now[name]
        kind = type(value)
        if kind in PLAIN and (kind is not int or value.bit_length() <= _LONGEST_BITS):
            plain[name] = value
            continue
        try:
            coded[name] = values.dumps(value, tree=tree)
        except CodecError as error:
            raise NotPortable(path, name) from error
    deleted = [name for name in names if name not in now]
    entry: bytes = msgpack.packb([path, plain, coded, deleted], unicode_errors="surrogatepass")
    if len(entry) > limit:
        size = sum(map(len, (*map(values.dumps, plain.values()), *coded.values())))
        if size > limit:
            raise StateTooLarge(path, size, limit)
    return entry


def plain_values(entry: bytes, names: Collection[str]) -> tuple[str, dict[str, Any]]:
    """Return the path that an entry is of, and those of the named values that are plain data.

    Nothing is unpickled and no tree is needed; what is no plain data is left out. CodecError for
    bytes that are no entry.
    """
    import msgpack

    try:
        path, plain, coded, _ = msgpack.unpackb(entry, unicode_errors="surrogatepass")
    except (ValueError, TypeError) as error:
        raise CodecError(f"a state entry can't be read: {error}") from error
    found = {name: plain[name] for name in names if name in plain}
    for name in names:
        if name in coded:
            with contextlib.suppress(CodecError):
                found[name] = values.loads_plain(coded[name])
    return path, found


def apply(tree: Tree, entry: bytes) -> None:
    """Write one entry into this copy of the tree.

    Attributes are set past `__setattr__`: what is applied is no change of a running task.
    Raises CodecError when the entry is unreadable or names a module that the tree lacks.
    """
    import msgpack

    try:
        path, plain, coded, deleted = msgpack.unpackb(entry, unicode_errors="surrogatepass")
        module = tree.module_at(path)
    except KeyError as error:
        raise CodecError(f"a state names module {error}, which this tree lacks") from None
    except (ValueError, TypeError) as error:
        raise CodecError(f"a state entry can't be read: {error}") from error
    attributes = vars(module)
    attributes.update(plain)
    _mark(module, plain)
    if coded:
        for name, encoded in coded.items():
            attributes[name] = values.loads(encoded, tree=tree)
        _mark(module, coded)
    for name in deleted:
        attributes.pop(name, None)


def _mark(module: ModuleBase, names: Collection[str]) -> None:
    changed = module._changed
    if not changed.issuperset(names):
        _set_changed(module, changed.union(names))


def state_dict(root: ModuleBase) -> dict[str, Any]:
    """Return what tasks have changed on `root` and below it: `{"path.attribute": value}`.

    Paths are relative to `root` (its own attributes have no path: `"weights"`), so that the dict
    fits any tree of the same shape.  Values are the live objects, not copies.
    """
    states: dict[str, Any] = {}
    for prefix, module in _relative(root):
        attributes = vars(module)
        for name in sorted(module._changed):
            if name in attributes and name != ACCOUNT:
                states[f"{prefix}.{name}" if prefix else name] = attributes[name]
    return states


def load_state_dict(root: ModuleBase, states: Mapping[str, Any]) -> None:
    """Set what `state_dict` of a tree of the same shape returned.

    Raises KeyError, before anything is set, when a path is not in this tree.
    """
    modules = dict(_relative(root))
    plan: list[tuple[ModuleBase, str, Any]] = []
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


def _relative(root: ModuleBase) -> list[tuple[str, ModuleBase]]:
    from ..tree import Tree

    tree = Tree(root, "root")
    return [(node.path.partition("/")[2], node.module) for node in tree.nodes]
