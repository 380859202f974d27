"""Results that modules keep where that is asked for."""

from __future__ import annotations

from typing import Any

from rootward.modules import ModuleBase
from rootward.modules.calling import caching


class Counted(ModuleBase):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return [args, kwargs]


class Stream(ModuleBase):
    def forward(self) -> Any:
        yield 1


def test_a_result_is_kept_by_the_arguments() -> None:
    module = Counted().use_cache()
    assert module(1, k=2) == module(1, k=2) == [(1,), {"k": 2}]
    assert module(2) != module(1)
    assert module.calls == 3


def test_nothing_is_kept_unless_asked_for_and_no_longer() -> None:
    module = Counted()
    module(1), module(1)
    module.use_cache()(1)
    module.use_cache(False)(1)
    assert module.calls == 4


def test_each_module_keeps_its_own_unless_they_share_a_name() -> None:
    alone, other = Counted().use_cache(), Counted().use_cache()
    alone(1), other(1)
    assert (alone.calls, other.calls) == (1, 1)
    one, two = Counted().use_cache("shared"), Counted().use_cache("shared")
    one("x"), two("x")
    assert (one.calls, two.calls) == (1, 0)


def test_what_can_not_be_told_apart_is_computed_each_time() -> None:
    module = Counted().use_cache()
    module(lambda: 1), module(lambda: 1)
    assert module.calls == 2
    stream = Stream().use_cache()
    assert [list(stream()), list(stream())] == [[1], [1]]


def test_the_oldest_results_go_first(monkeypatch: Any) -> None:
    monkeypatch.setattr(caching, "_MOST", 2)
    module = Counted().use_cache()
    for value in (1, 2, 1, 3, 1, 2):
        module(value)
    assert module.calls == 4
