"""What a replica runs for a lazyllm ServerModule, in the way of lazyllm's own server.

Python callers send a `HandleCall`, which has the input as the handle was given it and the caller's
session; what comes over HTTP is an input of its own.
"""

from __future__ import annotations

import inspect
from types import GeneratorType
from typing import Any

from lazyllm import kwargs as lazy_kwargs
from lazyllm import package

from .routes import AskRoutes, routes_url
from .session import Session


class HandleCall:
    """One call of a handle: its input and keywords, its session, and which method it means."""

    __slots__ = ("input", "kw", "method", "session")

    def __init__(
        self, given: Any, kw: dict[str, Any], session: Session, method: str | None
    ) -> None:
        self.input = given
        self.kw = kw
        self.session = session
        self.method = method

    @classmethod
    def of(cls, given: Any, kw: dict[str, Any], *, method: str | None = None) -> HandleCall:
        """Make the call in the caller's session."""
        return cls(given, kw, Session.current(), method)


def run_served(handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run what a handle serves, between its functions before and after."""
    impl = handle._impl
    if len(args) == 1 and isinstance(args[0], AskRoutes):
        return routes_url(impl._m, args[0].host)
    if len(args) == 1 and isinstance(args[0], HandleCall):
        call = args[0]
    else:
        given = args[0] if len(args) == 1 else package(args)
        call = HandleCall.of(given, kwargs)
    with call.session.entered():
        if call.method is not None:
            return getattr(impl._m, call.method)(*call.input, **call.kw)
        given, kw = call.input, dict(call.kw)
        if impl._pre_func is not None:
            given, kw = _before(impl._pre_func, given, kw), {}
        if isinstance(given, lazy_kwargs):
            output = impl._m(**given, **kw)
        else:
            output = impl._m(*(given if isinstance(given, package) else (given,)), **kw)
        if isinstance(output, GeneratorType):
            # A handle without a stream gets what came last, as from lazyllm's server.
            return _within(call.session, output) if handle._stream else _last(output)
        return output if impl._post_func is None else _after(impl._post_func, output, call.input)


def _before(function: Any, given: Any, kw: dict[str, Any]) -> Any:
    names = [n for n in inspect.getfullargspec(function).args if n != "self"]
    if isinstance(given, lazy_kwargs) or (isinstance(given, dict) and set(names) == set(given)):
        return function(**given)
    return function(*given, **kw) if isinstance(given, package) else function(given, **kw)


def _after(function: Any, output: Any, origin: Any) -> Any:
    spec = inspect.getfullargspec(function)
    if spec.kwonlyargs:
        return function(output, **{spec.kwonlyargs[0]: origin})
    names = [n for n in spec.args if n != "self"]
    return function(output, origin) if len(names) == 2 else function(output)


def _within(session: Session, items: Any) -> Any:
    with session.entered():
        yield from items


def _last(items: Any) -> Any:
    last = None
    for last in items:  # noqa: B007 - the last one is what is wanted
        pass
    return last
