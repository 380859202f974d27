"""The canonical digest of a live value: equal in every process that holds an equal value.

Neither the order of sets nor the addresses of objects count; the order of a dict is digested by
itself, as it may come from the hashes of texts, which differ from process to process. Mutable
objects are numbered as they are first met, so that sharing and circles count. Code and modules of
the tree stand in a value as names, which `Names` gives. A value that can't be read is Unknown.
"""

from __future__ import annotations

import collections
import enum
import functools
import hashlib
import logging
import re
import threading
import types
import weakref
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..composite import Composite
from .fingerprint import DIGEST_CHARACTERS
from .kinds import is_a

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_LRU_CACHE: Final = type(functools.lru_cache(len))
_BY_TYPE: Final = (
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Event,
    threading.Condition,
    threading.Semaphore,
    threading.local,
)
_BUILTIN: Final = (
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
)
_BASES: Final[tuple[Any, ...]] = (
    dict, list, tuple, set, frozenset, str, bytes, bytearray, bool, int, float, complex,
)  # fmt: skip
_MANY: Final = 8
"""Keys of a dict that stand in the order of a set by no chance."""
_CODE: Final = (type, types.FunctionType, types.ModuleType, *_BUILTIN)
# Whether two equal ones are one object says nothing.
_UNSHARED: Final = (tuple, frozenset, type, types.ModuleType)


class Names(Protocol):
    """What a value can hold beside data, and how that is called."""

    def code(self, value: Any, reading: Reading) -> bytes:
        """Return what stands for a class, function or module, and note that it is used."""

    def member(self, module: Any, reading: Reading) -> bytes | None:
        """Return what stands for a module of the tree, None for any other."""

    def text(self, text: str) -> str:
        """Return a text without the place of the project's folder."""

    def is_own(self, cls: type) -> bool:
        """Whether a class is of the project."""


class Unknown(Exception):
    """A value can't be digested; the message says why."""


