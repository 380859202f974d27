"""Hooks of modules and flows: when they run, what they see, and what their faults do."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from rootward.modules import Hook, ModuleBase, pipeline


class Half(ModuleBase):
    def forward(self, value: int) -> float:
        return 10 / value


class Later(ModuleBase):
    async def forward(self, value: int) -> float:
        await asyncio.sleep(0)
        return 10 / value


class Log(Hook):
    def __init__(self, into: list[Any], name: str = "log") -> None:
        self.into, self.name = into, name

    def pre_hook(self, *args: Any, **kwargs: Any) -> None:
        self.into.append((self.name, "pre", args, kwargs))

    def post_hook(self, output: Any) -> None:
        self.into.append((self.name, "post", output))

    def on_error(self, exc: BaseException) -> None:
        self.into.append((self.name, "error", type(exc)))

    def finalize(self) -> None:
        self.into.append((self.name, "end"))


@pytest.mark.parametrize("made", [Half, lambda: pipeline(Half())])
def test_a_hook_sees_arguments_and_result(made: Any) -> None:
    seen: list[Any] = []
    called = made()
    called.register_hook(Log(seen))
    assert called(value=5) == 2
    assert seen == [("log", "pre", (), {"value": 5}), ("log", "post", 2), ("log", "end")]


def test_a_hook_sees_the_error_and_the_caller_too() -> None:
    seen: list[Any] = []
    module = Half()
    module.register_hook(Log(seen))
    with pytest.raises(ZeroDivisionError):
        module(0)
    assert seen[1:] == [("log", "error", ZeroDivisionError), ("log", "end")]


def test_a_hook_of_a_coroutine_sees_what_it_returns() -> None:
    seen: list[Any] = []
    module = Later()
    module.register_hook(Log(seen))
    assert asyncio.run(module(5)) == 2
    assert seen[1:] == [("log", "post", 2), ("log", "end")]
    with pytest.raises(ZeroDivisionError):
        asyncio.run(module(0))
    assert seen[4:] == [("log", "error", ZeroDivisionError), ("log", "end")]


def test_hooks_run_by_priority_and_backwards_after_the_call() -> None:
    class First(Log):
        __hook_priority__ = 1

    seen: list[Any] = []
    module = Half()
    module.register_hook(Log(seen, "second"))
    module.register_hook(First(seen, "first"))
    module(5)
    assert [(name, phase) for name, phase, *_ in seen] == [
        ("first", "pre"),
        ("second", "pre"),
        ("second", "post"),
        ("first", "post"),
        ("second", "end"),
        ("first", "end"),
    ]


def test_functions_generators_and_classes_are_hooks() -> None:
    seen: list[Any] = []

    def before(value: int) -> None:
        seen.append(value)

    def around(value: int) -> Any:
        result = yield
        seen.append((value, result))

    class OfOwner(Hook):
        def __init__(self, owner: Any) -> None:
            self.owner = owner

        def post_hook(self, output: Any) -> None:
            seen.append(type(self.owner))

    module = Half()
    for hook in (before, around, OfOwner, before):
        module.register_hook(hook)
    module(5)
    assert seen == [5, Half, (5, 2)]
    module.unregister_hook(before)
    module.unregister_hook(around)
    module(5)
    assert seen == [5, Half, (5, 2), Half]
    module.clear_hooks()
    module(5)
    assert len(seen) == 4


def test_the_fault_of_a_hook_is_logged_and_the_call_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_: int) -> None:
        raise LookupError("mine")

    module = Half()
    module.register_hook(broken)
    with caplog.at_level(logging.WARNING):
        assert module(5) == 2
    assert "hook broken failed in pre_hook: LookupError: mine" in caplog.text


def test_the_fault_of_a_strict_hook_is_raised_and_the_others_end() -> None:
    seen: list[Any] = []

    class Strict(Hook):
        __hook_error_mode__ = "raise"

        def pre_hook(self, *args: Any, **kwargs: Any) -> None:
            if args[0] == 1:
                raise LookupError("before")

        def post_hook(self, output: Any) -> None:
            raise LookupError("after")

    module = Half()
    module.register_hook(Log(seen))
    module.register_hook(Strict())
    with pytest.raises(LookupError, match="before"):
        module(1)
    assert [phase for _, phase, *_ in seen] == ["pre", "end"]
    with pytest.raises(LookupError, match="after"):
        module(2)


def test_what_is_no_hook_is_refused() -> None:
    def twice() -> Any:
        yield
        yield

    class Other(Hook):
        __hook_error_mode__ = "ignore"

    with pytest.raises(TypeError, match="a hook is a function"):
        Half().register_hook(3)
    with pytest.raises(ValueError, match="yields once, twice does so 2 times"):
        Half().register_hook(twice)
    with pytest.raises(ValueError, match="is one of"):
        Half().register_hook(Other)


def test_hooks_travel_with_their_module() -> None:
    from rootward.modules.state import trees
    from rootward.modules.tree import Tree

    module = Half()
    module.register_hook(_doubling)
    there: Any = trees.unpack(trees.pack(Tree(module, "t"))).root
    assert there._hooks[0].__name__ == "_doubling"
    assert there(5) == 2


def _doubling(value: int) -> None:
    del value
