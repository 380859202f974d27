"""Importing the package costs next to nothing, and its public names are all there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rootward import modules

HEAVY = [
    "asyncio",
    "concurrent",
    "dataclasses",
    "inspect",
    "logging",
    "re",
    "redis",
    "rq",
    "typing",
]


@pytest.mark.parametrize("code", ["import modules", "from rootward import pipeline, ActionModule"])
def test_no_heavy_import_comes_along(code: str) -> None:
    # Without site: what an environment's own start-up files import is none of ours.
    program = (
        f"import sys; before = set(sys.modules); {code}; "
        "print(*sorted(name.partition('.')[0] for name in set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True,
        cwd=modules.__path__[0] + "/..", timeout=60,
    )  # fmt: skip
    assert not set(done.stdout.split()) & set(HEAVY)


@pytest.mark.parametrize("name", modules.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(modules, name) is not None
    assert name in dir(modules)


def test_lower_case_names_are_the_flow_classes() -> None:
    for name in ("pipeline", "parallel", "diverter", "warp", "switch", "loop"):
        assert getattr(modules, name) is getattr(modules, name.capitalize())
    assert modules.ifs is modules.IFS


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = modules.nothing
