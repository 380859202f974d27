"""What can be submitted, and how it travels; the rest is refused with what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from rootward.modules import ModuleBase, pipeline
from rootward.modules.state.target import load_target
from rootward.orchestrator.errors import PlanError
from rootward.orchestrator.planning.definition import Definition

SOURCE = "from rootward import ModuleBase\ntree = ModuleBase(name='t')\n"


class Agent:
    """A callable object that is nobody's to call."""

    def __call__(self) -> object:
        """Show that it was called."""
        raise AssertionError("it was called")


def test_a_flow_is_submitted_as_a_module() -> None:
    tree = Definition.of(pipeline(ModuleBase(name="inside"))).tree
    assert [node.path for node in tree.nodes] == ["actionmodule/inside", "actionmodule"]


def test_a_function_is_called_and_another_callable_object_is_not() -> None:
    assert Definition.of(lambda: ModuleBase(name="made")).tree.name == "made"
    with pytest.raises(PlanError, match="can't be deployed"):
        Definition.of(Agent())  # type: ignore[arg-type]


def test_a_relative_path_by_reference_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "relative_app.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    target = load_target("relative_app.py:tree")
    assert Definition.of(target).by_value
    with pytest.raises(PlanError, match="a path is relative to the folder of whoever reads it"):
        Definition.of(target, by_value=False)
    absolute = load_target(f"{tmp_path}/relative_app.py:tree")
    assert not Definition.of(absolute, by_value=False).by_value
