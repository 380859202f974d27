"""The names that a source imports are found by its words, whatever its form and encoding."""

from __future__ import annotations

import pytest

from rootward.modules.code.imports import imported_names, runs_files


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a", {"a"}),
        ("import a.b.c as d, e", {"a", "e"}),
        ("import a, \\\n    b", {"a", "b"}),
        ("from a import b", {"a"}),
        ("from a.b import (\n    c,\n    d,\n)", {"a"}),
        ("from a import *", {"a"}),
        ("def f():\n\timport a", {"a"}),
        ("if x: import a", {"a"}),
        ("x = 1; import a", {"a"}),
        ("try:\n    import a\nexcept ImportError:\n    a = None", {"a"}),
        ("import a  # why", {"a"}),
        ("import größe", {"größe"}),
        ("importlib.import_module('a.b')", {"a"}),
        ('__import__("a")', {"a"}),
        ("from . import b\nfrom .c import d\nfrom ..e import f", set()),
        ("important = 1\nimport_ = 2", set()),
        ("", set()),
    ],
)
def test_names(source: str, names: set[str]) -> None:
    assert imported_names(source.encode()) == names


def test_a_source_that_is_no_utf8_is_read_too() -> None:
    assert imported_names("# -*- coding: latin-1 -*-\n# größe\nimport a\n".encode("latin-1")) == {
        "a"
    }


@pytest.mark.parametrize(
    ("source", "runs"),
    [
        (b"spec_from_file_location('x', path)", True),
        (b"runpy.run_path(path)", True),
        (b"exec(compile(text, path, 'exec'))", True),
        (b"executor.submit(f)", False),
    ],
)
def test_what_runs_files_by_their_path_is_seen(source: bytes, *, runs: bool) -> None:
    assert runs_files(source) is runs
