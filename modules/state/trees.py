"""Whole trees to bytes and back, by value or by reference.

By value a tree is one flat pickle: every module as its class and its attributes, modules inside
attributes as references within the pickle, so that neither depth nor sharing is a limit and classes
of scripts and shells go along.  By reference it is a TARGET that the other side imports, with a
digest of the code: another version there is refused instead of run.  The bytes are unsigned; who
stores them elsewhere seals them first.
"""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..attributes import attributes_of, put_attributes
from ..errors import CodecError, CodeMismatch, NotPortable
from ..module import ModuleBase
from ..tree import Tree

if TYPE_CHECKING:
    from types import ModuleType

FORMAT: Final = 1
_DIGEST_FILES: Final = 5_000


def pack(tree: Tree, *, search_path: Sequence[str] = ()) -> bytes:
    """Pack `tree` by value; raises NotPortable, which names the module and the attribute.

    `search_path` lists folders in which the other side may find what the tree imports; those that
    do not exist there are left out.
    """
    import cloudpickle

    return _header(
        kind="value",
        name=tree.name,
        search_path=search_path,
        cloudpickle=cloudpickle.__version__,
        body=_pickle_nodes(tree),
    )


def pack_reference(
    target: str, tree: Tree, *, name: str | None = None, search_path: Sequence[str] = ()
) -> bytes:
    """Pack `tree` as the TARGET that made it and the digest of its code."""
    return _header(
        kind="reference",
        name=name or tree.name,
        search_path=search_path,
        target=target,
        digest=digest(tree),
    )


def unpack(definition: bytes) -> Tree:
    """Rebuild the tree that `pack` or `pack_reference` packed.

    Imports what it needs, so this belongs in a process that may run the user's code.  Raises
    CodeMismatch for other Python or other code than the submitter's, CodecError for anything that
    is no definition, and whatever the user's own imports raise.
    """
    import msgpack

    try:
        header = msgpack.unpackb(definition)
        version, kind, name = header["format"], header["kind"], header["name"]
    except (ValueError, TypeError, KeyError) as error:
        raise CodecError(f"this is no packed tree: {error}") from error
    if version != FORMAT:
        raise CodeMismatch(
            f"the tree was packed in format {version}, this rootward reads {FORMAT}; run the same "
            "version here as where it was submitted"
        )
    for folder in header["search_path"]:
        # At the end: a folder of the user's called `modules` must not hide ours.
        if folder not in sys.path and os.path.isdir(folder):
            sys.path.append(folder)
    return _from_value(header) if kind == "value" else _from_reference(header, name)


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


def user_search_path() -> tuple[str, ...]:
    """Folders of this process's `sys.path` that hold the user's own code, and the current one."""
    ours = (sys.prefix, sys.base_prefix, sys.exec_prefix)
    folders = [os.path.abspath(entry or ".") for entry in [*sys.path, ""]]
    return tuple(
        dict.fromkeys(
            folder for folder in folders if os.path.isdir(folder) and not folder.startswith(ours)
        )
    )


def _header(**fields: Any) -> bytes:
    import msgpack

    fields["search_path"] = list(fields["search_path"])
    fields.update(format=FORMAT, python=list(sys.version_info[:2]))
    packed: bytes = msgpack.packb(fields)
    return packed


def _pickle_nodes(tree: Tree) -> bytes:
    buffer = io.BytesIO()
    try:
        pickler = _pickler_class()(buffer, protocol=5)
        pickler.members = {id(node.module) for node in tree.nodes}
        pickler.dump([(node.module, _attributes(node.module)) for node in tree.nodes])
    except (KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:
        raise _culprit(tree, error) from error
    return buffer.getvalue()


def _attributes(module: ModuleBase) -> Any:
    """Return what of a module travels: its own `__getstate__`, else its attributes."""
    own = type(module).__getstate__
    if own is not object.__getstate__ and own is not ModuleBase.__dict__.get("__getstate__"):
        return module.__getstate__()
    local = module.local_attributes
    return {name: value for name, value in attributes_of(module).items() if name not in local}


def _culprit(tree: Tree, error: Exception) -> NotPortable:
    """Find the module and the attribute that can't travel, by trying each alone."""
    members = {id(node.module) for node in tree.nodes}
    for node in tree.nodes:
        for name, value in attributes_of(node.module).items():
            if name in node.module.local_attributes:
                continue
            try:
                pickler = _pickler_class()(io.BytesIO(), protocol=5)
                pickler.members = members
                pickler.dump(value)
            except Exception:
                # Any refusal to be pickled names the culprit.
                return NotPortable(node.path, name)
    return NotPortable(tree.name, f"{type(error).__name__}: {error}")


@functools.cache
def _pickler_class() -> Any:
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        members: frozenset[int] | set[int] = frozenset()

        def reducer_override(self, obj: Any) -> Any:
            # A module of the tree is pickled as an empty object of its class; its attributes
            # follow in the flat list.  That cuts the recursion from parent to child.
            if id(obj) in self.members and isinstance(obj, ModuleBase):
                return _blank, (type(obj),)
            return super().reducer_override(obj)

    return Pickler


def _blank(cls: type[ModuleBase]) -> ModuleBase:
    return ModuleBase.__new__(cls)


def _from_value(header: dict[str, Any]) -> Tree:
    import pickle

    here = list(sys.version_info[:2])
    if header["python"] != here:
        raise CodeMismatch(
            f"the tree was packed by Python {_dotted(header['python'])} and this is Python "
            f"{_dotted(here)}; use the same on both sides, or submit by reference"
        )
    nodes = pickle.loads(header["body"])  # noqa: S301 - the caller checked the signature
    for module, state in nodes:
        restore = getattr(module, "__setstate__", None)
        if restore is not None:
            restore(state)
        else:
            for part in state if isinstance(state, tuple) else (state,):
                put_attributes(module, part or {})
    return Tree(nodes[-1][0], header["name"])


def _from_reference(header: dict[str, Any], name: str) -> Tree:
    from .target import load_target

    tree = Tree(load_target(header["target"]).root, name)
    if digest(tree) != header["digest"]:
        raise CodeMismatch(
            f"the code of {header['target']} here differs from the submitter's; bring both to the "
            "same version, or submit with --by-value"
        )
    return tree


def _dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in ("rootward", "builtins", "abc", "typing")


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
