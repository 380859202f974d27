"""From the text of a TARGET to the module tree that it names.

`package.module:attribute` is imported as Python would, with the current folder at the end of
`sys.path`; `path/to/file.py:attribute` is imported from its folder, under the name that the file
has. While a target is imported nothing may be deployed (NestedDeployment), and whatever it prints
goes to standard error. Of what it holds only functions are called. Every fault becomes a
TargetError that says what to write instead.
"""

from __future__ import annotations

import functools
import os
import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..code.project import Project
from ..errors import NestedDeployment, TargetError

if TYPE_CHECKING:
    from types import ModuleType

    from ..module import ModuleBase

_LRU_CACHE = type(functools.lru_cache(len))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedTarget:
    """A tree and where it came from: `target` as it was written, the module, the attribute.

    `project` holds the code around it; `is_file` says that it was named by its path;
    `default_name` names the deployment unless the user does.
    """

    root: ModuleBase
    target: str
    module: str
    attribute: str
    is_file: bool
    default_name: str
    project: Project

    @property
    def reference(self) -> str:
        """The TARGET by which another process that has the code finds it."""
        return f"{self.module}:{self.attribute}"


def load_target(text: str) -> LoadedTarget:
    """Import TARGET and return its tree; raises TargetError or NestedDeployment."""
    from ..tree import root_part

    place, colon, attribute = text.rpartition(":")
    if not colon or not place or not attribute:
        raise TargetError(
            f"{text!r} is no TARGET: write package.module:attribute or path/to/file.py:attribute"
        )
    is_file = is_path(place)
    if is_file:
        module = _import_file(text, place, attribute)
        stem = os.path.splitext(os.path.basename(place))[0]
    else:
        module = _import_package(text, place)
        stem = place.rpartition(".")[2]
    root = _tree_of(text, module, attribute)
    own_name = getattr(root, "name", None)
    return LoadedTarget(
        root=root,
        target=text,
        module=module.__name__,
        attribute=attribute,
        is_file=is_file,
        default_name=root_part(own_name if isinstance(own_name, str) and own_name else stem),
        project=_project_of(module),
    )


def is_path(place: str) -> bool:
    """Whether what stands before the colon is the path of a file."""
    return place.endswith(".py") or "/" in place or os.sep in place


def _project_of(module: ModuleType) -> Project:
    file = os.path.abspath(module.__file__ or "")
    if module.__name__.startswith("_target_"):
        return Project(os.path.dirname(file))
    return Project.of_module(module)


