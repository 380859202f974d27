"""ServerModule as an object: its options, its children, and what runs behind the endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from rootward.modules import ActionModule, ModuleBase, ServerModule, pipeline
from rootward.modules.errors import NotServed, Unavailable
from tests.support.served import AsyncTriple, Counting, Pid


def test_submodules_hold_the_served_module() -> None:
    module = Pid()
    assert list(ServerModule(module).submodules) == [module]


def test_flow_is_served_as_an_action() -> None:
    inner = Pid()
    (action,) = ServerModule(pipeline(inner)).submodules
    assert isinstance(action, ActionModule)
    assert list(action.submodules) == [inner]


def test_repr_has_the_options_of_the_interface() -> None:
    first = repr(ServerModule(Pid())).splitlines()[0]
    assert first == "<Module type=Server stream=False return_trace=False>"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"replicas": 0}, ValueError),
        ({"num_replicas": -1}, ValueError),
        ({"port": 70_000}, ValueError),
        ({"port": 8000, "replicas": 2}, ValueError),
        ({"startup_timeout": 0}, ValueError),
        ({"pre": "no function"}, TypeError),
    ],
)
def test_options_that_can_not_be_are_refused(
    options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        ServerModule(Pid(), **options)


@pytest.mark.parametrize("option", ["launcher", "pythonpath", "security_key"])
def test_options_of_lazyllm_are_taken_and_explained(option: str) -> None:
    options: Any = {option: "x"}
    with pytest.warns(UserWarning, match=f"{option} of a ServerModule does nothing.*: "):
        ServerModule(Pid(), **options)


def test_an_unknown_option_names_a_near_one() -> None:
    options: Any = {"replica": 2}
    with pytest.raises(TypeError, match="no option 'replica'; did you mean replicas"):
        ServerModule(Pid(), **options)


def test_pre_and_post_may_stand_by_position() -> None:
    assert ServerModule(lambda x: x * 2, lambda x: x + 1, str).answer(3) == "8"


def test_a_url_in_place_of_a_module_is_called_and_not_started() -> None:
    for server in (ServerModule("http://127.0.0.1:1/x"), ServerModule(url="http://127.0.0.1:1/x")):
        assert isinstance(server, ServerModule)
        assert (server.url, server.serves) == ("http://127.0.0.1:1/x", False)
        assert server.start() is server
        with pytest.raises(Unavailable, match="nobody answers at"):
            server(1)
        with pytest.raises(NotServed, match="was not started here"):
            server.served.anything()
    with pytest.raises(TypeError, match="a module or a url, not both"):
        ServerModule("http://a", url="http://b")


@pytest.mark.parametrize("thing", [3, Pid, None])
def test_what_can_not_be_called_is_refused(thing: Any) -> None:
    with pytest.raises(TypeError, match="serves a module"):
        ServerModule(thing)


def test_num_replicas_is_another_spelling_of_replicas() -> None:
    assert ServerModule(Pid(), num_replicas=3).replicas == 3


def test_call_before_start_says_what_to_do() -> None:
    with pytest.raises(NotServed, match="start"):
        ServerModule(Pid(), name="early")()


def test_pre_and_post_stand_around_the_module() -> None:
    server = ServerModule(lambda x: x * 2, pre=lambda x: x + 1, post=str)
    assert server.answer(3) == "8"


def test_post_applies_to_each_item_of_a_stream() -> None:
    assert list(ServerModule(Counting(), post=str).answer(2)) == ["0", "1"]


def test_post_waits_for_a_coroutine() -> None:
    import asyncio

    assert asyncio.run(ServerModule(AsyncTriple(), post=str).answer(2)) == "6"


def test_class_that_forgets_super_is_served_all_the_same() -> None:
    class Forgetful(ModuleBase):
        def __init__(self) -> None:
            self.word = "here"

        def forward(self) -> str:
            return self.word

    assert ServerModule(Forgetful()).answer() == "here"
