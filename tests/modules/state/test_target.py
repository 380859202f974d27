"""A TARGET is found, or the error says what is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rootward.modules.errors import NestedDeployment, TargetError
from rootward.modules.state.target import load_target

HEAD = "from rootward import ModuleBase\nclass M(ModuleBase):\n    pass\n"


@pytest.fixture(autouse=True)
def _untouched_imports() -> Iterator[None]:
    path, known = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - known:
        if name.startswith(("app", "_target")):
            del sys.modules[name]


def write(folder: Path, body: str, name: str = "app.py") -> str:
    (folder / name).write_text(HEAD + body)
    return str(folder / name)


def test_a_file_target_has_its_folder_as_project_and_names_the_deployment(tmp_path: Path) -> None:
    loaded = load_target(write(tmp_path, "tree = M()") + ":tree")
    assert (loaded.reference, loaded.default_name) == ("app:tree", "app")
    assert loaded.project.root == str(tmp_path)


def test_the_roots_own_name_wins(tmp_path: Path) -> None:
    assert load_target(write(tmp_path, "t = M(name='My Tree')") + ":t").default_name == "my-tree"


def test_a_function_without_arguments_is_called(tmp_path: Path) -> None:
    loaded = load_target(write(tmp_path, "def make():\n    return M(name='made')") + ":make")
    assert loaded.default_name == "made"


def test_a_package_target_has_the_folder_of_its_top_level_package_as_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "apppkg"
    package.mkdir()
    write(package, "", "__init__.py")
    write(package, "tree = M()", "trees.py")
    monkeypatch.chdir(tmp_path)
    loaded = load_target("apppkg.trees:tree")
    assert (loaded.reference, loaded.default_name) == ("apppkg.trees:tree", "trees")
    assert loaded.project.root == str(tmp_path)


@pytest.mark.parametrize(
    ("body", "attribute", "message"),
    [
        ("tree = M()", "treee", r"no attribute 'treee'; did you mean tree\?"),
        ("tree = 3", "tree", "is a int: it is not a module"),
        ("", "M", "is a class"),
        ("def make():\n    return 3", "make", "is a int: it is not a module"),
        ("def make(x):\n    return M()", "make", r"TypeError.*x"),
        ("import nowhere_at_all", "tree", "nowhere_at_all"),
        ("import sys\nsys.exit(3)", "tree", r"sys\.exit\(3\)"),
        ("raise ValueError('deep')", "tree", r"ValueError: deep \(.*app\.py:4\)"),
        ("def broken(:", "tree", "SyntaxError"),
    ],
)
def test_a_bad_target_is_explained(tmp_path: Path, body: str, attribute: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        load_target(f"{write(tmp_path, body)}:{attribute}")


CALLABLES = """
import functools
from rootward import ServerModule, parallel, pipeline
class Agent:
    def __call__(self):
        raise AssertionError("it was called")
    def make(self):
        return M(name="made")
    @classmethod
    def build(cls):
        return M(name="made")
agent = Agent()
method, build = agent.make, Agent.build
@functools.cache
def cached():
    return M(name="made")
bound = functools.partial(cached)
flow = pipeline(agent, M(name="inside"))
wide = parallel(agent, agent)
"""


@pytest.mark.parametrize("attribute", ["method", "build", "cached", "bound"])
def test_functions_and_methods_are_called_whatever_wraps_them(
    tmp_path: Path, attribute: str
) -> None:
    assert load_target(f"{write(tmp_path, CALLABLES)}:{attribute}").default_name == "made"


@pytest.mark.parametrize("attribute", ["flow", "wide"])
def test_a_flow_becomes_a_module_and_is_not_called(tmp_path: Path, attribute: str) -> None:
    loaded = load_target(f"{write(tmp_path, CALLABLES)}:{attribute}")
    assert type(loaded.root).__name__ == "ActionModule"
    assert loaded.default_name == "app"


def test_any_other_callable_object_is_refused_and_not_called(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="agent is a Agent, and isn't called"):
        load_target(f"{write(tmp_path, CALLABLES)}:agent")


@pytest.mark.parametrize("line", ["from . import parts", "def f():\n    from .parts import x"])
def test_a_file_of_a_package_that_imports_from_it_names_the_better_target(
    tmp_path: Path, line: str
) -> None:
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('nothing was to be imported')")
    place = write(package, f"{line}\ntree = M()", "serve.py")
    with pytest.raises(TargetError, match=r"name it as mypackage\.serve:tree"):
        load_target(f"{place}:tree")


def test_a_file_of_a_package_is_the_packages_module(tmp_path: Path) -> None:
    package = tmp_path / "appouter" / "inner"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    (package / "appsibling.py").write_text("")
    loaded = load_target(write(package, "import appsibling\ntree = M()", "serve.py") + ":tree")
    assert loaded.reference == "appouter.inner.serve:tree"
    assert loaded.project.root == str(tmp_path)
    assert type(loaded.root).__module__ == "appouter.inner.serve"


@pytest.mark.parametrize("text", ["", "app", "app:", ":tree", "app.py"])
def test_what_is_no_target_says_how_to_write_one(text: str) -> None:
    with pytest.raises(TargetError, match=r"package\.module:attribute"):
        load_target(text)


def test_a_missing_file_or_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"no file .*gone\.py"):
        load_target(f"{tmp_path}/gone.py:tree")
    with pytest.raises(TargetError, match="no module named 'gone_package'"):
        load_target("gone_package.trees:tree")


@pytest.mark.parametrize("call", ["update", "start", "eval"])
def test_a_target_that_deploys_while_it_is_imported_names_the_guard(
    tmp_path: Path, call: str
) -> None:
    with pytest.raises(NestedDeployment, match="__main__"):
        load_target(write(tmp_path, f"tree = M()\ntree.{call}()") + ":tree")


def test_what_the_import_prints_stays_off_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_target(write(tmp_path, "print('hello')\ntree = M()") + ":tree")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hello" in captured.err
