"""How the replicas of a generation's services are scaled, as it is stored, and loads as reported.

What is asked for by hand is signed and holds only as far as its signature does; loads are anybody's
word, so they are only ever numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

import msgpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .encoding import Hash

MOST_CALLS = 1e6
"""Calls of a service that are believed at once."""
LoadPlace = tuple[str, int, str]
"""A deployment's name, a generation and the path of a service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """What is stored of a generation's numbers of replicas, by path.

    `asked` are what somebody has asked for by hand (`3` or `1..8`) and the signature of that,
    `asleep` the services that have no replica as nobody calls them, `floors` how many ready ones
    are enough where that isn't all that are wanted, `why` the reasons of the numbers, `ranges`
    those in which a number follows the calls.
    """

    asked: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    asleep: frozenset[str] = frozenset()
    floors: Mapping[str, int] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleChange:
    """A service whose number of replicas follows its calls: from `before` to `wanted`.

    `signature` is that of `wanted`, `floor` how many ready ones are enough (None: all), `bounds`
    the range that they are of.
    """

    path: str
    before: int
    wanted: int
    signature: str
    floor: int | None = None
    why: str = ""
    bounds: str = ""


def read_scaling(found: Hash) -> Scaling:
    """Read what is stored; what somebody else has written there, and can't be read, is left out."""
    asked: dict[str, tuple[str, str]] = {}
    floors: dict[str, int] = {}
    texts: dict[str, dict[str, str]] = {"why": {}, "range": {}}
    asleep = set()
    for key, value in found.items():
        what, _, path = key.decode(errors="replace").partition(":")
        text = value.decode(errors="replace")
        if what == "asked":
            signature, _, wish = text.partition(" ")
            asked[path] = (wish, signature)
        elif what == "floor" and text.isdecimal():
            floors[path] = int(text)
        elif what in texts:
            texts[what][path] = text
        elif what == "asleep":
            asleep.add(path)
    return Scaling(
        asked=asked,
        asleep=frozenset(asleep),
        floors=floors,
        why=texts["why"],
        ranges=texts["range"],
    )


def pack_loads(loads: Mapping[LoadPlace, tuple[float, float]]) -> bytes:
    """Pack the calls under way and held of each place; nothing for none."""
    told = [(*place, *calls) for place, calls in loads.items() if any(calls)]
    return bytes(msgpack.packb(told)) if told else b""


def read_loads(reports: Iterable[bytes]) -> dict[LoadPlace, tuple[float, float]]:
    """Return the sums of what was reported; what is no report counts nothing."""
    sums: dict[LoadPlace, tuple[float, float]] = {}
    for report in reports:
        try:
            for name, generation, path, under_way, held in msgpack.unpackb(report, use_list=False):
                place = (str(name), int(generation), str(path))
                before = sums.get(place, (0.0, 0.0))
                sums[place] = (before[0] + _calls(under_way), before[1] + _calls(held))
        except (ValueError, TypeError, OverflowError, msgpack.UnpackException):
            continue
    return sums


def _calls(value: object) -> float:
    if not isinstance(value, (int, float)) or not isfinite(value):
        return 0.0
    return min(max(float(value), 0.0), MOST_CALLS)
