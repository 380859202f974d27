"""Results as JSON: what Python's own encoder knows by it, everything else by pydantic's.

pydantic models, dataclasses, enums, dates, Decimal, UUID, Path, sets and what is made of them have
the form that pydantic gives them. Bytes are base64, arrays lists, numpy's scalars numbers, and
DataFrames lists of records. NaN and infinity, for which JSON has no form, are null.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import os
from typing import Any, Final

_EXACT: Final = (type(None), bool, int, str)
# Of pandas; its NaT calls itself a datetime, and has none of its parts.
_MISSING: Final = frozenset({"NAType", "NaTType"})


def to_json(value: Any) -> bytes:
    """Return a value as JSON; raises TypeError or ValueError for what has no form in it."""
    try:
        return _encoded(value)
    except (ValueError, TypeError):
        # NaN, a key that isn't text, or what can't be written at all.
        return _encoded(plain(value))


def plain(value: Any) -> Any:
    """Return a value made of JSON's own types only; raises TypeError where there is none."""
    match value:
        case None | bool() | int() | str() if type(value) in _EXACT:
            return value
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {_key(key): plain(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(each) for each in value]
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode("ascii")
    if type(value).__name__ in _MISSING:
        return None
    if dataclasses.is_dataclass(value) and not hasattr(value, "__pydantic_serializer__"):
        fields = dataclasses.fields(value)
        return {field.name: plain(getattr(value, field.name)) for field in fields}
    return _of_pydantic(value)


def _of_pydantic(value: Any) -> Any:
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return to_jsonable_python(
            value, bytes_mode="base64", inf_nan_mode="null", fallback=_of_library, by_alias=True
        )
    except UnicodeDecodeError as error:
        raise TypeError(
            f"bytes in a field of a pydantic model aren't text ({error}): set ser_json_bytes to "
            "'base64' in its model_config"
        ) from error
    except PydanticSerializationError as error:
        # What a fallback raised is inside the text only.
        raise TypeError(str(error).removeprefix("Error calling `fallback`: ")) from error


def _key(key: Any) -> Any:
    """Return a key as JSON has them; dates, enums and the like have the text of their values."""
    if key is None or type(key) in _EXACT:
        return key
    [plain_key] = _of_pydantic({key: None})
    return plain_key


def _encoded(value: Any) -> bytes:
    try:
        return json.dumps(value, default=plain, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        # Half a surrogate pair: only an escape can name it.
        return json.dumps(value, default=plain, allow_nan=False).encode()


def _of_library(value: Any) -> Any:
    """Return what numpy and pandas have, by what their objects can do."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        # What is missing is told by pandas in three ways, of which JSON knows none.
        return value.astype(object).where(value.notna(), None).to_dict(orient="records")
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"a {type(value).__name__} can't be written for callers that aren't Python's")
