"""The limits of form that hold for every file: length, number of parameters, names, markers.

At a limit, the missing noun is to be found; splitting by count of lines misses the point. An
exemption stands here with its reason or not at all.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGES = ("modules", "orchestrator", "worker")
PROGRAMS = ("benches", "examples", "tests")

MAX_FILES = 15
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_CONSTRUCTOR_PARAMETERS = 7

MANY_PARAMETERS = {
    # How a module is served is said where it is wrapped; each option has a default.
    "ServerModule",
    "CommandModule",
}
BANNED_FILE_NAMES = re.compile(r"(utils?|common|helpers?|manager|misc|base_\w+)(\.py)?")
BANNED_FUNCTION_NAMES = re.compile(r"_*(handle|process|do_it|helper)")
MARKERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\b[Ff]or now\b")


def files(*folders: str, suffix: str = ".py") -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob(f"*{suffix}"))]
    return [path for path in found if "seed" not in path.parts]


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


OURS = files(*PACKAGES)
ALL = OURS + files(*PROGRAMS)
LUA = files("orchestrator", suffix=".lua")


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function of a file with the name of the class or function around it."""

    def visit(node: ast.AST, owner: str) -> Iterator[tuple[str, ast.FunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield owner, child
            name = getattr(child, "name", owner)
            yield from visit(child, name if isinstance(name, str) else owner)

    yield from visit(ast.parse(path.read_text()), "")


def test_every_file_is_short_enough_to_be_read_at_once() -> None:
    lengths = {shown(path): len(path.read_text().splitlines()) for path in ALL + LUA}
    assert {path: n for path, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_every_function_fits_on_a_screen() -> None:
    long = [
        f"{shown(path)}:{function.lineno} {function.name}: {length} lines"
        for path in ALL
        for _, function in functions(path)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_every_constructor_takes_few_parameters() -> None:
    crowded = set()
    for path in ALL:
        for owner, function in functions(path):
            given = function.args
            count = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs) - 1
            if function.name == "__init__" and count > MAX_CONSTRUCTOR_PARAMETERS:
                crowded.add(owner)
    assert crowded - MANY_PARAMETERS == set()


def test_every_file_opens_by_saying_what_it_owns() -> None:
    silent = [shown(path) for path in ALL if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_names_say_what_a_thing_is() -> None:
    vague = [shown(path) for path in OURS if BANNED_FILE_NAMES.fullmatch(path.name)]
    vague += [
        f"{shown(path)}:{function.lineno} {function.name}"
        for path in OURS
        for _, function in functions(path)
        if BANNED_FUNCTION_NAMES.fullmatch(function.name)
    ]
    assert vague == []


def test_nothing_is_left_for_later() -> None:
    texts = [path for path in ALL + LUA + files("docs", suffix=".md") if path != Path(__file__)]
    assert [shown(path) for path in texts if MARKERS.search(path.read_text())] == []


def test_tests_wait_for_something_and_never_sleep() -> None:
    sleeps = [
        f"{shown(path)}:{node.lineno}"
        for path in files("tests")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep"}
    ]
    assert sleeps == []


def test_nothing_imports_a_part_by_its_bare_name() -> None:
    """The parts are `rootward.modules` and so on; at the top those names are the user's."""
    bare = [
        f"{shown(path)}:{node.lineno}"
        for path in ALL
        for node in ast.walk(ast.parse(path.read_text()))
        for name in imported(node)
        if name.split(".")[0] in PACKAGES
    ]
    assert bare == []


def imported(node: ast.AST) -> list[str]:
    """Return the absolute names that a statement imports from or imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module or ""]
    return []


def test_every_folder_can_be_taken_in_at_a_glance() -> None:
    """One of one command a file is a list, and may be longer."""
    counts = Counter(shown(path.parent) for path in OURS if path.name != "__init__.py")
    assert {k: n for k, n in counts.items() if n > MAX_FILES and not k.endswith("/cli")} == {}


def test_no_name_of_a_class_means_two_things() -> None:
    places: dict[str, set[str]] = {}
    for path in OURS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, set()).add(shown(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Imports for type checkers count too: a circle of types is a circle of nouns."""
    left = {name: targets & set(EDGES) for name, targets in EDGES.items()}
    # What imports nothing that is left can't be in a circle, nor what nothing imports.
    while free := [name for name, targets in left.items() if not targets & set(left)]:
        for name in free:
            del left[name]
    assert sorted(left) == []


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def edges_of(path: Path) -> set[str]:
    """Return the files that a file imports, however it does; packages are only ways to them."""
    package, found = module_name(path).split(".")[:-1], set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("rootward.") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *((node.module or "").split(".") if node.module else [])])
            base = base.removeprefix("rootward.")
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


FILES = {module_name(path) for path in OURS if path.name != "__init__.py"}
EDGES = {
    module_name(path): edges_of(path) & FILES - {module_name(path)}
    for path in OURS
    if path.name != "__init__.py"
}
