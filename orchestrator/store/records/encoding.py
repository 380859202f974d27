"""What the encodings of all records share: msgpack, text, times and counts.

A value that can't be read is an error that says which.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

import msgpack

from ...errors import BadRecord

Hash = Mapping[bytes, bytes]
SMALL = 64
"""Bytes of the longest value with which Redis keeps a hash in its compact form."""


def cut(text: str) -> tuple[bytes, bytes]:
    """Cut a text into a first part that is SMALL, with whole characters, and the rest."""
    whole = text.encode()
    if len(whole) <= SMALL:
        return whole, b""
    first = whole[:SMALL].decode(errors="ignore").encode()
    return first, whole[len(first) :]


def pack(value: Mapping[str, Any]) -> bytes:
    """Encode the fields of a record as msgpack."""
    return bytes(msgpack.packb(value))


def unpack(what: str, data: bytes, record: type) -> dict[str, Any]:
    """Read the fields that this version knows; a newer one may have written more."""
    try:
        found = msgpack.unpackb(data)
        return {name: found[name] for name in names_of(record) if name in found}
    except (ValueError, TypeError) as cause:
        raise BadRecord(f"a stored {what} can't be read ({cause})") from cause


@functools.cache
def names_of(record: type) -> tuple[str, ...]:
    """Return the names of a record's fields."""
    return tuple(field.name for field in fields(record))


def counts(found: Hash) -> dict[str, int]:
    """Read a hash of counts by path."""
    return {path.decode(): int(count) for path, count in found.items()}


def moment(date: bytes | None) -> float | None:
    """Read a date as RQ writes it, in UTC; Unix seconds."""
    if not date:
        return None
    return datetime.fromisoformat(date.decode()).timestamp()


def seconds(milliseconds: str | None) -> float | None:
    """Read Unix milliseconds as Unix seconds; None when there are none."""
    return int(milliseconds) / 1000 if milliseconds else None
