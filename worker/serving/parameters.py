"""What `forward` takes: values from JSON, built and checked by its annotations.

pydantic builds what has a form in it: its models, dataclasses, enums, dates, Decimal, UUID, Path,
and all that is made of such. Added here are `bytes` (as base64), numpy's arrays and scalars, and
DataFrames (as records). What is annotated with anything else, or not at all, is given as it came.
pydantic is imported when the first parameter with an annotation is met.
"""

from __future__ import annotations

import base64
import binascii
import collections.abc
import contextlib
import inspect
import operator
import sys
import types
import typing
from collections.abc import Callable, Mapping
from functools import cached_property, partial, reduce
from typing import TYPE_CHECKING, Any, Final

from .formats import Refused

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

DEFINITIONS: Final = "#/components/schemas/{model}"
_SHOWN_ERRORS: Final = 5
_DEPTH: Final = 16
_BASE64: Final = {"type": "string", "contentEncoding": "base64"}
_LISTS: Final = (collections.abc.Iterable, collections.abc.Iterator, collections.abc.Collection)


class Parameters:
    """The parameters of one function."""

    def __init__(self, signature: inspect.Signature, annotations: Mapping[str, Any]) -> None:
        """Build nothing yet."""
        self.signature = signature
        self._annotations = annotations
        self._is_plain = not annotations.keys() & signature.parameters.keys()

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Parameters | None:
        """Return those of a function; None when nobody can tell."""
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            return None
        return cls(signature, _annotations_of(function))

    def bind(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments as the function wants them.

        Raises Refused: 400 for arguments that don't fit the signature, 422 for a wrong one.
        """
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise Refused(400, "TypeError", str(error)) from None
        if self._is_plain:
            return args, kwargs
        arguments, faults = bound.arguments, list[str]()
        for name, value in arguments.items():
            adapter = self._adapters.get(name)
            if adapter is not None:
                kind = self.signature.parameters[name].kind
                arguments[name] = _built(adapter, name, value, kind, faults)
        if faults:
            more = len(faults) - _SHOWN_ERRORS
            shown = "; ".join(faults[:_SHOWN_ERRORS]) + (f"; and {more} more" if more > 0 else "")
            raise Refused(422, "ValidationError", shown)
        return bound.args, bound.kwargs

    def schema(self, name: str, definitions: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON schema of a parameter, `{}` (any value) where there is none.

        `return` is that of the result. What the schema refers to is added to `definitions`.
        """
        if name == "return":
            adapter = adapter_of(self._annotations.get("return", Any))
            mode: typing.Literal["validation", "serialization"] = "serialization"
        else:
            adapter, mode = self._adapters.get(name), "validation"
        if adapter is None:
            return {}
        try:
            schema = adapter.json_schema(mode=mode, ref_template=DEFINITIONS)
        except Exception:
            # A type that has values and no schema, such as a callable.
            return {}
        definitions.update(schema.pop("$defs", {}))
        return schema

    @cached_property
    def _adapters(self) -> dict[str, TypeAdapter[Any]]:
        adapters = {
            name: adapter_of(self._annotations[name])
            for name in self.signature.parameters
            if name in self._annotations
        }
        return {name: adapter for name, adapter in adapters.items() if adapter is not None}


def adapter_of(annotation: Any) -> TypeAdapter[Any] | None:
    """Return what builds values of an annotation; None for those that are taken as they come."""
    from pydantic import TypeAdapter

    prepared = _prepared(annotation, 0)
    if prepared is Any:
        return None
    try:
        return TypeAdapter(prepared)
    except Exception:
        # Annotations may be anything: what pydantic doesn't know is nobody's mistake.
        return None


def _annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return annotations by name, those written as text resolved where they can be."""
    function = inspect.unwrap(function)
    if not inspect.isroutine(function):
        function = type(function).__call__
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        # One that can't be resolved must not cost the others theirs.
        return _resolved_one_by_one(function)


def _resolved_one_by_one(function: Any) -> dict[str, Any]:
    names = getattr(function, "__globals__", {})
    found: dict[str, Any] = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        with contextlib.suppress(Exception):
            found |= typing.get_type_hints(alone, names, include_extras=True)
    return found


def _built(adapter: TypeAdapter[Any], name: str, value: Any, kind: Any, faults: list[str]) -> Any:
    """Return the value that the function gets; what is wrong with it is added to `faults`."""
    if kind is inspect.Parameter.VAR_POSITIONAL:
        return tuple(
            _validated(adapter, f"{name}.{place}", each, faults) for place, each in enumerate(value)
        )
    if kind is inspect.Parameter.VAR_KEYWORD:
        return {key: _validated(adapter, key, each, faults) for key, each in value.items()}
    return _validated(adapter, name, value, faults)


def _validated(adapter: TypeAdapter[Any], name: str, value: Any, faults: list[str]) -> Any:
    from pydantic import ValidationError

    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        faults += _named(name, error)
    except RecursionError:
        faults.append(f"{name}: it is nested too deeply")
    return None


def _named(name: str, error: ValidationError) -> list[str]:
    return [
        f"{'.'.join([name, *map(str, fault['loc'])])}: {fault['msg']}, not {fault['input']!r:.80}"
        for fault in error.errors(include_url=False)
    ]


def _prepared(annotation: Any, depth: int) -> Any:
    """Return what pydantic is to know of an annotation: Any for what it can't know."""
    if depth > _DEPTH or isinstance(annotation, (str, typing.ForwardRef)):
        return Any
    origin = typing.get_origin(annotation)
    if origin is not None:
        return _prepared_generic(annotation, origin, depth)
    if not isinstance(annotation, type):
        return annotation
    if annotation in (bytes, bytearray):
        return _special(partial(_from_base64, annotation), _BASE64)
    if annotation in _LISTS:
        return list
    return _of_library(annotation) or (annotation if _is_known(annotation) else Any)


def _prepared_generic(annotation: Any, origin: Any, depth: int) -> Any:
    given = typing.get_args(annotation)
    if origin in (typing.Literal, collections.abc.Callable):
        return annotation
    if origin is typing.Annotated:
        inner, *more = given
        return typing.Annotated[(_prepared(inner, depth + 1), *more)]
    if isinstance(origin, type) and (special := _of_library(origin, given)) is not None:
        return special
    inner = [each if each is ... else _prepared(each, depth + 1) for each in given]
    if origin in (typing.Union, types.UnionType):
        return reduce(operator.or_, inner[1:], inner[0])
    if origin in _LISTS:
        return list[inner[0]]  # type: ignore[valid-type]
    try:
        return origin[tuple(inner)] if inner else annotation
    except TypeError:
        return annotation


def _of_library(kind: type, given: tuple[Any, ...] = ()) -> Any:
    """Return how a type of numpy or pandas is built; None for any other."""
    library = kind.__module__.partition(".")[0]
    if library == "numpy":
        numpy = sys.modules["numpy"]
        if issubclass(kind, numpy.ndarray):
            dtype = next(iter(typing.get_args(given[1])), None) if len(given) == 2 else None
            known = dtype if isinstance(dtype, type) and not _is_abstract(dtype) else None
            return _special(partial(numpy.asarray, dtype=known), {"type": "array"})
        if issubclass(kind, numpy.generic):
            return _special(partial(_scalar, kind), {"type": ["number", "string", "boolean"]})
    if library == "pandas" and kind.__name__ == "DataFrame":
        return _special(partial(_frame, kind), {"type": "array", "items": {"type": "object"}})
    return None


def _special(build: Callable[[Any], Any], schema: dict[str, Any]) -> Any:
    from pydantic import PlainValidator, WithJsonSchema

    return typing.Annotated[Any, PlainValidator(build), WithJsonSchema(schema)]


def _is_abstract(dtype: type) -> bool:
    return dtype.__module__ == "numpy" and dtype.__subclasses__() != []


def _scalar(kind: Any, value: Any) -> Any:
    if isinstance(value, (list, dict)):
        raise ValueError(f"a {kind.__name__} is one value")  # noqa: TRY004  # pydantic's own way
    try:
        return kind(value)
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error


def _frame(kind: Any, value: Any) -> Any:
    if isinstance(value, kind):
        return value
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError("a DataFrame is a list of records")
    return kind(value)


def _from_base64(kind: Any, value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return kind(value)
    if not isinstance(value, str):
        raise ValueError("bytes are text in base64")  # noqa: TRY004  # pydantic's own way
    try:
        return kind(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"bytes are text in base64 ({error})") from error


def _is_known(kind: type) -> bool:
    """Whether pydantic has a form for a class."""
    from pydantic import TypeAdapter

    try:
        TypeAdapter(kind)
    except Exception:
        return False
    return True
