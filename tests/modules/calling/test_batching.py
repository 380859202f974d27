"""Calls that are under way together are one call of `forward_batch`; each gets its own answer."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from rootward.modules import ModuleBase, ServerModule, pipeline
from rootward.modules.calling.batching import BatchRunner

if TYPE_CHECKING:
    from collections.abc import Callable


class Squares(ModuleBase):
    """Notes the sizes of its batches; waits for `gate` in each."""

    def __init__(self, rule: Callable[[list[Any]], Any] | None = None) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.rule = rule or (lambda inputs: [x * x for x in inputs])
        self.local_gate = threading.Event()
        self.local_gate.set()

    def forward_batch(self, inputs: list[Any]) -> Any:
        self.sizes.append(len(inputs))
        self.local_gate.wait(30)
        return self.rule(inputs)


async def together(module: Squares, inputs: list[Any], **options: Any) -> list[Any]:
    """Return what calls get that come while the first batch runs, which is that of `None`."""
    runner = BatchRunner(ServerModule(module, **{"max_batch": 32, **options}))
    module.local_gate.clear()
    first = asyncio.ensure_future(runner.answer(0))
    await asyncio.sleep(0)
    calls = [asyncio.ensure_future(runner.answer(x)) for x in inputs]
    await asyncio.sleep(0)
    module.local_gate.set()
    async with asyncio.timeout(30):
        await asyncio.gather(first, return_exceptions=True)
        return await asyncio.gather(*calls, return_exceptions=True)


def test_calls_under_way_together_are_one_call_and_keep_their_order() -> None:
    module = Squares()
    assert asyncio.run(together(module, [1, 2, 3, 4])) == [1, 4, 9, 16]
    assert module.sizes == [1, 4]


def test_no_batch_is_larger_than_asked() -> None:
    module = Squares()
    assert asyncio.run(together(module, list(range(7)), max_batch=3, batch_wait_ms=0)) == [
        x * x for x in range(7)
    ]
    assert module.sizes == [1, 3, 3, 1]


def test_an_exception_in_the_list_fails_its_own_call_only() -> None:
    module = Squares(lambda inputs: [ValueError("odd") if x % 2 else x for x in inputs])
    answers = asyncio.run(together(module, [2, 3, 4]))
    assert (answers[0], answers[2]) == (2, 4)
    assert repr(answers[1]) == "ValueError('odd')"


def test_what_forward_batch_raises_fails_all_of_its_calls() -> None:
    module = Squares(lambda inputs: [1 / 0] if len(inputs) > 1 else inputs)
    answers = asyncio.run(together(module, [1, 2]))
    assert [type(answer) for answer in answers] == [ZeroDivisionError, ZeroDivisionError]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ([1], "returned 1 results for 2 inputs"),
        ("ab", "returned str, not a list of 2 results"),
        (None, "returned NoneType, not a list of 2 results"),
    ],
)
def test_a_wrong_result_is_an_error_that_names_it(result: Any, words: str) -> None:
    module = Squares(lambda inputs: result if len(inputs) > 1 else inputs)
    for answer in asyncio.run(together(module, [1, 2])):
        assert "forward_batch of Squares" in str(answer)
        assert words in str(answer)


def test_pre_and_post_are_run_for_each_call_and_fail_it_alone() -> None:
    module = Squares()
    answers = asyncio.run(
        together(module, ["1", "x", "3"], pre=int, post=lambda result: f"={result}")
    )
    assert (answers[0], answers[2]) == ("=1", "=9")
    assert isinstance(answers[1], ValueError)
    assert module.sizes == [1, 2]


def test_a_call_has_one_argument_by_whatever_name() -> None:
    async def course() -> None:
        runner = BatchRunner(ServerModule(Squares(), max_batch=2))
        assert await runner.answer(x=3) == 9
        with pytest.raises(TypeError, match="one argument, not 2"):
            await runner.answer(1, 2)

    asyncio.run(course())


def test_who_comes_alone_waits_for_nobody() -> None:
    """With a wait of an hour, a call that waited once would never end in time."""

    async def course() -> None:
        runner = BatchRunner(ServerModule(Squares(), max_batch=32, batch_wait_ms=3_600_000))
        async with asyncio.timeout(30):
            assert [await runner.answer(x) for x in range(5)] == [0, 1, 4, 9, 16]

    asyncio.run(course())


def test_as_many_as_came_together_are_waited_for() -> None:
    async def course() -> None:
        module = Squares()
        runner = BatchRunner(ServerModule(module, max_batch=32, batch_wait_ms=3_600_000))
        async with asyncio.timeout(30):
            first = asyncio.ensure_future(runner.answer(0))
            others = [asyncio.ensure_future(runner.answer(x)) for x in (1, 2)]
            await first
            # The two that came meanwhile, and the first caller again.
            assert await runner.answer(3) == 9
            assert await asyncio.gather(*others) == [1, 4]
        assert module.sizes == [1, 3]

    asyncio.run(course())


def test_a_coroutine_runs_on_the_loop() -> None:
    class Later(ModuleBase):
        async def forward_batch(self, inputs: list[int]) -> list[int]:
            await asyncio.sleep(0)
            return [x + 1 for x in inputs]

    async def course() -> None:
        runner = BatchRunner(ServerModule(Later(), max_batch=4))
        assert await asyncio.gather(*map(runner.answer, range(9))) == list(range(1, 10))

    asyncio.run(course())


def test_a_batch_beyond_its_limit_is_reported() -> None:
    async def course() -> None:
        module, told = Squares(), asyncio.Event()
        runner = BatchRunner(
            ServerModule(module, max_batch=2), limit_s=0.01, on_overdue=lambda _: told.set()
        )
        module.local_gate.clear()
        call = asyncio.ensure_future(runner.answer(1))
        async with asyncio.timeout(30):
            await told.wait()
            module.local_gate.set()
            assert await call == 1

    asyncio.run(course())


def streams(self: Any, inputs: list[int]) -> Any:
    yield from inputs


@pytest.mark.parametrize(
    ("module", "options", "words"),
    [
        (ModuleBase(), {"max_batch": 4}, "max_batch=4 needs a method forward_batch"),
        (pipeline(len), {"max_batch": 4}, "max_batch=4 needs a method forward_batch"),
        (len, {"max_batch": 4}, "max_batch=4 needs a method forward_batch"),
        (Squares(), {"max_batch": 0}, "max_batch of a ServerModule"),
        (Squares(), {"max_batch": 2.5}, "max_batch of a ServerModule"),
        (Squares(), {"max_batch": 2, "stream": True}, "can't stream"),
        (Squares(), {"max_batch": 2, "batch_wait_ms": -1}, "batch_wait_ms"),
        (type("S", (ModuleBase,), {"forward_batch": streams})(), {"max_batch": 2}, "generator"),
    ],
)
def test_misuse_is_an_error_when_the_module_is_made(
    module: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        ServerModule(module, **options)
