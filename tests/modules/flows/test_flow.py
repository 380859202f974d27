"""What all flows share, pipelines and loops."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from rootward.modules import ModuleBase, loop, package, parallel, pipeline
from rootward.modules.flows.frames import running


def test_a_pipeline_passes_each_result_on() -> None:
    assert pipeline(lambda a, b: a + b, str, lambda s: s * 2)(1, b=2) == "33"


def test_a_pipeline_can_be_called_without_arguments() -> None:
    assert pipeline(lambda: 7)() == 7


def test_an_empty_pipeline_returns_its_input() -> None:
    assert pipeline()(3) == 3
    assert pipeline()(1, 2) == (1, 2)


def test_items_can_be_one_list() -> None:
    assert pipeline([str, len])(12) == 2


def test_items_have_names_by_keyword_and_by_attribute() -> None:
    with pipeline(first=str) as p:
        p.second = len
    assert (p.first, p.second, p(123)) == (str, len, 3)


def test_a_named_item_can_be_replaced_and_deleted() -> None:
    p = pipeline(str, size=len, last=bool)
    p.size = float
    assert p("2") is True
    del p.last
    assert p("2") == 2.0
    with pytest.raises(AttributeError, match=r"'last'.*\['size'\]"):
        _ = p.last


def test_an_attribute_outside_of_the_block_is_no_item() -> None:
    p = pipeline(str)
    p.note = len
    assert (len(p), p.note) == (1, len)


def test_a_flow_within_a_block_can_be_filled_in_a_block() -> None:
    with pipeline() as p:
        with parallel() as p.both:
            p.both.text = str
            p.both.number = float
        p.end = lambda text, number: (text, number)
    assert p(1) == ("1", 1.0)


def test_classes_of_modules_and_flows_are_made_into_items() -> None:
    class Twice(ModuleBase):
        def forward(self, value: int) -> int:
            return value * 2

    assert pipeline(Twice, inner=pipeline)(2) == 4


@pytest.mark.parametrize("item", [3, None, "text"])
def test_what_cannot_be_called_is_no_item(item: Any) -> None:
    with pytest.raises(TypeError, match="Pipeline can't be called"):
        pipeline(str, item)


@pytest.mark.parametrize("name", ["input", "output", "kwargs"])
def test_a_name_that_flows_use_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        pipeline(**{name: str})


def test_the_original_exception_arrives_and_the_frame_is_left() -> None:
    def fail(_: Any) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        pipeline(pipeline(fail))(1)
    assert running.get() is None


def test_a_post_action_sees_the_result_and_leaves_it() -> None:
    seen: list[Any] = []
    assert pipeline(str, post_action=seen.append)(1) == "1"
    assert seen == ["1"]


def test_a_stream_at_the_end_comes_item_by_item() -> None:
    taken: list[int] = []

    def stream(count: int) -> Any:
        for index in range(count):
            taken.append(index)
            yield index

    items = pipeline(int, stream)("3")
    assert (next(items), taken) == (0, [0])
    assert list(items) == [1, 2]


async def later(value: int) -> int:
    await asyncio.sleep(0)
    return value + 1


def test_async_steps_are_awaited() -> None:
    assert pipeline(later, later, str)(1) == "3"
    assert parallel(later, later).aslist(1) == [2, 2]


def test_async_steps_run_where_a_loop_is_running_already() -> None:
    async def main() -> Any:
        return pipeline(later, later)(1)

    assert asyncio.run(main()) == 3


def test_a_flow_can_be_copied() -> None:
    p = copy.deepcopy(pipeline(str, size=len))
    assert (p(123), p.size) == (3, len)


def test_a_loop_ends_after_its_count() -> None:
    assert loop(lambda x: x + 1, lambda x: x * 2, count=3)(1) == 22
    assert loop(lambda x: x + 1, count=0)(1) == 1


def test_a_loop_ends_when_its_condition_holds() -> None:
    assert loop(lambda x: x * 2, stop_condition=lambda x: x > 50)(1) == 64


def test_a_loop_unpacks_its_results() -> None:
    fibonacci = loop(lambda a, b: package(b, a + b), count=10)
    assert fibonacci(0, 1) == (55, 89)


def test_a_loop_may_judge_on_the_first_value_alone() -> None:
    step = loop(
        lambda x: package(x + 1 > 3, x + 1),
        stop_condition=lambda done: done,
        judge_on_full_input=False,
    )
    assert step(0) == (4,)


def test_a_loop_that_would_never_end_is_refused() -> None:
    with pytest.raises(ValueError, match="never end"):
        loop(str)


def test_the_condition_of_a_loop_may_be_a_module_of_the_tree() -> None:
    class Enough(ModuleBase):
        def forward(self, value: int) -> bool:
            return value > 3

    class Holder(ModuleBase):
        pass

    condition, holder = Enough(), Holder()
    holder.flow = loop(lambda x: x + 1, stop_condition=condition)
    assert holder.submodules == [condition]
    assert holder.flow(0) == 4


def test_options_that_flows_do_not_have_name_near_ones() -> None:
    with pytest.raises(TypeError, match=r"'save_resul' .*can't be called: True.*save_result"):
        pipeline(str, save_resul=True)
    with pytest.raises(TypeError, match=r"'size' .*the options are .*auto_capture"):
        parallel(str, size=3)
    with pytest.raises(TypeError, match="name of a Pipeline is text"):
        pipeline(name=str)


def test_a_class_that_needs_arguments_is_no_item() -> None:
    class Scaled:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        def __call__(self, value: int) -> int:
            return value * self.factor

    with pytest.raises(TypeError, match=r"item 0 .* no Scaled can be made without arguments"):
        pipeline(Scaled)


def test_an_item_may_be_called_like_a_method() -> None:
    with pipeline() as p:
        p.start = str
        p.bind = len
    assert (p.start, p.bind, p(123)) == (str, len, 3)
    assert copy.deepcopy(p).start is str
    p.start = float
    assert p.start is float
    del p.start
    assert callable(p.start)
    assert p.start is not float


def test_a_failed_block_is_closed_like_any_other() -> None:
    outer = pipeline()
    with pytest.raises(LookupError):  # noqa: PT012, SIM117 - the block is what is tested
        with outer, pipeline(auto_capture=True) as inner:
            step = str  # noqa: F841
            raise LookupError
    outer.note = 1
    assert (outer.note, len(inner)) == (1, 0)


def test_a_flow_that_was_pickled_knows_where_its_parts_stand() -> None:
    with pipeline() as p:
        p.inner = pipeline(str)
    again = copy.deepcopy(p)
    assert again.inner.ancestor is again
    assert again.is_root


def test_start_brings_up_what_the_modules_serve() -> None:
    started: list[str] = []

    class Part(ModuleBase):
        def _get_deploy_tasks(self) -> Any:
            return lambda: started.append("part")

    flow = pipeline(Part(), parallel(Part(), str))
    assert flow.start() is flow
    assert started == ["part", "part"]
