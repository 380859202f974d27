"""A recorder can be asked for what has changed until now, and then records what follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rootward.modules import ModuleBase
from rootward.modules.state import state_log
from rootward.modules.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 1 << 16


class Trained(ModuleBase):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []
        self.child = ModuleBase()
        self.handle: Any = None


def test_a_checkpoint_holds_what_has_changed_since_the_last() -> None:
    module, copy = Trained(), Trained()
    tree, other = Tree(module, "m"), Tree(copy, "m")
    with state_log.Recorder(tree, "m", LIMIT) as recorder:
        module.seen.append(1)
        module.child.mark = "first"  # type: ignore[attr-defined]
        first = recorder.checkpoint()
        assert first is not None
        assert recorder.checkpoint() == []
        module.seen.append(2)
    for entry in first:
        state_log.apply(other, entry)
    assert copy.seen == [1]
    assert copy.child.mark == "first"  # type: ignore[attr-defined]
    [last] = recorder.changes()
    state_log.apply(other, last)
    assert copy.seen == [1, 2]
    assert {change.module for change in recorder.changed} == {module, module.child}


def test_what_can_not_travel_yet_stays_recorded(tmp_path: Path) -> None:
    module, copy = Trained(), Trained()
    with state_log.Recorder(Tree(module, "m"), "m", LIMIT) as recorder:
        module.seen.append(1)
        with (tmp_path / "file").open("w") as module.handle:
            assert recorder.checkpoint() is None
        module.handle = "closed"
    for entry in recorder.changes():
        state_log.apply(Tree(copy, "m"), entry)
    assert (copy.seen, copy.handle) == ([1], "closed")


def test_a_checkpoint_above_the_limit_is_none() -> None:
    module = Trained()
    with state_log.Recorder(Tree(module, "m"), "m", 1000) as recorder:
        module.handle = "x" * 2000
        assert recorder.checkpoint() is None
        module.handle = None
    assert recorder.changes() == []
