"""Arguments from JSON: built by annotations, also those written as text; wrong ones are named."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import functools
import itertools
import pathlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import BaseModel, Field

from rootward.worker.serving.formats import Refused
from rootward.worker.serving.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowhere import Unknown  # type: ignore[import-not-found]


class Colour(enum.Enum):
    RED = "red"


class Pair(NamedTuple):
    first: int
    second: str


class Options(TypedDict):
    depth: int


@dataclass
class Point:
    x: float
    y: float = 0.0


class Item(BaseModel):
    name: str
    price: float = Field(gt=0)
    tags: list[str] = []


class Opaque:
    """Nothing that JSON or pydantic could know."""


def taking(annotation: Any) -> Parameters:
    def forward(value: Any) -> None: ...

    forward.__annotations__ = {"value": annotation}
    found = Parameters.of(forward)
    assert found is not None
    return found


NOON = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
ID = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("annotation", "given", "built"),
    [
        (int, 2, 2),
        (int, 2.0, 2),
        (float, 1, 1.0),
        (Any, {"a": [1]}, {"a": [1]}),
        ("int", "3", 3),
        ("list[Item]", [{"name": "a", "price": 1}], [Item(name="a", price=1)]),
        (Item, {"name": "a", "price": 2}, Item(name="a", price=2)),
        (dict[str, Point], {"p": {"x": 1}}, {"p": Point(1.0)}),
        ("Optional[Point]", None, None),
        (Point | None, {"x": 1, "y": 2}, Point(1.0, 2.0)),
        (int | str, "a", "a"),
        (Colour, "red", Colour.RED),
        (dict[Colour, int], {"red": 1}, {Colour.RED: 1}),
        (Pair, [1, "b"], Pair(1, "b")),
        (Options, {"depth": 1}, {"depth": 1}),
        (Literal["a", 1], 1, 1),
        (Annotated[int, Field(ge=1)], 1, 1),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple[int, ...], [1, 2], (1, 2)),
        (set[int], [1, 1], {1}),
        (Sequence[int], [1], [1]),
        (Iterable[int], [1, 2], [1, 2]),
        (Mapping[str, int], {"a": 1}, {"a": 1}),
        (dt.datetime, "2026-11-30T12:00:00Z", NOON),
        (dt.date, "2026-11-30", NOON.date()),
        (dt.timedelta, "PT90S", dt.timedelta(seconds=90)),
        (decimal.Decimal, "1.10", decimal.Decimal("1.10")),
        (uuid.UUID, str(ID), ID),
        (pathlib.Path, "/a/b", pathlib.Path("/a/b")),
        (bytes, "/wA=", b"\xff\x00"),
        (list[bytes], ["YQ=="], [b"a"]),
        (bytes, b"from msgpack", b"from msgpack"),
        (np.float32, 1.5, np.float32(1.5)),
        (Opaque, {"as": "it came"}, {"as": "it came"}),
        (list[Opaque], [1], [1]),
        ("Unknown", 1, 1),
    ],
    ids=map(str, itertools.count()),
)
def test_a_value_is_built_by_its_annotation(annotation: Any, given: Any, built: Any) -> None:
    args, kwargs = taking(annotation).bind((given,), {})
    assert (args, kwargs) == ((built,), {})
    assert type(args[0]) is type(built)


@pytest.mark.parametrize(
    "annotation",
    [np.ndarray, npt.NDArray[np.float64], np.ndarray | None, "np.ndarray"],
    ids=["bare", "typed", "optional", "text"],
)
def test_arrays_are_built_of_lists(annotation: Any) -> None:
    (array,), _ = taking(annotation).bind(([[1, 2], [3, 4]],), {})
    assert isinstance(array, np.ndarray)
    assert array.shape == (2, 2)
    assert array.dtype == (np.float64 if "NDArray" in str(annotation) else np.int64) or (
        annotation == npt.NDArray[np.float64]
    )


def test_data_frames_are_built_of_records() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas isn't installed")
    (frame,), _ = taking(pandas.DataFrame).bind(([{"a": 1}, {"a": 2}],), {})
    assert list(frame["a"]) == [1, 2]


@pytest.mark.parametrize(
    ("annotation", "given", "named"),
    [
        (int, "x", "value: "),
        (str, 1, "value: "),
        (int, None, "value: "),
        (Item, {"name": "a", "price": -1}, "value.price: "),
        (Item, {"price": 1}, "value.name: Field required"),
        (list[Point], [{"x": 1}, {"x": "no"}], "value.1.x: "),
        (dict[str, int], {"a": "x"}, "value.a: "),
        (Colour, "blue", "value: "),
        (Literal["a"], "b", "value: "),
        (dt.date, "yesterday", "value: "),
        (uuid.UUID, "1", "value: "),
        (bytes, "no base64!", "value: "),
        (bytes, 1, "value: "),
        (np.ndarray, [[1, 2], [3]], "value: "),
        (npt.NDArray[np.float64], ["a"], "value: "),
        (np.float64, "a", "value: "),
        (tuple[int, str], [1], "value"),
    ],
    ids=map(str, itertools.count()),
)
def test_a_wrong_value_is_named(annotation: Any, given: Any, named: str) -> None:
    with pytest.raises(Refused) as caught:
        taking(annotation).bind((given,), {})
    assert (caught.value.status, caught.value.kind) == (422, "ValidationError")
    assert named in str(caught.value)


def spread(a: int, *rest: int, key: Point, **more: float) -> None: ...


def test_every_kind_of_parameter_is_built() -> None:
    parameters = Parameters.of(spread)
    assert parameters is not None
    args, kwargs = parameters.bind(("1", "2", 3), {"key": {"x": 1}, "other": 2})
    assert (args, kwargs) == ((1, 2, 3), {"key": Point(1.0), "other": 2.0})
    with pytest.raises(Refused, match=r"rest\.1: .*; key\.x: .*; other: "):
        parameters.bind((1, 2, "x"), {"key": {"x": "no"}, "other": "no"})
    with pytest.raises(Refused, match="missing a required argument") as caught:
        parameters.bind((), {"key": {"x": 1}})
    assert caught.value.status == 400


def test_a_default_stays_as_it_is() -> None:
    def forward(point: Point = None) -> None: ...  # type: ignore[assignment]

    parameters = Parameters.of(forward)
    assert parameters is not None
    assert parameters.bind((), {}) == ((), {})


class Called:
    def __call__(self, value: int) -> None: ...


@functools.wraps(spread)
def wrapped(*args: Any, **kwargs: Any) -> None: ...


@pytest.mark.parametrize("function", [Called(), Called().__call__, lambda value: None])
def test_whatever_can_be_called_has_parameters(function: Callable[..., Any]) -> None:
    parameters = Parameters.of(function)
    assert parameters is not None
    built, _ = parameters.bind(("3",), {})
    assert built in {(3,), ("3",)}


def test_a_wrapper_has_the_parameters_of_what_it_wraps() -> None:
    parameters = Parameters.of(wrapped)
    assert parameters is not None
    assert parameters.bind(("1",), {"key": {"x": 1}}) == ((1,), {"key": Point(1.0)})


def test_one_annotation_that_cannot_be_resolved_costs_the_others_nothing() -> None:
    def forward(a: Unknown, b: int) -> None: ...

    parameters = Parameters.of(forward)
    assert parameters is not None
    assert parameters.bind(("1", "2"), {}) == (("1", 2), {})
