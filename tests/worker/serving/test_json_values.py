"""Results as JSON: one form for each type that has one, null for NaN, an error for the rest."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import itertools
import json
import math
import pathlib
import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, Field

from rootward.worker.serving.json_values import to_json


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: float
    colour: Colour = Colour.RED


class Item(BaseModel):
    price: decimal.Decimal
    at: dt.date
    inner: list[Point] = Field(default_factory=list, alias="Inner")


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (Item(price="1.10", at="2026-11-30"), {"price": "1.10", "at": "2026-11-30", "Inner": []}),  # type: ignore[arg-type]
        ([Point(1.0)], [{"x": 1.0, "colour": "red"}]),
        ({"a": Point(math.nan)}, {"a": {"x": None, "colour": "red"}}),
        ({Colour.RED: 1}, {"red": 1}),
        ({uuid.UUID(int=1): 1}, {"00000000-0000-0000-0000-000000000001": 1}),
        (math.nan, None),
        ([1.5, math.inf, {"a": -math.inf}], [1.5, None, {"a": None}]),
        (np.float64("nan"), None),
        (np.array([1.0, math.nan]), [1.0, None]),
        ({"a": np.arange(4).reshape(2, 2)}, {"a": [[0, 1], [2, 3]]}),
        ([np.int64(1), np.float32(1.5), np.bool_(True)], [1, 1.5, True]),
        (b"\xff\x00", "/wA="),
        ({"a": [bytearray(b"a"), memoryview(b"a")]}, {"a": ["YQ==", "YQ=="]}),
        ([{1}, frozenset({2}), (3,)], [[1], [2], [3]]),
        (dt.datetime(2026, 11, 30, tzinfo=dt.UTC), "2026-11-30T00:00:00Z"),
        (dt.timedelta(seconds=90), "PT1M30S"),
        (decimal.Decimal("1.10"), "1.10"),
        (pathlib.PurePosixPath("/a"), "/a"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("\ud800", "\ud800"),
        (10**40, 10**40),
    ],
    ids=map(str, itertools.count()),
)
def test_every_value_has_its_form(value: Any, form: Any) -> None:
    assert json.loads(to_json(value)) == form


@pytest.mark.parametrize("value", [object(), {"a": lambda: 1}, [ValueError("x")], Colour, open])
def test_what_has_no_form_is_an_error_that_names_its_type(value: Any) -> None:
    with pytest.raises(TypeError, match="can't be written for callers that aren't Python's"):
        to_json(value)


def test_data_frames_are_records() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas isn't installed")
    frame = pandas.DataFrame({"a": [1, 2], "b": [1.5, math.nan]})
    assert json.loads(to_json({"f": frame})) == {"f": [{"a": 1, "b": 1.5}, {"a": 2, "b": None}]}
