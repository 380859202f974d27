"""Whole trees to bytes and back, by value or by reference.

By value a tree is one flat pickle: every module as its class and its attributes, modules inside
attributes as references within the pickle, so that neither depth nor sharing is a limit. Classes
and functions of importable modules go by name: the header says how the other side imports them, and
which bundle it needs for that. By reference a tree is a TARGET that the other side imports. Of code
that stays behind the digest goes along: another version there is refused instead of run. The bytes
are unsigned; who stores them elsewhere seals them first.
"""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from ..code.bundle import is_digest
from ..code.entry import enter
from ..code.main_file import ALIAS, send_main_by_name
from ..code.origin import Origin
from ..composite import Composite
from ..errors import CodecError, CodeMismatch
from ..tree import Tree
from . import live_objects, pickling
from .attributes import attributes_of, drop_attributes, put_attributes
from .culprit import culprit
from .packed_map import pack_map

if TYPE_CHECKING:
    from types import ModuleType

FORMAT: Final = 2
_DIGEST_FILES: Final = 5_000
_OURS: Final = ("rootward", "builtins", "abc", "typing", "__main__", "__mp_main__")
_NO_GLOBALS: Final[Mapping[int, tuple[str, str]]] = {}


def pack(
    tree: Tree,
    origin: Origin | None = None,
    *,
    known: Mapping[int, tuple[str, str]] = _NO_GLOBALS,
    code_digest: str | None = None,
) -> bytes:
    """Pack `tree` by value; raises NotPortable, which names the module and the attribute.

    `origin` says how the other side imports, `known` where the code's globals are, by id.
    `code_digest`, of code that stays behind, is compared with that of the other side.
    """
    import cloudpickle

    globals_ = live_objects.named(tree, known)
    body = _pickle_nodes(tree, known)
    if origin is not None and origin.main is not None and not _names_main(body):
        # Nothing of it is used: other processes needn't run it.
        send_main_by_name(())
        origin = replace(origin, main=None)
    return _header(
        kind="value",
        name=tree.name,
        origin=origin,
        cloudpickle=cloudpickle.__version__,
        shape=live_objects.shape_of(tree) if globals_ else [],
        globals=[[number, *place] for number, place in globals_.items()],
        digest=code_digest,
        body=body,
    )


def pack_reference(
    target: str,
    tree: Tree,
    origin: Origin | None = None,
    *,
    name: str | None = None,
    code_digest: str | None = None,
) -> bytes:
    """Pack `tree` as the TARGET that made it and, of code that stays behind, its digest."""
    return _header(
        kind="reference",
        name=name or tree.name,
        origin=origin,
        target=target,
        digest=code_digest,
    )


def bundle_of(definition: bytes) -> str | None:
    """Return the digest of the bundle that a packed tree needs; None for none.

    Imports and unpickles nothing. Raises CodecError.
    """
    origin = _read(definition)["origin"]
    digest_ = None if origin is None else origin.get("bundle")
    if digest_ is not None and not is_digest(digest_):
        raise CodecError("the packed tree names no bundle that can be")
    return None if digest_ is None else str(digest_)


def unpack(definition: bytes, folder: str | None = None, *, worker: str | None = None) -> Tree:
    """Rebuild the tree that `pack` or `pack_reference` packed.

    Imports what it needs, so this belongs in a process that may run the user's code. `folder` is
    where the bundle was unpacked, `worker` the name that errors give this process. Raises
    CodeMismatch for other Python or other code than the submitter's, CodecError for anything that
    is no definition, and whatever the user's own imports raise.
    """
    header = _read(definition)
    if header["kind"] == "value" and header["python"] != (here := list(sys.version_info[:2])):
        raise CodeMismatch(
            f"the tree was packed by Python {_dotted(header['python'])} and this is Python "
            f"{_dotted(here)}; use the same on both sides, or submit by reference"
        )
    if header["origin"] is not None:
        try:
            origin = Origin.from_header(header["origin"])
        except (TypeError, KeyError, ValueError) as error:
            raise CodecError(f"this is no packed tree: {error}") from error
        enter(origin, folder, worker=worker)
    return _from_value(header) if header["kind"] == "value" else _from_reference(header)


def _read(definition: bytes) -> dict[str, Any]:
    import msgpack

    try:
        header: dict[str, Any] = msgpack.unpackb(definition)
        version = header["format"]
        header["kind"], header["name"], header["origin"], header["python"]
    except (ValueError, TypeError, KeyError) as error:
        raise CodecError(f"this is no packed tree: {error}") from error
    if version != FORMAT:
        raise CodeMismatch(
            f"the tree was packed in format {version}, this rootward reads {FORMAT}; run the same "
            "version here as where it was submitted"
        )
    return header


def digest(tree: Tree) -> str:
    """Digest (hex) of a tree's shape and of the source code that defines its classes.

    A class in a package brings the whole top-level package, so that a changed neighbour counts.
    """
    import hashlib

    sources: dict[str, None] = {}
    digest_ = hashlib.sha256()
    classes: dict[type, None] = {}
    for node, path in zip(tree.nodes, tree.paths(), strict=True):
        cls = type(node.module)
        classes[cls] = None
        digest_.update(f"{path}\0{cls.__qualname__}\0".encode())
    for base in (base for cls in classes for base in cls.__mro__):
        if not _is_ours(base.__module__):
            sources[base.__module__] = None
    for file in sorted(set(_files(sources))):
        with open(file, "rb") as source:
            digest_.update(hashlib.sha256(source.read()).digest())
    return digest_.hexdigest()


