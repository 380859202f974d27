"""A process that enters a project's code imports as the submitter did, whatever else is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rootward.modules.code.bundle import platform_needs
from rootward.modules.code.entry import Entered, check_needs
from rootward.modules.code.origin import Origin
from rootward.modules.errors import CodeMismatch

ENTER = """
import json, sys
sys.path.insert(0, sys.argv[3])
from rootward.modules.code.entry import enter
from rootward.modules.code.origin import Origin
enter(Origin.from_header(json.loads(sys.argv[1])), sys.argv[2])
"""


def entered(folder: Path, origin: Origin, ask: str) -> Any:
    """Return what `ask` evaluates to where `folder`/here was entered and `folder`/installed is."""
    header = json.dumps(origin.to_header())
    words = [header, str(folder / "here"), str(folder / "installed")]
    code = f"{ENTER}\nprint(json.dumps({ask}))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *words], cwd=folder, capture_output=True, check=False,
        timeout=60, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        place = folder.joinpath(*name.split("__"))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.with_suffix(".py").write_text(text)


def test_the_projects_own_names_win_over_what_is_installed(tmp_path: Path) -> None:
    write(tmp_path, here__names="VALUE = 'mine'", installed__names="VALUE = 'another'")
    origin = Origin(root="/elsewhere", homes={"names": ("",)})
    assert entered(tmp_path, origin, "__import__('names').VALUE") == "mine"


def test_other_names_of_the_project_hide_nothing_that_is_installed(tmp_path: Path) -> None:
    write(tmp_path, here__names="VALUE = 'mine'", installed__names="VALUE = 'another'")
    assert entered(tmp_path, Origin(root="/elsewhere"), "__import__('names').VALUE") == "another"


def test_a_module_under_another_name_than_its_files_is_found(tmp_path: Path) -> None:
    write(tmp_path, here__plugins__plug="VALUE = __name__")
    origin = Origin(root="/elsewhere", placed={"my_plugin": "plugins/plug.py"})
    assert entered(tmp_path, origin, "__import__('my_plugin').VALUE") == "my_plugin"


def test_the_target_is_imported_first_and_once(tmp_path: Path) -> None:
    write(tmp_path, here__app="import sys\nsys.ran = [*getattr(sys, 'ran', []), __name__]\n")
    origin = Origin(root="/elsewhere", target="app", homes={"app": ("",)})
    assert entered(tmp_path, origin, "(__import__('app'), sys.ran)[1]") == ["app"]


def test_a_main_file_runs_as_a_module_and_is_main_here(tmp_path: Path) -> None:
    write(
        tmp_path, here__run="NAME = __name__\nif __name__ == '__main__':\n    raise SystemExit(3)"
    )
    origin = Origin(root="/elsewhere", main=("run.py", None))
    ask = "[sys.modules['__main__'].NAME, sys.modules['__mp_main__'].NAME]"
    assert entered(tmp_path, origin, ask) == ["__mp_main__", "__mp_main__"]


def test_an_origin_is_the_same_after_its_journey() -> None:
    origin = Origin(
        root="/r", bundle="ab", target="t", main=("a.py", "a"), homes={"a": ("", "lib")},
        placed={"p": "p.py"}, search_path=("", "lib"), outside=("/o",),
        third_party={"numpy": ("numpy", "2.0")}, texts={"<cell>": "x"},
    )  # fmt: skip
    read = Origin.from_header(json.loads(json.dumps(origin.to_header())))
    assert (read.homes, read.search_path, read.main) == (
        origin.homes,
        origin.search_path,
        origin.main,
    )


def test_paths_of_both_machines_become_those_of_the_project() -> None:
    code = Entered(Origin(root="/home/me/project"), "/cache/ab/code", "w1")
    text = (
        'File "/cache/ab/code/app.py", line 3\nFile "/home/me/project/pkg/a.py"\nFile "/usr/x.py"'
    )
    assert code.shorten(text) == 'File "app.py", line 3\nFile "pkg/a.py"\nFile "/usr/x.py"'
    assert Entered(Origin(root="/"), "/", None).shorten("/usr/x.py") == "/usr/x.py"


def test_missing_modules_and_files_are_explained_and_other_errors_are_not() -> None:
    origin = Origin(root="/r", bundle="ab", third_party={"cv2": ("opencv-python", "4.1")})
    code = Entered(origin, "/cache/ab/code", "w1")
    said = str(code.explain(ModuleNotFoundError("no", name="cv2.dnn")))
    assert "worker w1" in said
    assert "opencv-python==4.1" in said
    assert "--include" in str(code.explain(ModuleNotFoundError("no", name="mine")))
    missing = FileNotFoundError(2, "no such file", "/cache/ab/code/data/x.csv")
    assert "--include 'data/x.csv'" in str(code.explain(missing))
    assert code.explain(FileNotFoundError(2, "no such file", "/data/x.csv")) is None
    assert "Path(__file__)" in str(code.explain(FileNotFoundError(2, "no", "data.csv")))
    assert code.explain(FileNotFoundError(2, "no", "ffmpeg")) is None
    assert code.explain(ValueError("x")) is None


def test_compiled_files_of_another_platform_are_refused() -> None:
    check_needs(platform_needs())
    with pytest.raises(CodeMismatch, match="platform plan9-mips"):
        check_needs({**platform_needs(), "platform": "plan9-mips"})
