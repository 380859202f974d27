"""Which files of a project go along: seen from a program that imports it and asks.

Each test writes a project, imports its TARGET in a process of its own and compares the list.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ASK = """
import json, sys
from rootward.modules.code.collection import Wishes
from rootward.modules.code.packing import Code
from rootward.modules.errors import TargetError
from rootward.modules.state.target import load_target
target, include, exclude = sys.argv[1], *map(json.loads, sys.argv[2:])
loaded = load_target(target)
wishes = Wishes(include=tuple(include), exclude=tuple(exclude))
code = Code(loaded.project, target=loaded.module, wishes=wishes)
try:
    found = code.collect()
except TargetError as error:
    print(json.dumps({"error": str(error)}))
else:
    origin = code.here()
    print(json.dumps({
        "files": sorted(found.files), "left_out": found.left_out, "module": loaded.module,
        "search_path": origin.search_path, "homes": origin.homes, "placed": origin.placed,
    }))
"""
TREE = "from rootward import ModuleBase\ntree = ModuleBase(name='t')\n"


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())


def ask(
    folder: Path,
    target: str = "app.py:tree",
    *,
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
) -> dict[str, Any]:
    words = [target, json.dumps(include), json.dumps(exclude)]
    done = subprocess.run(
        [sys.executable, "-P", "-c", ASK, *words], cwd=folder, capture_output=True, check=False,
        timeout=60, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_what_was_imported_goes_and_nothing_else(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "app.py": "import helpers\n" + TREE,
            "helpers.py": "",
            "unused.py": "",
            "data.csv": "1,2",
            "other/__init__.py": "",
            ".git/config": "",
        },
    )
    assert ask(tmp_path)["files"] == ["app.py", "helpers.py"]


def test_imports_inside_of_functions_go_at_any_depth(tmp_path: Path) -> None:
    lazy = "def f():\n    import {}\n"
    write(
        tmp_path,
        {
            "app.py": TREE + lazy.format("one"),
            "one.py": lazy.format("two.deep"),
            "two/__init__.py": "",
            "two/deep.py": "import three",
            "two/beside.py": "",
            "three.py": "importlib.import_module('four')",
            "four.py": "",
        },
    )
    files = ["app.py", "four.py", "one.py", "three.py"]
    assert ask(tmp_path)["files"] == [*files, "two/__init__.py", "two/beside.py", "two/deep.py"]


def test_a_package_goes_whole_with_small_data_and_says_what_it_leaves(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "app.py": "import pkg.a\n" + TREE,
            "pkg/__init__.py": "",
            "pkg/a.py": "",
            "pkg/sub/b.py": "",
            "pkg/prompts/first.txt": "say",
            "pkg/weights.bin": bytes((1 << 20) + 1),
            "pkg/.hidden": "",
            "pkg/__pycache__/a.pyc": "",
            "pkg/node_modules/x.py": "",
        },
    )
    found = ask(tmp_path)
    expected = ["app.py", "pkg/__init__.py", "pkg/a.py", "pkg/prompts/first.txt", "pkg/sub/b.py"]
    assert found["files"] == expected
    assert found["left_out"] == ["pkg/weights.bin"]
    with_weights = ask(tmp_path, include=("pkg/weights.bin",), exclude=("*.txt",))
    assert with_weights["left_out"] == []
    assert set(with_weights["files"]) - set(expected) == {"pkg/weights.bin"}
    assert "pkg/prompts/first.txt" not in with_weights["files"]


def test_an_include_that_means_nothing_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, {"app.py": TREE})
    assert "--include '*.csv' means no file" in ask(tmp_path, include=("*.csv",))["error"]


def test_hidden_files_go_only_when_they_are_named(tmp_path: Path) -> None:
    write(tmp_path, {"app.py": TREE, ".env": "A=1", "conf/.rc": "x", "conf/x.ini": ""})
    assert ask(tmp_path, include=("conf",))["files"] == ["app.py", "conf/x.ini"]
    assert ask(tmp_path, include=(".env",))["files"] == [".env", "app.py"]


def test_nothing_installed_goes_along_wherever_it_lies(tmp_path: Path) -> None:
    """A virtual environment and vendored site-packages within the project are no code of its."""
    write(
        tmp_path,
        {
            "app.py": "import sys\nsys.path.append('env/lib')\nimport wheel_lib, vendored\n" + TREE,
            "env/pyvenv.cfg": "",
            "env/lib/wheel_lib.py": "",
            "site-packages/vendored.py": "",
        },
    )
    found = ask(tmp_path, env={"PYTHONPATH": str(tmp_path / "site-packages")})
    assert found["files"] == ["app.py"]


def test_folders_on_sys_path_hold(tmp_path: Path) -> None:
    """Also those that the target adds by itself."""
    add = "import sys, os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))\n"
    write(
        tmp_path,
        {"app.py": add + "import inlib\n" + TREE, "lib/inlib.py": "import late", "lib/late.py": ""},
    )
    found = ask(tmp_path)
    assert found["files"] == ["app.py", "lib/inlib.py", "lib/late.py"]
    assert "lib" in found["search_path"]
    assert found["homes"]["inlib"] == ["lib"]


def test_an_editable_install_of_the_project_itself_goes_along(tmp_path: Path) -> None:
    """As setuptools does it: a finder that no entry of `sys.path` tells of."""
    finder = (
        "import importlib.util, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'mypkg':\n"
        f"            folder = {str(tmp_path / 'src' / 'mypkg')!r}\n"
        "            return importlib.util.spec_from_file_location(\n"
        "                name, folder + '/__init__.py', submodule_search_locations=[folder])\n"
        "sys.meta_path.append(Finder())\n"
    )
    write(
        tmp_path,
        {
            "app.py": finder + "import mypkg.a\n" + TREE,
            "src/mypkg/__init__.py": "",
            "src/mypkg/a.py": "",
        },
    )
    found = ask(tmp_path)
    assert found["files"] == ["app.py", "src/mypkg/__init__.py", "src/mypkg/a.py"]
    assert found["homes"]["mypkg"] == ["src"]


@pytest.mark.parametrize("is_known", [True, False])
def test_a_plugin_that_was_loaded_by_its_path_goes_along(tmp_path: Path, *, is_known: bool) -> None:
    load = (
        "import importlib.util, os, sys\n"
        "path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'plugins', 'my-plug.py')\n"
        "spec = importlib.util.spec_from_file_location('plug', path)\n"
        "plug = importlib.util.module_from_spec(spec)\n"
        + ("sys.modules['plug'] = plug\n" if is_known else "")
        + "spec.loader.exec_module(plug)\n"
    )
    write(
        tmp_path,
        {
            "app.py": load + TREE,
            "plugins/my-plug.py": "def f():\n    import behind\n",
            "plugins/unused.py": "",
            "behind.py": "",
        },
    )
    found = ask(tmp_path)
    assert found["files"] == ["app.py", "behind.py", "plugins/my-plug.py"]
    assert found["placed"] == ({"plug": "plugins/my-plug.py"} if is_known else {})


def test_a_plugin_that_is_loaded_later_goes_along_when_it_is_named(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "app.py": "def f():\n    import runpy\n    runpy.run_path(HERE / 'late' / 'plug.py')\n"
            + TREE,
            "late/plug.py": "",
            "late/other.py": "",
        },
    )
    assert ask(tmp_path)["files"] == ["app.py", "late/plug.py"]


def test_namespace_packages_zip_files_and_links_go_along(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    project = tmp_path / "project"
    write(shared, {"linked.py": "", "pkg/__init__.py": "", "pkg/a.py": ""})
    write(
        project,
        {
            "app.py": "import sys\nsys.path.append('lib.zip')\n"
            "import ns.part.x, zipped, linked, pkg\n" + TREE,
            "ns/part/x.py": "",
            "ns/data.txt": "",
        },
    )
    with zipfile.ZipFile(project / "lib.zip", "w") as archive:
        archive.writestr("zipped.py", "")
    (project / "linked.py").symlink_to(shared / "linked.py")
    (project / "pkg").symlink_to(shared / "pkg")
    (project / "pkg" / "loop").symlink_to(shared / "pkg")
    found = ask(project)
    expected = ["app.py", "lib.zip", "linked.py", "ns/part/x.py", "pkg/__init__.py", "pkg/a.py"]
    assert found["files"] == expected


def test_compiled_python_without_a_source_goes_along(tmp_path: Path) -> None:
    import py_compile

    write(tmp_path, {"app.py": "import only\n" + TREE, "only.py": ""})
    py_compile.compile(str(tmp_path / "only.py"), cfile=str(tmp_path / "only.pyc"))
    (tmp_path / "only.py").unlink()
    assert ask(tmp_path)["files"] == ["app.py", "only.pyc"]


def test_the_project_of_a_package_is_the_folder_that_holds_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "pkg/__init__.py": "",
            "pkg/sub/__init__.py": "",
            "pkg/sub/serve.py": TREE,
            "beside.py": "",
        },
    )
    files = ["pkg/__init__.py", "pkg/sub/__init__.py", "pkg/sub/serve.py"]
    assert ask(tmp_path, "pkg.sub.serve:tree")["files"] == files
    by_file = ask(tmp_path, "pkg/sub/serve.py:tree")
    assert by_file["files"] == files
    assert by_file["module"] == "pkg.sub.serve"
