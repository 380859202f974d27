"""What tasks change on modules: recording it, carrying it to another copy of the tree, keeping it.

A `Recorder` watches one task.  On the task's own module it finds every attribute that was set,
replaced, deleted or mutated (its encoded bytes differ); on any other module of the tree, what was
set, replaced or deleted.  The changes become entries, bytes that `apply` writes into another copy
of the same tree; modules inside values travel as paths, so aliases stay aliases.  The cost grows
with the task's own module and with what changed, never with the size of the tree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from . import codec
from . import module as _module
from .codec import PLAIN
from .errors import CodecError, NotPortable, StateTooLarge

if TYPE_CHECKING:
    from .module import ModuleBase
    from .tree import Tree

_MISSING: Final = object()
# Of values that are kept as they are for comparison; a digest is no shorter.
_SHORT_BYTES: Final = 64


class Recorder:
    """Context manager around one task of the module at `path` of `tree`.

    `limit` is the largest encoded change of one module, in bytes; None means that the changes
    stay in this process (a local run): nothing needs to be portable then, and `changes` is empty.
    One task at a time records in a process.
    """

    def __init__(self, tree: Tree, path: str, limit: int | None) -> None:
        """Prepare to record; nothing is read before the block is entered."""
        self._tree = tree
        self._own = tree.module_at(path)
        self._limit = limit
        self._before: dict[str, tuple[object, bytes | None]] = {}
        self._touched: dict[int, tuple[ModuleBase, dict[str, None]]] = {}
        self._entries: list[bytes] = []

    def __enter__(self) -> Self:
        """Take the own module's attributes as they are and start to watch the others."""
        self._before = {
            name: (value, None if type(value) in PLAIN else self._digest(value))
            for name, value in vars(self._own).items()
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
        for module, names in self._changed():
            _mark(module, names)
            if self._limit is not None and (path := self._tree.path_of(module)) is not None:
                self._entries.append(_entry(self._tree, module, path, names, self._limit))
        self._before = {}

    def changes(self) -> list[bytes]:
        """Return the entries, one for each changed module, in the order of their first change."""
        return list(self._entries)

    def _note(self, module: ModuleBase, name: str) -> None:
        self._touched.setdefault(id(module), (module, {}))[1][name] = None

    def _changed(self) -> list[tuple[ModuleBase, list[str]]]:
        own = self._own
        now = vars(own)
        names = [name for name in self._before if name not in now]
        names += [name for name, value in now.items() if self._differs(name, value)]
        changed = [(own, names)] if names else []
        changed += [
            (module, list(touched))
            for module, touched in self._touched.values()
            if module is not own
        ]
        return changed

    def _differs(self, name: str, value: object) -> bool:
        if name in self._own.local_attributes:
            return False
        old, digest = self._before.get(name, (_MISSING, None))
        kind = type(value)
        if kind in PLAIN:
            # It can't have been mutated. By text: zeros have signs, and NaN is no number.
            if value is old:
                return False
            return type(old) is not kind or (repr(old) != repr(value))
        if old is _MISSING:
            return True
        if digest is None:
            # What can't be encoded can't be compared either: only its replacement is seen.
            return value is not old
        return self._digest(value) != digest

    def _digest(self, value: object) -> bytes | None:
        import hashlib

        try:
            encoded = codec.dumps(value, tree=self._tree)
        except CodecError:
            return None
        return encoded if len(encoded) <= _SHORT_BYTES else hashlib.blake2b(encoded).digest()


def _entry(tree: Tree, module: ModuleBase, path: str, names: list[str], limit: int) -> bytes:
    import msgpack

    now = vars(module)
    values: dict[str, bytes] = {}
    for name in names:
        if name in now and name not in module.local_attributes:
            try:
                values[name] = codec.dumps(now[name], tree=tree)
            except CodecError as error:
                raise NotPortable(path, name) from error
    size = sum(map(len, values.values()))
    if size > limit:
        raise StateTooLarge(path, size, limit)
    deleted = [name for name in names if name not in now]
    entry: bytes = msgpack.packb([path, values, deleted])
    return entry


def apply(tree: Tree, entry: bytes) -> None:
    """Write one entry into this copy of the tree.

    Attributes are set past `__setattr__`: what is applied is no change of a running task.
    Raises CodecError when the entry is unreadable or names a module that the tree lacks.
    """
    import msgpack

    try:
        path, values, deleted = msgpack.unpackb(entry)
        module = tree.module_at(path)
    except KeyError as error:
        raise CodecError(f"a state names module {error}, which this tree lacks") from None
    except (ValueError, TypeError) as error:
        raise CodecError(f"a state entry can't be read: {error}") from error
    attributes = vars(module)
    for name, encoded in values.items():
        attributes[name] = codec.loads(encoded, tree=tree)
    for name in deleted:
        attributes.pop(name, None)
    _mark(module, values)


def _mark(module: ModuleBase, names: Collection[str]) -> None:
    if module._changed.issuperset(names):
        return
    # Past `__setattr__`: the mark itself is no change.
    object.__setattr__(module, "_changed", module._changed.union(names))


def state_dict(root: ModuleBase) -> dict[str, Any]:
    """Return what tasks have changed on `root` and below it: `{"path.attribute": value}`.

    Paths are relative to `root` (its own attributes have no path: `"weights"`), so that the dict
    fits any tree of the same shape.  Values are the live objects, not copies.
    """
    states: dict[str, Any] = {}
    for prefix, module in _relative(root):
        attributes = vars(module)
        for name in sorted(module._changed):
            if name in attributes:
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
    from .tree import Tree

    tree = Tree(root, "root")
    return [(node.path.partition("/")[2], node.module) for node in tree.nodes]
