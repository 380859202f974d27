"""Values to bytes and back: the codec of module states and of calls between Python processes.

Exact builtin types travel as msgpack (tuples, sets and any hashable dict key too); everything else
as cloudpickle inside it.  A module of a known tree travels as a reference, its path, so that it is
the same object wherever the value arrives.  `seal` and `unseal` put a keyed signature around the
bytes: nothing in this file is ever unpickled before the caller has checked one.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import CodecError, SignatureError

if TYPE_CHECKING:
    from ..tree import Tree

_TUPLE, _SET, _FROZENSET, _INT, _MODULE, _PICKLE = 1, 2, 3, 4, 5, 6
_MAGIC = b"RW1"
_KEY_ID_BYTES = 8
_MAC_BYTES = 32
# Of SHA-256.
_BLOCK_BYTES = 64
PLAIN = frozenset({str, int, float, bool, type(None)})
"""Types of values that can't be mutated and are encoded as they are."""

# The first bytes of an encoded value that holds nothing of ours: numbers, texts, bytes, nil.
_PLAIN_BYTES = frozenset((*range(0x80), *range(0xA0, 0xC7), *range(0xCA, 0xD4), *range(0xD9, 0xDC)))
_PLAIN_BYTES |= frozenset(range(0xE0, 0x100))
_HEADER_BYTES = len(_MAGIC) + _KEY_ID_BYTES + _MAC_BYTES


