"""Patterns of `--include` and `--exclude` mean the files that they seem to mean."""

from __future__ import annotations

import pytest

from rootward.modules.code.patterns import Patterns
from rootward.modules.errors import TargetError


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("words.txt", "words.txt", True),
        ("words.txt", "data/words.txt", True),
        ("*.csv", "a/b/c.csv", True),
        ("*.csv", "a/b/c.csv.gz", False),
        ("data/*.csv", "data/x.csv", True),
        ("data/*.csv", "data/sub/x.csv", False),
        ("data/*.csv", "more/data/x.csv", False),
        ("data/**/*.csv", "data/x.csv", True),
        ("data/**/*.csv", "data/a/b/x.csv", True),
        ("data/**", "data/a/b/x", True),
        ("data", "data/a/b/x", True),
        ("data/", "data/a", True),
        ("./data", "data/a", True),
        ("pkg/data", "pkg/data/a", True),
        ("pkg/data", "data/a", False),
        ("part-?.bin", "x/part-1.bin", True),
        ("part-?.bin", "part-10.bin", False),
        ("part-[12].bin", "part-2.bin", True),
        ("part-[!12].bin", "part-2.bin", False),
        ("a+b(1).txt", "a+b(1).txt", True),
        ("größe.txt", "größe.txt", True),
    ],
)
def test_a_pattern_means(pattern: str, path: str, *, matches: bool) -> None:
    assert Patterns([pattern]).matches(path) is matches


@pytest.mark.parametrize("pattern", ["", "/etc/*", "../x", "a/../../x", "/"])
def test_a_pattern_stays_inside_of_the_project(pattern: str) -> None:
    with pytest.raises(TargetError, match="relative to the project"):
        Patterns([pattern])


def test_what_has_matched_nothing_is_known() -> None:
    patterns = Patterns(["*.csv", "*.txt"])
    patterns.matches("a.csv")
    assert patterns.unused == ("*.txt",)
