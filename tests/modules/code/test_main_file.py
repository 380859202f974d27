"""When a main file can be run as a module elsewhere: when what deploys stands under its guard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ASK = """
from rootward.modules.code.main_file import main_file
from rootward.modules.code.project import Project
found = main_file(Project.of_program())
print(None if found is None else (found.path, found.module, sorted(found.defined)))
"""


def run(folder: Path, source: str, *words: str) -> str:
    (folder / "app.py").write_text(source)
    done = subprocess.run(
        [sys.executable, *(words or ["app.py"])], cwd=folder, capture_output=True, check=False,
        timeout=60, input=source.encode(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def under(line: str) -> str:
    return line + "\n" + "".join(f"    {each}\n" for each in ASK.splitlines())


@pytest.mark.parametrize(
    "guard",
    [
        "if __name__ == '__main__':",
        'if "__main__" == __name__:',
        "def main():\n    pass\nif (__name__ == '__main__'):",
    ],
)
def test_from_within_the_guard_it_can(tmp_path: Path, guard: str) -> None:
    assert run(tmp_path, under(guard)).startswith("('app.py', None, [")


@pytest.mark.parametrize(
    "source",
    [
        ASK,
        "if __name__ == '__main__':\n    pass\n" + ASK,
        under("if __name__ != '__mp_main__':"),
        under("if True:"),
    ],
)
def test_from_outside_of_a_guard_it_cant(tmp_path: Path, source: str) -> None:
    assert run(tmp_path, source) == "None"


def test_what_is_bound_outside_of_the_guard_is_known(tmp_path: Path) -> None:
    source = (
        "import os.path as p, sys\nfrom json import dumps\nX, (Y, *Z) = 1, (2, 3)\n"
        "try:\n    def f(): inner = 1\nexcept E: pass\nclass C:\n    inside = 1\n"
    )
    answer = run(tmp_path, source + under("if __name__ == '__main__':"))
    assert answer == "('app.py', None, ['C', 'X', 'Y', 'Z', 'dumps', 'f', 'p', 'sys'])"


def test_a_module_that_is_run_keeps_its_name(tmp_path: Path) -> None:
    source = under("if __name__ == '__main__':")
    assert run(tmp_path, source, "-m", "app").startswith("('app.py', 'app', [")


def test_standard_input_and_commands_have_no_file(tmp_path: Path) -> None:
    source = under("if __name__ == '__main__':")
    assert run(tmp_path, source, "-") == "None"
    assert run(tmp_path, source, "-c", source) == "None"


def test_from_a_function_that_the_guard_calls_it_can(tmp_path: Path) -> None:
    body = "".join(f"    {each}\n" for each in ASK.splitlines())
    source = f"def main():\n{body}\nif __name__ == '__main__':\n    main()\n"
    assert run(tmp_path, source).startswith("('app.py', None, ['main'])")