def dumps(value: object, *, tree: Tree | None = None) -> bytes:
    """Encode `value`; modules of `tree` become references.

    Raises CodecError when something in it can't travel; the message names its type.
    """
    import msgpack

    if type(value) in PLAIN:
        try:
            plain: bytes = msgpack.packb(value, unicode_errors="surrogatepass")
        except OverflowError:
            # An integer that msgpack has no room for.
            pass
        else:
            return plain

    def encode_other(item: Any) -> msgpack.ExtType:
        kind = type(item)
        if kind is tuple:
            return msgpack.ExtType(_TUPLE, pack(list(item)))
        if kind is set:
            return msgpack.ExtType(_SET, pack(list(item)))
        if kind is frozenset:
            return msgpack.ExtType(_FROZENSET, pack(list(item)))
        if kind is int:
            return msgpack.ExtType(_INT, str(item).encode())
        if tree is not None and (path := _path_in(tree, item)) is not None:
            return msgpack.ExtType(_MODULE, path.encode())
        return msgpack.ExtType(_PICKLE, pickled(item, tree)[0])

    def pack(item: object) -> bytes:
        packed: bytes = msgpack.packb(
            item, default=encode_other, strict_types=True, unicode_errors="surrogatepass"
        )
        return packed

    try:
        return pack(value)
    except (CodecError, KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:
        raise CodecError(f"a value of type {type(value).__name__} can't travel: {error}") from error


def loads(data: bytes, *, tree: Tree | None = None) -> Any:
    """Decode what `dumps` made; references resolve to the modules of `tree`.

    Only for bytes whose origin is checked: they may hold a pickle.  Raises CodecError.
    """
    import msgpack

    if data and data[0] in _PLAIN_BYTES:
        try:
            return msgpack.unpackb(data, unicode_errors="surrogatepass")
        except Exception as error:
            raise _unreadable(error) from error

    def decode_other(code: int, body: bytes) -> object:
        if code == _TUPLE:
            return tuple(unpack(body))
        if code == _SET:
            return set(unpack(body))
        if code == _FROZENSET:
            return frozenset(unpack(body))
        if code == _INT:
            return int(body)
        if code == _MODULE:
            return _module_at(tree, body.decode())
        if code == _PICKLE:
            return unpickle(body, tree)
        raise CodecError(f"unknown extension type {code} in encoded value")

    def unpack(body: bytes) -> Any:
        return msgpack.unpackb(
            body, ext_hook=decode_other, strict_map_key=False, unicode_errors="surrogatepass"
        )

    try:
        return unpack(data)
    except (CodecError, KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:
        raise _unreadable(error) from error


def loads_plain(data: bytes) -> Any:
    """Decode what `dumps` made of builtin types; CodecError for what needs a class or a tree."""

    def decode_other(code: int, body: bytes) -> object:
        if code in (_TUPLE, _SET, _FROZENSET):
            return list(unpack(body))
        if code == _INT:
            return int(body)
        raise CodecError("the value is no plain data")

    import msgpack

    def unpack(body: bytes) -> Any:
        return msgpack.unpackb(
            body, ext_hook=decode_other, strict_map_key=False, unicode_errors="surrogatepass"
        )

    try:
        return unpack(data)
    except CodecError:
        raise
    except Exception as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> CodecError:
    return CodecError(f"an encoded value can't be read: {type(error).__name__}: {error}")


def _path_in(tree: Tree, item: object) -> str | None:
    from ..composite import Composite

    return tree.path_of(item) if isinstance(item, Composite) else None


def _module_at(tree: Tree | None, path: str) -> object:
    if tree is None:
        raise CodecError(f"the value refers to module {path!r}, but no tree is at hand")
    try:
        return tree.module_at(path)
    except KeyError:
        raise CodecError(f"the value refers to module {path!r}, which this tree lacks") from None


def pickled(item: object, tree: Tree | None) -> tuple[bytes, Mapping[int, object]]:
    """Pickle `item` as a whole, so that objects in it stay shared; modules of `tree` as references.

    The second result has the ids of all objects in it that can be shared. Raises CodecError for
    what is nested too deeply, and whatever refuses to be pickled.
    """
    buffer = io.BytesIO()
    pickler = _pickler_class()(buffer, protocol=5)
    pickler.tree = tree
    try:
        pickler.dump(item)
    except RecursionError:
        raise CodecError(f"a {type(item).__name__} is nested too deeply to travel") from None
    return buffer.getvalue(), pickler.memo.copy()


def unpickle(body: bytes, tree: Tree | None) -> Any:
    """Read what `pickled` made, once its signature is checked; raises what unpickling raises."""
    unpickler = _unpickler_class()(io.BytesIO(body))
    unpickler.tree = tree
    return unpickler.load()


@functools.cache
def _pickler_class() -> Any:
    # Made at first use: most values never need cloudpickle, and its import is not free.
    from ..composite import Composite
    from .exceptions import reduce_exception
    from .pickling import pickler_class

    class ValuePickler(pickler_class()):  # type: ignore[misc]
        tree: Tree | None = None

        # Not persistent_id, which would be asked about every number of a list.
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, Composite) and self.tree is not None:
                path = self.tree.path_of(obj)
                if path is not None:
                    return module_reference, (path,)
            elif isinstance(obj, BaseException):
                reduced = reduce_exception(obj)
                if reduced is not None:
                    return reduced
            return super().reducer_override(obj)

    return ValuePickler


def module_reference(path: str) -> object:
    """Stand in a pickle for the module at `path`; only an unpickler with a tree can resolve it."""
    return _module_at(None, path)


@functools.cache
def _unpickler_class() -> Any:
    import pickle

    class ValueUnpickler(pickle.Unpickler):
        tree: Tree | None = None

        def find_class(self, module: str, name: str) -> Any:
            if name == module_reference.__name__ and module == __name__:
                return functools.partial(_module_at, self.tree)
            return super().find_class(module, name)

    return ValueUnpickler


def seal(body: bytes, key: bytes, context: str) -> bytes:
    """Put a header before `body`: magic, key id (8 bytes), HMAC-SHA256 of context and body (32)."""
    return _MAGIC + _key_id(key) + _mac(key, context, body) + body


def seal_head(key: bytes) -> bytes:
    """Return how everything that is sealed with this key begins."""
    return _MAGIC + _key_id(key)


def unseal(data: bytes, keys: bytes | Iterable[bytes], context: str) -> bytes:
    """Return the body that `seal` signed with one of `keys` for the same context.

    Several keys are those of a rotation: the header's key id picks one.  Raises SignatureError.
    """
    import hmac

    if len(data) < _HEADER_BYTES or not data.startswith(_MAGIC):
        raise SignatureError(f"{_purpose(context)}: the data carries no signature")
    key_id = data[len(_MAGIC) : len(_MAGIC) + _KEY_ID_BYTES]
    mac = data[len(_MAGIC) + _KEY_ID_BYTES : _HEADER_BYTES]
    body = data[_HEADER_BYTES:]
    for key in [keys] if isinstance(keys, bytes) else keys:
        if hmac.compare_digest(_key_id(key), key_id):
            if hmac.compare_digest(_mac(key, context, body), mac):
                return body
            raise SignatureError(
                f"{_purpose(context)}: the signature does not match the data; it was changed "
                "on its way, or belongs elsewhere"
            )
    raise SignatureError(
        f"{_purpose(context)}: signed with another secret; set the same ROOTWARD_SECRET here "
        "as where it was submitted"
    )


def _purpose(context: str) -> str:
    return context.partition("|")[0]


@functools.lru_cache(maxsize=64)
def _key_id(key: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(b"rootward key id" + key).digest()[:_KEY_ID_BYTES]


def _mac(key: bytes, context: str, body: bytes) -> bytes:
    return mac_of(key)(context.encode() + b"\0", body)


@functools.lru_cache(maxsize=256)
def mac_of(key: bytes) -> Callable[..., bytes]:
    """Return what makes the HMAC-SHA256 of messages under `key` (RFC 2104).

    A message may come in parts, so that a large one need not be copied to be put together.

    The key is hashed here, once: with `hmac` that takes longer than a short message itself.
    """
    import hashlib

    block = (key if len(key) <= _BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(
        _BLOCK_BYTES, b"\0"
    )
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def mac(message: bytes, *more: bytes | memoryview) -> bytes:
        first, last = inner.copy(), outer.copy()
        first.update(message)
        for part in more:
            first.update(part)
        last.update(first.digest())
        return last.digest()

    return mac