class Reading:
    """One value being read.

    `uses` and `members` are what it refers to, by name and by path; `notes` say where it reaches
    for more than can be told.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self.uses: dict[str, None] = {}
        self.members: dict[str, None] = {}
        self.notes: dict[str, None] = {}
        self._numbers: dict[int, int] = {}
        # Objects made while reading must not give their ids to others.
        self._alive: list[Any] = []
        self._order = hashlib.sha256()
        self._is_ordered = False

    def digest(self, value: Any) -> str:
        """Return the digest, with that of the order of its dicts after `/`; raises Unknown."""
        try:
            token = self.token(value)
        except Unknown:
            raise
        except RecursionError:
            raise Unknown(f"a {type(value).__name__} that is nested too deeply") from None
        except Exception as error:
            # Objects may answer any question with any exception.
            raise Unknown(f"a {type(value).__name__} that can't be read ({error})") from error
        found = hashlib.sha256(token).hexdigest()[:DIGEST_CHARACTERS]
        if not self._is_ordered:
            return found
        return f"{found}/{self._order.hexdigest()[:DIGEST_CHARACTERS]}"

    def token(self, value: Any) -> bytes:
        """Return the bytes that stand for a value; raises Unknown."""
        read = _PLAIN.get(type(value))
        if read is not None:
            return read(self, value)
        if is_a(value, _UNSHARED):
            return self._object(value)
        known = self._numbers.get(id(value))
        if known is not None:
            return b"again:%d" % known
        self._numbers[id(value)] = len(self._numbers)
        self._alive.append(value)
        return self._object(value)

    def take(self, other: Reading, prefix: str = "") -> None:
        """Note what another one uses, too, its notes with something before them."""
        self.uses.update(other.uses)
        self.members.update(other.members)
        self.notes.update({f"{prefix}{note}": None for note in other.notes})

    def joined(self, kind: str, tokens: Iterable[bytes]) -> bytes:
        """Return the token of something of that kind made of others."""
        sha = hashlib.sha256(kind.encode())
        for token in tokens:
            sha.update(b"%d:" % len(token))
            sha.update(token)
        return sha.digest()

    def _object(self, value: Any) -> bytes:
        kind = type(value)
        read = _KNOWN.get(kind)
        if read is not None:
            return read(self, value)
        if is_a(value, _CODE):
            return self._names.code(value, self)
        if is_a(value, Composite):
            member = self._names.member(value, self)
            if member is not None:
                return member
        if is_a(value, enum.Enum):
            return self.joined("enum", [self.token(kind), value.name.encode()])
        if is_a(value, logging.Logger):
            return b"logger:" + str(value.name).encode()
        if is_a(value, _BY_TYPE):
            return b"kind:" + kind.__name__.encode()
        if is_a(value, weakref.ReferenceType):
            return self.joined("weak", [self.token(value())])
        if is_a(value, PurePath):
            return self.joined("path", [self._names.text(str(value)).encode(errors="replace")])
        if kind.__module__ == "numpy" and hasattr(value, "dtype"):
            import numpy as np

            if kind is np.ndarray or is_a(value, np.generic):
                return self._array(value)
        if kind.__module__ in {"typing", "types"}:
            return self._hint(value)
        if is_a(value, Composite) or self._names.is_own(kind):
            return self._instance(value)
        return self._reduced(value)

    def _array(self, value: Any) -> bytes:
        import numpy as np

        array = np.asarray(value)
        if array.dtype.hasobject:
            data = self.token(array.tolist())
        else:
            data = hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()
        shape = f"{array.dtype.str}{array.dtype.descr}{array.shape}".encode()
        return self.joined("array", [self.token(type(value)), shape, data])

    def _hint(self, value: Any) -> bytes:
        parts = getattr(value, "__args__", None)
        if parts is None:
            return self._reduced(value)
        origin = getattr(value, "__origin__", None)
        return self.joined("hint", [self.token(origin), *map(self.token, parts)])

    def _instance(self, value: Any) -> bytes:
        """Read an object of the project's own class: all that it holds, whatever it pickles."""
        held = dict(getattr(value, "__dict__", {}))
        for base in type(value).__mro__:
            slots = base.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                slot = _mangled(base, name)
                if name not in _NO_SLOTS and hasattr(value, slot):
                    held[slot] = getattr(value, slot)
        return self.joined(
            "instance", [self.token(type(value)), *self._content(value), self.token(held)]
        )

    def _content(self, value: Any) -> list[bytes]:
        """Read what an object of a class that inherits from a builtin one holds as such."""
        for base in _BASES:
            if is_a(value, base):
                plain = str.__str__(value) if base is str else base(value)
                return [base.__name__.encode(), self.token(plain)]
        return []

    def _reduced(self, value: Any) -> bytes:
        try:
            made = value.__reduce_ex__(4)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            raise Unknown(f"a {type(value).__qualname__}") from error
        if isinstance(made, str):
            return self.joined("global", [self.token(type(value)), made.encode()])
        function, arguments, *more = made
        state, items, pairs = [*more, None, None, None][:3]
        listed = None if items is None else list(items)
        return self.joined(
            "object",
            [
                self.token(function),
                self.token(arguments),
                self.token(state),
                self.token(listed),
                self.token(None if pairs is None else dict(pairs)),
            ],
        )

    def _unordered(self, items: Iterable[Any]) -> list[bytes]:
        tokens: list[bytes] = []
        for item in items:
            alone = Reading(self._names)
            tokens.append(alone.token(item))
            self.take(alone)
            self._alive.append(item)
        return sorted(tokens)

    def _dict(self, value: dict[Any, Any]) -> bytes:
        keys = [(self._key(key), key) for key in value]
        if len(keys) > 1:
            self._is_ordered = True
            # One that was filled from a set has an order of hashes, which says nothing.
            is_hashed = len(keys) >= _MANY and list(value) == list(set(value))
            for token, _ in [(b"by hash", None)] if is_hashed else keys:
                self._order.update(token)
        tokens: list[bytes] = []
        for token, key in sorted(keys, key=lambda pair: pair[0]):
            tokens += [token, self.token(value[key])]
        return self.joined("dict", tokens)

    def _key(self, key: Any) -> bytes:
        read = _PLAIN.get(type(key))
        return read(self, key) if read is not None else self._unordered([key])[0]

    def _text(self, value: str) -> bytes:
        return b"str:" + self._names.text(value).encode("utf-8", "surrogatepass")

    def _default_dict(self, value: Any) -> bytes:
        return self.joined("defaultdict", [self.token(value.default_factory), self._dict(value)])

    def _ordered_dict(self, value: Any) -> bytes:
        return self.joined("ordered", [self.token(list(value.items()))])


