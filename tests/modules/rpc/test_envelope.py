"""Sealed calls and answers: bound to each other, and true to the exception."""

from __future__ import annotations

import errno
from typing import Any, Self

import pytest

from rootward.modules.errors import RemoteError, SignatureError
from rootward.modules.rpc import envelope
from rootward.modules.state import exceptions
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

        def __reduce__(self) -> Any:
            return type(self), self.args

    sealed = envelope.seal_error(Stubborn(1, 2), KEY, CONTEXT)
    with pytest.raises(RemoteError) as caught:
        envelope.open_answer(sealed, KEY, CONTEXT)
    assert (caught.value.type_name, caught.value.message) == ("Stubborn", "12")


class ApiError(Exception):
    """Says something else than what it is made of."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


class Slotted(LookupError):
    """Keeps what it knows in a slot, and takes keywords only."""

    __slots__ = ("place",)

    def __init__(self, *, place: str) -> None:
        self.place = place


class MissingFile(OSError):
    """A builtin error with its own arguments."""

    def __init__(self, name: str) -> None:
        super().__init__(errno.ENOENT, "not there", name)
        self.extra = [name]


class Several(ExceptionGroup[Exception]):
    """A group that is made of more than its members."""

    def __new__(cls, message: str, errors: list[Exception], code: int) -> Self:
        self = super().__new__(cls, message, errors)
        self.code = code
        return self

    def __init__(self, message: str, errors: list[Exception], code: int) -> None:
        del message, errors, code

    code: int


class Response:
    """What can't travel."""

    def __reduce__(self) -> Any:
        raise TypeError("no")

    def __repr__(self) -> str:
        return "<response>"


def passed(error: BaseException) -> Any:
    """Return the exception as a caller gets it."""
    try:
        raise error
    except BaseException as raised:
        sealed = envelope.seal_error(raised, KEY, CONTEXT)
    with pytest.raises(Exception) as caught:
        envelope.open_answer(sealed, KEY, CONTEXT)
    return caught.value


def test_an_exception_is_rebuilt_without_its_own_init() -> None:
    error = passed(ApiError(404, "no such thing"))
    assert type(error) is ApiError
    assert (error.code, error.detail, error.args) == (404, "no such thing", ("404: no such thing",))
    slotted = passed(Slotted(place="here"))
    assert (type(slotted), slotted.place, slotted.args) == (Slotted, "here", ())
    missing = passed(MissingFile("a.txt"))
    assert (missing.errno, missing.filename, missing.extra) == (errno.ENOENT, "a.txt", ["a.txt"])
    assert "a.txt" in str(missing)


@pytest.mark.parametrize(
    "error",
    [
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        StopIteration(3),
        SyntaxError("no", ("f.py", 1, 2, "x =")),
        ImportError("no", name="n", path="p"),
        FileNotFoundError(2, "not there", "a", None, "b"),
        KeyError("k"),
    ],
)
def test_builtin_exceptions_keep_what_they_know(error: Exception) -> None:
    arrived = passed(error)
    assert (type(arrived), arrived.args, str(arrived)) == (type(error), error.args, str(error))
    for name in ("object", "value", "filename", "filename2", "lineno", "name", "path"):
        assert getattr(arrived, name, None) == getattr(error, name, None)


def test_causes_contexts_and_notes_come_along() -> None:
    error = ApiError(500, "broke")
    error.add_note("while looking")
    error.__cause__ = cause = ApiError(404, "gone")
    cause.__context__ = KeyError("k")
    arrived = passed(error)
    assert arrived.__notes__ == ["while looking"]
    assert (type(arrived.__cause__), arrived.__cause__.code) == (ApiError, 404)
    assert arrived.__cause__.__context__.args == ("k",)
    assert "raise error" in exceptions.traceback_of(arrived)
    alone = ApiError(1, "x")
    alone.__context__, alone.__suppress_context__ = KeyError("k"), True
    assert passed(alone).__suppress_context__


def test_causes_in_a_circle_are_no_trouble() -> None:
    one, other = ApiError(1, "one"), ApiError(2, "other")
    one.__cause__, other.__cause__ = other, one
    arrived = passed(one)
    assert (arrived.code, arrived.__cause__.code) == (1, 2)


def test_the_members_of_a_group_arrive_as_themselves() -> None:
    inner = ExceptionGroup("inner", [ApiError(1, "a"), Slotted(place="b")])
    arrived = passed(ExceptionGroup("outer", [inner, ValueError("c")]))
    first, second = arrived.exceptions[0].exceptions
    assert (first.code, second.place, arrived.exceptions[1].args) == (1, "b", ("c",))
    several = passed(Several("m", [ApiError(1, "a")], 7))
    assert (type(several), several.code, several.exceptions[0].detail) == (Several, 7, "a")


def test_what_of_an_exception_cannot_travel_is_left_out() -> None:
    error = ApiError(502, "bad answer")
    error.response = Response()  # type: ignore[attr-defined]
    error.args = ("kept", Response())
    error.__cause__ = cause = ValueError("cause")
    cause.response = Response()  # type: ignore[attr-defined]
    arrived = passed(error)
    assert (type(arrived), arrived.code, arrived.args) == (ApiError, 502, ("kept", "<response>"))
    assert not hasattr(arrived, "response")
    assert arrived.__cause__.args == ("cause",)
    group = passed(ExceptionGroup("g", [error]))
    assert group.exceptions[0].code == 502


class Home(BaseException):
    """Is no Exception."""


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Home("go"),
        BaseExceptionGroup("g", [SystemExit(3)]),
    ],
)  # fmt: skip
def test_what_is_no_exception_arrives_wrapped(error: BaseException) -> None:
    arrived = passed(error)
    assert type(arrived) is RemoteError
    assert arrived.type_name == type(error).__name__


class Silent(Exception):
    """Can't say what it is."""

    def __str__(self) -> str:
        raise ValueError("no")

    __repr__ = __str__


def test_an_exception_whose_message_cannot_be_had_breaks_nothing() -> None:
    assert "can't be had" in exceptions.describe(Silent())["message"]
    assert "can't be had" in exceptions.describe(ExceptionGroup("g", [Silent()]))["message"]
    assert type(passed(Silent())) is Silent


def test_a_message_has_the_first_line_of_each_note() -> None:
    error = ValueError("bad")
    error.add_note("item 3: 'x'\nmore")
    assert exceptions.message_of(error) == "bad (item 3: 'x')"
