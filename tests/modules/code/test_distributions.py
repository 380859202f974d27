"""Which distribution brought a module, and in which version."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from rootward.modules.code.distributions import distributions_of


def module(folder: Path, name: str, *, is_package: bool = False) -> tuple[str, ModuleType]:
    made = ModuleType(name)
    made.__file__ = str(folder / name / "__init__.py" if is_package else folder / f"{name}.py")
    return name, made


def test_modules_are_told_by_name_or_by_the_list_of_files(tmp_path: Path) -> None:
    for info, record in {
        "Plain_Name-1.0": "plain_name/__init__.py,,\n",
        "scikit_learn-1.6": "sklearn/__init__.py,,\nsklearn/deep/other.py,,\n",
        "six-1.17": "six.py,sha256=x,1\n",
        "ext-2.0.dev1": "_fast.cpython-311-x86_64-linux-gnu.so,,\n",
        "broken": "nothing,,\n",
    }.items():
        folder = tmp_path / f"{info}.dist-info"
        folder.mkdir()
        (folder / "RECORD").write_text(record)
    (tmp_path / "no_record-1.dist-info").mkdir()
    names = ["plain_name", "sklearn", "six", "_fast", "other", "unknown"]
    modules = [module(tmp_path, name, is_package=name == "sklearn") for name in names]
    by_name = {"plain_name": ("Plain-Name", "1.0"), "six": ("six", "1.17")}
    assert distributions_of(modules, ()) == by_name
    found = distributions_of(modules, names)
    by_record = {"sklearn": ("scikit-learn", "1.6"), "_fast": ("ext", "2.0.dev1")}
    assert found == {**by_name, **by_record}


def test_a_module_without_a_file_or_a_folder_is_left_out(tmp_path: Path) -> None:
    modules = [("x", ModuleType("x")), module(tmp_path / "gone", "y")]
    assert distributions_of(modules, ["x", "y"]) == {}
