"""Functions in threads of their own: none of them ends whoever called."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from rootward.modules import ModuleBase, parallel, warp
from rootward.modules.errors import RemoteError
from rootward.modules.processes.threads import run_all

if TYPE_CHECKING:
    from collections.abc import Callable


class Home(BaseException):
    """Is no Exception."""


def raising(error: BaseException) -> Callable[[], NoReturn]:
    def function() -> NoReturn:
        raise error

    return function


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), Home("go")])
def test_what_is_no_exception_comes_wrapped(error: BaseException, count: int) -> None:
    with pytest.raises(RemoteError) as caught:
        run_all([raising(error), *[int] * (count - 1)], what="test", limit=4)
    assert caught.value.type_name == type(error).__name__
    assert caught.value.__cause__ is error


def test_an_interrupt_of_a_thread_that_is_not_the_main_one_is_no_interrupt() -> None:
    with pytest.raises(RemoteError, match="KeyboardInterrupt"):
        run_all([raising(KeyboardInterrupt()), int], what="test", limit=2)


def test_several_failures_are_a_group_of_exceptions() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        run_all([raising(SystemExit(3)), raising(ValueError("v"))], what="test", limit=2)
    assert [type(each) for each in caught.value.exceptions] == [RemoteError, ValueError]


def test_a_flow_whose_item_calls_exit_raises() -> None:
    def leave(_: Any) -> NoReturn:
        sys.exit(3)

    with pytest.raises(RemoteError, match="SystemExit: 3"):
        parallel(leave, str)(1)
    with pytest.raises(ExceptionGroup):
        warp(leave)(1, 2)


def test_an_evaluation_of_a_module_that_calls_exit_raises() -> None:
    class Leaves(ModuleBase):
        def forward(self, code: int) -> NoReturn:
            sys.exit(code)

    module = Leaves()
    module.evalset([5])
    with pytest.raises(RemoteError, match="SystemExit: 5"):
        module.eval()
    assert threading.current_thread() is threading.main_thread()