def _import_file(text: str, place: str, attribute: str) -> ModuleType:
    import importlib.util

    path = os.path.abspath(place)
    if not os.path.isfile(path):
        raise TargetError(f"{text!r}: there is no file {path}")
    folder = os.path.dirname(path)
    package = _package_of(path)
    if package is not None:
        _refuse_relative_imports(text, path, f"{package}:{attribute}")
    stem = os.path.splitext(os.path.basename(path))[0]
    # The file's own name unless that would hide a module that is already imported.
    name = stem
    if not stem.isidentifier() or stem in sys.modules:
        name = f"_target_{zlib.crc32(path.encode()):08x}"
    for known in (sys.modules.get(package or stem), sys.modules.get(stem), sys.modules.get(name)):
        if known is not None and getattr(known, "__file__", None) == path:
            return known
    _append_search_path(folder)
    if package is not None:
        top = folder
        for _ in range(package.count(".")):
            top = os.path.dirname(top)
        _append_search_path(top)
        if _is_found_there(package, top):
            return _import_package(text, package)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{text!r}: {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        _guarded(text, spec.loader.exec_module, module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _package_of(path: str) -> str | None:
    """Return the dotted name of a file that lies in a package; None for one that doesn't."""
    folder, file = os.path.split(path)
    parts = [os.path.splitext(file)[0]]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, part = os.path.split(folder)
        parts.insert(0, part)
    if len(parts) == 1 or not all(part.isidentifier() for part in parts):
        return None
    return ".".join(parts)


def _refuse_relative_imports(text: str, path: str, better: str) -> None:
    import ast

    try:
        with open(path, "rb") as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):
        # Told by the import, with its place.
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise TargetError(
                f"{text!r}: line {node.lineno} imports from its package, which a file by itself "
                f"has none of; name it as {better}"
            )


def _is_found_there(package: str, top: str) -> bool:
    """Whether the package's name means this package, and nothing else that is installed."""
    import importlib.util

    name = package.partition(".")[0]
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    folders = () if spec is None else spec.submodule_search_locations or ()
    return os.path.join(top, name) in map(os.path.abspath, folders)


def _import_package(text: str, place: str) -> ModuleType:
    import importlib

    _append_search_path(os.getcwd())
    try:
        module: ModuleType = _guarded(text, importlib.import_module, place)
    except TargetError as error:
        cause = error.__cause__
        missing = cause.name if isinstance(cause, ModuleNotFoundError) else None
        if missing and (place == missing or place.startswith(missing + ".")):
            raise TargetError(
                f"{text!r}: no module named {missing!r} is found from {os.getcwd()}; "
                "for a file write path/to/file.py:attribute"
            ) from cause
        raise
    return module


def _tree_of(text: str, module: ModuleType, attribute: str) -> ModuleBase:
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            import difflib

            near = difflib.get_close_matches(part, [n for n in vars(module) if n[0] != "_"], 3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise TargetError(f"{text!r}: it has no attribute {part!r}{hint}") from None
    if isinstance(found, type):
        raise TargetError(
            f"{text!r}: {attribute} is a class; name an object: {attribute.lower()} = "
            f"{attribute}(...)"
        )
    if is_maker(found):
        found = _guarded(text, found)
    tree = as_module(found)
    if tree is None:
        called = ", and isn't called, as only functions are" if callable(found) else ""
        raise TargetError(
            f"{text!r}: {attribute} is a {type(found).__name__}{called}: it is not a module (an "
            "object of a class that inherits from rootward.ModuleBase), nor a flow, nor a function "
            "that returns one"
        )
    return tree


def is_maker(found: Any) -> bool:
    """Whether it is a function or method, which is called for the tree that it returns.

    Other callable objects may be what is to be deployed: to call one would run the user's code.
    """
    import inspect

    while isinstance(found, functools.partial):
        found = found.func
    return inspect.isroutine(found) or isinstance(found, _LRU_CACHE)


def as_module(found: Any) -> ModuleBase | None:
    """Return the module itself, that of a flow or of another framework's object, or None."""
    from ..flows.action import ActionModule
    from ..flows.flow import Flow
    from ..foreign import adopted
    from ..module import ModuleBase

    if isinstance(found, ModuleBase):
        return found
    return ActionModule(found) if isinstance(found, Flow) else adopted(found)


def _guarded(text: str, run: Any, *args: Any) -> Any:
    """Run a piece of the user's file: no deployment from inside, no word on standard output."""
    import contextlib

    from ..executor import forbidden

    try:
        with forbidden(f"{text} is being imported"), contextlib.redirect_stdout(sys.stderr):
            return run(*args)
    except (NestedDeployment, KeyboardInterrupt):
        raise
    except SystemExit as error:
        raise TargetError(
            f"{text!r}: it calls sys.exit({error.code!r}) while it is imported; put that under "
            "if __name__ == '__main__':"
        ) from error
    except BaseException as error:
        raise TargetError(
            f"{text!r} fails while it is imported: {type(error).__name__}: {error}{_where(error)}"
        ) from error


def _where(error: BaseException) -> str:
    """Name the last line of the user's own that the error passed through."""
    traceback, place = error.__traceback__, ""
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if file != __file__ and not file.startswith(("<frozen", sys.base_prefix, sys.prefix)):
            place = f" ({file}:{traceback.tb_lineno})"
        traceback = traceback.tb_next
    return place


def _append_search_path(folder: str) -> None:
    # At the end: a folder of the user's called `modules` must not hide ours.
    if folder and folder not in sys.path:
        sys.path.append(folder)