def _names_main(body: bytes) -> bool:
    return b"__main__" in body or ALIAS.encode() in body


def _header(*, origin: Origin | None, **fields: Any) -> bytes:
    fields["origin"] = None if origin is None else origin.to_header()
    fields.update(format=FORMAT, python=list(sys.version_info[:2]))
    return b"".join(pack_map(fields))


def _pickle_nodes(tree: Tree, known: Mapping[int, tuple[str, str]]) -> bytes:
    buffer = io.BytesIO()
    try:
        pickler = _pickler_of(tree, known, buffer)
        pickler.dump([(node.module, _attributes(node.module)) for node in tree.nodes])
    except (KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:

        def dump(value: object) -> None:
            _pickler_of(tree, known, io.BytesIO()).dump(value)

        raise culprit(tree, dump, error) from error
    return buffer.getvalue()


def _pickler_of(tree: Tree, known: Mapping[int, tuple[str, str]], buffer: io.BytesIO) -> Any:
    pickler = _pickler_class()(buffer, protocol=5)
    pickler.members = {id(node.module): number for number, node in enumerate(tree.nodes)}
    pickler.known = known
    return pickler


def _attributes(module: Composite) -> Any:
    """Return what of a module travels: its own `__getstate__`, else its attributes."""
    own = type(module).__getstate__
    if own is not object.__getstate__ and own is not Composite.__dict__.get("__getstate__"):
        return module.__getstate__()
    local = module.local_attributes
    return {name: value for name, value in attributes_of(module).items() if name not in local}


@functools.cache
def _pickler_class() -> Any:
    class TreePickler(pickling.pickler_class()):  # type: ignore[misc]
        members: Mapping[int, int] = {}
        known: Mapping[int, tuple[str, str]] = _NO_GLOBALS

        def reducer_override(self, obj: Any) -> Any:
            # A module of the tree is pickled as an empty object of its class; its attributes
            # follow in the flat list.  That cuts the recursion from parent to child.
            number = self.members.get(id(obj))
            if number is not None and isinstance(obj, Composite):
                return _blank, (type(obj), number)
            place = self.known.get(id(obj))
            if place is not None and not _is_portable(obj):
                # A lock, a sentinel: here and there it is what the code's global is.
                return _global, place
            return super().reducer_override(obj)

    return TreePickler


def _is_portable(value: object) -> bool:
    """Whether it can go by its name or as a copy.

    An object that is nothing but itself can't be copied, nor can a function or class without a
    name of its own (a lambda, what a factory made): their copies would be others.
    """
    import copyreg

    if type(value) is object:
        return False
    if isinstance(value, (FunctionType, type)):
        return "<" not in value.__qualname__
    if type(value) in copyreg.dispatch_table:
        return True
    try:
        value.__reduce_ex__(5)
    except TypeError:
        return False
    return True


# The objects of this process that the nodes of a tree being unpacked are put into, by number.
_counterparts: dict[int, Composite] = {}


def _blank(cls: type[Composite], number: int) -> Composite:
    here = _counterparts.get(number)
    return here if here is not None and type(here) is cls else Composite.__new__(cls)


def _global(name: str, attribute: str) -> Any:
    import importlib

    return getattr(importlib.import_module(name), attribute)


def _from_value(header: dict[str, Any]) -> Tree:
    import pickle

    globals_ = {number: place for number, *place in header["globals"]}
    _counterparts.update(live_objects.counterparts(header["shape"], globals_))
    try:
        nodes = pickle.loads(header["body"])  # noqa: S301 - the caller checked the signature
    finally:
        _counterparts.clear()
    for module, state in nodes:
        restore = getattr(module, "__setstate__", None)
        if restore is not None:
            restore(state)
            continue
        # A counterpart that the code has made here has attributes already.
        here = [name for name in attributes_of(module) if name not in module.local_attributes]
        drop_attributes(module, here)
        for part in state if isinstance(state, tuple) else (state,):
            put_attributes(module, part or {})
    tree = Tree(nodes[-1][0], header["name"])
    _compare(header, tree, "the tree")
    return tree


def _from_reference(header: dict[str, Any]) -> Tree:
    from .target import load_target

    tree = Tree(load_target(header["target"]).root, header["name"])
    _compare(header, tree, header["target"])
    return tree


def _compare(header: dict[str, Any], tree: Tree, what: str) -> None:
    if header["digest"] is not None and digest(tree) != header["digest"]:
        raise CodeMismatch(
            f"the code of {what} here differs from the submitter's; bring both to the same "
            "version, or let the code go along (without --no-bundle)"
        )


def _dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))


def _is_ours(module: str) -> bool:
    # A main program's classes travel whole.
    return module.partition(".")[0] in _OURS


def _files(module_names: Iterable[str]) -> list[str]:
    files: list[str] = []
    for name in module_names:
        module = sys.modules.get(name)
        top = sys.modules.get(name.split(".")[0])
        folders = list(getattr(top, "__path__", ()))
        for folder in folders:
            files += _python_files(folder)
        if not folders and (file := _source_of(module)) is not None:
            files.append(file)
    return files[:_DIGEST_FILES]


def _python_files(folder: str) -> list[str]:
    return [
        os.path.join(parent, file)
        for parent, _, names in os.walk(folder)
        for file in names
        if file.endswith(".py")
    ]


def _source_of(module: ModuleType | None) -> str | None:
    file = getattr(module, "__file__", None)
    return file if file and os.path.isfile(file) else None
