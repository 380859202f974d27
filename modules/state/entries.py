"""Changes of modules to bytes and back: the entries of a state log.

An entry holds what one task has changed on one module or on several. Values of exact builtin types
are written one by one; all others of the task, and what shares an object with another value (a list
under two names), are pickled together, so that they share it again wherever the entry is applied.
Modules inside values travel as paths. What has changed is `state_log`'s to say.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..errors import CodecError, NotPortable, StateTooLarge
from . import values
from .attributes import attributes_of, drop_attributes, put_attributes
from .values import PLAIN

if TYPE_CHECKING:
    from ..composite import Composite
    from ..tree import Tree

_LONGEST_BITS: Final = 63
_MUTABLE: Final = frozenset({list, dict, set, bytearray})
_FIXED: Final = frozenset({tuple, frozenset, bytes, complex})
# Named rather than copied where they arrive, so it doesn't matter how many names they have.
_BY_NAME: Final = (type, FunctionType, BuiltinFunctionType, ModuleType)


class ModuleChange(NamedTuple):
    """The attributes of one module that were set, replaced, mutated or deleted."""

    module: Composite
    names: Sequence[str]


class _Part:
    """One module of an entry; `plain` are values that msgpack holds as they are."""

    __slots__ = ("deleted", "joint", "path", "plain", "single")

    def __init__(self, path: str, deleted: list[str]) -> None:
        self.path, self.deleted = path, deleted
        self.plain: dict[str, Any] = {}
        self.single: dict[str, Any] = {}
        self.joint: dict[str, Any] = {}


def encode(
    tree: Tree, changes: Iterable[ModuleChange], limit: int, writer: str = ""
) -> list[bytes]:
    """Return entries with the changes, in their order; modules outside of `tree` are left out.

    `limit` is the largest change of one module in bytes, `writer` the id of the task that made
    them. Raises NotPortable, which names the attribute, and StateTooLarge.
    """
    parts = [
        _part(module, path, names)
        for module, names in changes
        if (path := tree.path_of(module)) is not None
    ]
    joint = _join(parts, tree)
    alone = [part for part in parts if not part.joint]
    together = [part for part in parts if part.joint]
    entries = [_packed([_coded(part, tree)], None, writer) for part in alone]
    if together:
        entries.append(_packed([_coded(part, tree) for part in together], joint, writer))
    if any(len(entry) > limit for entry in entries):
        for part in parts:
            _check_size(part, tree, limit)
    return entries


def apply(tree: Tree, entry: bytes) -> list[tuple[Composite, list[str]]]:
    """Write one entry into this copy of the tree; return which attributes of what it has set.

    Attributes are set past `__setattr__`: what is applied is no change of a running task. Raises
    CodecError, before anything is written, for an entry that is unreadable or names a module that
    the tree lacks.
    """
    import msgpack

    try:
        parts, joint, *_ = msgpack.unpackb(entry, unicode_errors="surrogatepass")
        modules = [tree.module_at(path) for path, _, _, _ in parts]
    except KeyError as error:
        raise CodecError(f"a state names module {error}, which this tree lacks") from None
    except (ValueError, TypeError) as error:
        raise CodecError(f"a state entry can't be read: {error}") from error
    more = [{}] * len(parts) if joint is None else values.unpickle(joint, tree)
    written = []
    for module, (_, plain, coded, deleted), others in zip(modules, parts, more, strict=True):
        found = {name: values.loads(value, tree=tree) for name, value in coded.items()}
        put_attributes(module, {**plain, **found, **others})
        drop_attributes(module, deleted)
        written.append((module, [*plain, *found, *others]))
    return written


def plain_values(entry: bytes, names: Collection[str]) -> list[tuple[str, dict[str, Any]]]:
    """Return the paths that an entry is of, each with those of the named values that are plain.

    Nothing is unpickled and no tree is needed; what is no plain data is left out. CodecError for
    bytes that are no entry.
    """
    import msgpack

    found: list[tuple[str, dict[str, Any]]] = []
    try:
        parts, *_ = msgpack.unpackb(entry, unicode_errors="surrogatepass")
        for path, plain, coded, _ in parts:
            values_ = {name: plain[name] for name in names if name in plain}
            for name in names:
                if name in coded:
                    with contextlib.suppress(CodecError):
                        values_[name] = values.loads_plain(coded[name])
            found.append((path, values_))
    except (ValueError, TypeError) as error:
        raise CodecError(f"a state entry can't be read: {error}") from error
    return found


class EntryOrigin(NamedTuple):
    """Where an entry comes from: the id of the task that wrote it, and the modules it changes.

    `writer` is empty where that isn't known.
    """

    writer: str
    paths: tuple[str, ...]


def origin_of(entry: bytes) -> EntryOrigin:
    """Return where an entry comes from; nothing is unpickled. CodecError for no entry."""
    import msgpack

    try:
        parts, _, *rest = msgpack.unpackb(entry, unicode_errors="surrogatepass")
        (writer,) = rest or ("",)
        return EntryOrigin(str(writer), tuple([str(path) for path, _, _, _ in parts]))
    except (ValueError, TypeError) as error:
        raise CodecError(f"a state entry can't be read: {error}") from error


def shared_names(names: Iterable[str], attributes: dict[str, Any], tree: Tree) -> list[str]:
    """Return `names` and those of all attributes that share an object with one of them."""
    chosen = dict.fromkeys(names)
    touched = {
        each for name in chosen if name in attributes for each in _ids(attributes[name], tree)
    }
    left = {
        name: found
        for name, value in attributes.items()
        if touched and name not in chosen and (found := _ids(value, tree))
    }
    grows = bool(left)
    while grows:
        grows = False
        for name, found in list(left.items()):
            if not touched.isdisjoint(found):
                chosen[name] = None
                touched |= left.pop(name)
                grows = True
    return list(chosen)


def _ids(value: Any, tree: Tree) -> set[int]:
    if type(value) in PLAIN:
        return set()
    return {id(each) for each in _objects((value,), tree)}


def _part(module: Composite, path: str, names: Sequence[str]) -> _Part:
    now, local = attributes_of(module), module.local_attributes
    part = _Part(path, [name for name in names if name not in now])
    for name in names:
        if name not in now or name in local:
            continue
        value = now[name]
        kind = type(value)
        fits = kind in PLAIN and (kind is not int or value.bit_length() <= _LONGEST_BITS)
        (part.plain if fits else part.single)[name] = value
    return part


def _join(parts: Sequence[_Part], tree: Tree) -> bytes | None:
    """Move the values that have to be pickled together to `joint` and return their pickle."""
    held = {
        (index, name): {id(each): each for each in _objects((value,), tree)}
        for index, part in enumerate(parts)
        for name, value in part.single.items()
    }
    times = Counter(each for found in held.values() for each in found)
    moving = [
        place
        for place, found in held.items()
        if any(times[each] > 1 or type(value) not in _MUTABLE for each, value in found.items())
    ]
    pickled: bytes | None = None
    while moving:
        for index, name in moving:
            parts[index].joint[name] = parts[index].single.pop(name)
            del held[index, name]
        try:
            pickled, ids = values.pickled([part.joint for part in parts if part.joint], tree)
        except Exception:
            _name_culprit(parts, tree)
            raise
        # Objects are searched by the pickler only: what they hold of the other values is known now.
        moving = [place for place, found in held.items() if not ids.keys().isdisjoint(found)]
    return pickled


def _objects(roots: Iterable[Any], tree: Tree) -> Iterable[Any]:
    """Yield the objects in values that can be shared: mutable containers, and what isn't builtin.

    Containers are searched, other objects aren't. Modules of the tree are one object everywhere.
    """
    stack, opened = list(roots), set()
    while stack:
        value = stack.pop()
        kind = type(value)
        if kind in PLAIN or kind is bytes or kind is complex or isinstance(value, _BY_NAME):
            continue
        if kind not in _MUTABLE and kind not in _FIXED:
            if not tree.holds(value):
                yield value
            continue
        if kind in _MUTABLE:
            yield value
        if id(value) in opened or kind is bytearray:
            continue
        opened.add(id(value))
        items = value.values() if kind is dict else value
        # By type first: a list of a million numbers is passed over without a look at each.
        if not set(map(type, items)) <= PLAIN:
            stack.extend(items)


def _coded(part: _Part, tree: Tree) -> list[Any]:
    coded: dict[str, bytes] = {}
    for name, value in part.single.items():
        try:
            coded[name] = values.dumps(value, tree=tree)
        except CodecError as error:
            raise NotPortable(part.path, name) from error
    return [part.path, part.plain, coded, part.deleted]


def _name_culprit(parts: Sequence[_Part], tree: Tree) -> None:
    for part in parts:
        for name, value in part.joint.items():
            try:
                values.pickled(value, tree)
            except Exception as error:
                # Any refusal to be pickled names the culprit.
                raise NotPortable(part.path, name) from error


def _packed(parts: list[list[Any]], joint: bytes | None, writer: str) -> bytes:
    import msgpack

    packed = [parts, joint, writer] if writer else [parts, joint]
    entry: bytes = msgpack.packb(packed, unicode_errors="surrogatepass")
    return entry


def _check_size(part: _Part, tree: Tree, limit: int) -> None:
    coded = _coded(part, tree)[2]
    size = sum(map(len, (*map(values.dumps, part.plain.values()), *coded.values())))
    if part.joint:
        size += len(values.pickled(part.joint, tree)[0])
    if size > limit:
        raise StateTooLarge(part.path, size, limit)
