"""From the text of a TARGET to the module tree that it names.

`package.module:attribute` is imported as Python would, with the current folder at the end of
`sys.path`; `path/to/file.py:attribute` is run as a module of its own and travels by value.  While a
target is imported nothing may be deployed (NestedDeployment), and whatever it prints goes to
standard error.  Every fault becomes a TargetError that says what to write instead.
"""

from __future__ import annotations

import os
import sys
import zlib
from typing import TYPE_CHECKING, Any

from ..errors import NestedDeployment, TargetError

if TYPE_CHECKING:
    from types import ModuleType

    from ..module import ModuleBase


class LoadedTarget:
    """A tree and where it came from.

    `by_value` is the default way to travel; `search_path` lists the folders that the target's own
    imports were found in; `default_name` names the deployment unless the user does.
    """

    __slots__ = ("by_value", "default_name", "root", "search_path", "target")

    def __init__(
        self,
        root: ModuleBase,
        target: str,
        by_value: bool,
        default_name: str,
        search_path: tuple[str, ...],
    ) -> None:
        """Keep the parts; `load_target` makes them."""
        self.root = root
        self.target = target
        self.by_value = by_value
        self.default_name = default_name
        self.search_path = search_path


def load_target(text: str) -> LoadedTarget:
    """Import TARGET and return its tree; raises TargetError or NestedDeployment."""
    from ..tree import root_part

    place, colon, attribute = text.rpartition(":")
    if not colon or not place or not attribute:
        raise TargetError(
            f"{text!r} is no TARGET: write package.module:attribute or path/to/file.py:attribute"
        )
    is_file = place.endswith(".py") or "/" in place or os.sep in place
    if is_file:
        module = _import_file(text, place)
        stem, folder = os.path.splitext(os.path.basename(place))[0], os.path.dirname(place)
    else:
        module = _import_package(text, place)
        stem, folder = place.rpartition(".")[2], ""
    root = _tree_of(text, module, attribute)
    own_name = getattr(root, "name", None)
    name = root_part(own_name if isinstance(own_name, str) and own_name else stem)
    search_path = (os.path.abspath(folder or "."), os.getcwd())
    return LoadedTarget(root, text, is_file, name, tuple(dict.fromkeys(search_path)))


def _import_file(text: str, place: str) -> ModuleType:
    import importlib.util

    path = os.path.abspath(place)
    if not os.path.isfile(path):
        raise TargetError(f"{text!r}: there is no file {path}")
    stem = os.path.splitext(os.path.basename(path))[0]
    # The file's own name unless that would hide a module that is already imported.
    name = stem
    if not stem.isidentifier() or stem in sys.modules:
        name = f"_target_{zlib.crc32(path.encode()):08x}"
    for known in (sys.modules.get(stem), sys.modules.get(name)):
        if known is not None and getattr(known, "__file__", None) == path:
            return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{text!r}: {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    _append_search_path(os.path.dirname(path))
    sys.modules[name] = module
    try:
        _guarded(text, spec.loader.exec_module, module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)
    return module


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
    from ..module import ModuleBase

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
    if not isinstance(found, ModuleBase) and callable(found):
        found = _guarded(text, found)
    if not isinstance(found, ModuleBase):
        raise TargetError(
            f"{text!r}: {attribute} is a {type(found).__name__}, not a module (an object of a "
            "class that inherits from rootward.ModuleBase) nor a function that returns one"
        )
    return found


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