_PLAIN: Final[dict[type, Callable[[Reading, Any], bytes]]] = {
    type(None): lambda *_: b"none",
    bool: lambda _, value: b"bool:%d" % value,
    int: lambda _, value: b"int:%x" % value if value >= 0 else b"int:-%x" % -value,
    float: lambda _, value: b"float:" + value.hex().encode(),
    complex: lambda _, value: f"complex:{value.real.hex()} {value.imag.hex()}".encode(),
    bytes: lambda _, value: b"bytes:" + value,
    str: lambda reading, value: reading._text(value),
    type(...): lambda *_: b"ellipsis",
    type(NotImplemented): lambda *_: b"notimplemented",
}
_KNOWN: Final[dict[type, Callable[[Reading, Any], bytes]]] = {
    list: lambda reading, value: reading.joined("list", map(reading.token, value)),
    tuple: lambda reading, value: reading.joined("tuple", map(reading.token, value)),
    dict: lambda reading, value: reading._dict(value),
    set: lambda reading, value: reading.joined("set", reading._unordered(value)),
    frozenset: lambda reading, value: reading.joined("frozenset", reading._unordered(value)),
    bytearray: lambda _, value: b"bytearray:" + bytes(value),
    range: lambda _, value: f"range:{value!r}".encode(),
    slice: lambda reading, value: reading.joined(
        "slice", map(reading.token, (value.start, value.stop, value.step))
    ),
    object: lambda *_: b"object",
    collections.defaultdict: lambda reading, value: reading._default_dict(value),
    collections.OrderedDict: lambda reading, value: reading._ordered_dict(value),
    re.Pattern: lambda reading, value: reading.joined(
        "pattern", [reading.token(value.pattern), reading.token(value.flags)]
    ),
    types.MappingProxyType: lambda reading, value: reading.joined(
        "proxy", [reading.token(dict(value))]
    ),
    types.SimpleNamespace: lambda reading, value: reading.joined(
        "namespace", [reading.token(vars(value))]
    ),
    types.MethodType: lambda reading, value: reading.joined(
        "method", [reading.token(value.__func__), reading.token(value.__self__)]
    ),
    property: lambda reading, value: reading.joined(
        "property", map(reading.token, (value.fget, value.fset, value.fdel))
    ),
    staticmethod: lambda reading, value: reading.joined("static", [reading.token(value.__func__)]),
    classmethod: lambda reading, value: reading.joined("class", [reading.token(value.__func__)]),
    functools.partial: lambda reading, value: reading.joined(
        "partial", map(reading.token, (value.func, value.args, value.keywords))
    ),
    _LRU_CACHE: lambda reading, value: reading.joined(
        "cache", map(reading.token, (value.__wrapped__, value.cache_parameters()))
    ),
    types.CellType: lambda reading, value: reading.joined("cell", [_cell(reading, value)]),
}

_NO_SLOTS: Final = frozenset({"__dict__", "__weakref__", "_runtime", "_changed"})


def _mangled(cls: type, name: str) -> str:
    is_private = name.startswith("__") and not name.endswith("__")
    return f"_{cls.__name__.lstrip('_')}{name}" if is_private else name


def _cell(reading: Reading, cell: Any) -> bytes:
    try:
        return reading.token(cell.cell_contents)
    except ValueError:
        return b"empty"
