"""Sealed calls and answers: bound to each other, and true to the exception."""

from __future__ import annotations

import pytest

from rootward.modules.errors import RemoteError, SignatureError
from rootward.modules.rpc import envelope
from tests.support.served import OddInputError

KEY = b"k" * 32
CONTEXT = "answer|x|0"


def test_call_opens_only_for_the_replica_that_was_meant() -> None:
    body = envelope.seal_call((1, {2}), {"a": None}, KEY, "token")
    assert envelope.open_call(body, KEY, "token") == ((1, {2}), {"a": None})
    with pytest.raises(SignatureError):
        envelope.open_call(body, KEY, "another")
    with pytest.raises(SignatureError):
        envelope.open_call(body, b"x" * 32, "token")


def test_answer_to_one_call_is_none_to_another() -> None:
    one = envelope.seal_call((1,), {}, KEY, "token")
    other = envelope.seal_call((2,), {}, KEY, "token")
    answer = envelope.seal_value(5, KEY, envelope.answer_context(one))
    assert envelope.open_answer(answer, KEY, envelope.answer_context(one)) == 5
    with pytest.raises(SignatureError):
        envelope.open_answer(answer, KEY, envelope.answer_context(other))


def test_exception_arrives_as_itself_with_the_remote_traceback() -> None:
    try:
        raise OddInputError(3, hint="here")
    except OddInputError as error:
        sealed = envelope.seal_error(error, KEY, CONTEXT)
    with pytest.raises(OddInputError) as caught:
        envelope.open_answer(sealed, KEY, CONTEXT)
    assert caught.value.value == 3
    assert "raise OddInputError" in str(caught.value.__cause__)


def test_exception_that_can_not_be_rebuilt_becomes_a_remote_error() -> None:
    class Stubborn(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__(f"{one}{two}")

    sealed = envelope.seal_error(Stubborn(1, 2), KEY, CONTEXT)
    with pytest.raises(RemoteError) as caught:
        envelope.open_answer(sealed, KEY, CONTEXT)
    assert (caught.value.type_name, caught.value.message) == ("Stubborn", "12")


def test_message_that_can_not_be_had_is_told() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    assert "can't be had" in envelope.describe(Silent())["message"]
