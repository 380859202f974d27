"""The lazyllm objects that a user holds, once they are part of a tree.

Their class becomes a subclass of it with the same name: a handle of something served calls the
service instead of lazyllm's own address, and an object travels with its node, so that both share
their attributes wherever they arrive. A copy, such as `share()` makes, is taken along.
"""

from __future__ import annotations

import functools
import weakref
from typing import Any, ClassVar, Final

import lazyllm
import requests
from lazyllm import package

from ..foreign import adopted
from .nodes import NODE, ForeignNode, ServedNode, join, node_of, owner_of
from .pages import PageNode
from .routes import AskRoutes, at_host, has_routes, host_of
from .serving import HandleCall

_served_at: Final[weakref.WeakValueDictionary[str, ServedNode]] = weakref.WeakValueDictionary()
"""By each address that was given out, what is served there."""


class Adopted:
    """What every adopted object has on top of its own class."""

    lazyllm_class: ClassVar[type]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return made_again, (vars(self)[NODE], self.lazyllm_class)

    def __copy__(self) -> Any:
        copied: Any = object.__new__(self.lazyllm_class)
        vars(copied).update({k: v for k, v in vars(self).items() if k != NODE})
        adopted(copied)
        return copied


class ServerHandle(Adopted):
    """A handle of a ServerModule: calls go to a ready replica."""

    @property
    def _url(self) -> str | None:
        service = owner_of(self._impl)  # type: ignore[attr-defined]
        if service is None or not _is_running(service):
            return super()._url  # type: ignore[misc,no-any-return]
        url = service.url
        if url is None:
            return None
        if has_routes(service.m):
            url = service._ask((AskRoutes(host_of(url)),), {}, stream=False)
        _served_at[url] = service
        return url

    def __call__(self, *args: Any, **kw: Any) -> Any:
        """Call without asking for an address first: while none is ready, the call is held."""
        handle: Any = self
        if service_of(self) is None:
            return super().__call__(*args, **kw)  # type: ignore[misc]
        given = (package(args),) if len(args) > 1 else args
        # UrlModule, between the two, asks for an address.
        return super(lazyllm.UrlModule, handle).__call__(*given, **kw)  # type: ignore[misc]

    def forward(self, given: Any = package(), /, **kw: Any) -> Any:  # noqa: B008 - as lazyllm has it
        """HandleCall the service, and treat what comes back as lazyllm does."""
        service = service_of(self)
        if service is None:
            return super().forward(given, **kw)  # type: ignore[misc]
        handle: Any = self
        allowed(handle, service)
        call = HandleCall.of(given, kw)
        if not handle._stream:
            result = service._ask((call,), {}, stream=False)
            return handle._formatter(handle._extract_and_format(result))
        messages = ""
        with handle.stream_output(handle._stream):
            for item in service._ask((call,), {}, stream=True):
                color = getattr(handle._stream, "get", lambda _: None)("color")
                handle._stream_output(str(item), color)
                messages += str(item)
            return handle._formatter(handle._extract_and_format(messages))

    def _call(self, fname: str, *args: Any, **kwargs: Any) -> Any:
        service = service_of(self)
        if service is None:
            return super()._call(fname, *args, **kwargs)  # type: ignore[misc]
        call = HandleCall.of(args, kwargs, method=fname)
        return allowed(self, service)._ask((call,), {}, stream=False)


class EngineHandle(Adopted):
    """A handle of a TrainableModule: it speaks with the engine of a ready replica."""

    @property
    def _url(self) -> str | None:
        engine = node_of(self._impl)  # type: ignore[attr-defined]
        if not isinstance(engine, ServedNode) or not _is_running(engine):
            return super()._url  # type: ignore[misc,no-any-return]
        # An engine names the machine it runs on as it sees itself.
        known: str = engine._ask((), {}, stream=False)
        return known if engine.url is None else at_host(known, host_of(engine.url))


class PageHandle(Adopted):
    """A handle of a WebModule: its page is where a ready replica is."""

    @property
    def url(self) -> str | None:
        """Address of the page; what lazyllm has set while it isn't served by us."""
        node = node_of(self)
        if isinstance(node, PageNode) and _is_running(node):
            return node.url
        found: str | None = vars(self).get("url")
        return found

    @url.setter
    def url(self, value: str | None) -> None:
        vars(self)["url"] = value


def service_of(handle: Any) -> ServedNode | None:
    """Return the node through which a handle is called, None while it isn't served.

    A handle of a URL that another handle has given out means the same service.
    """
    service = owner_of(handle._impl) or served_at(handle)
    return service if service is not None and _is_running(service) else None


def allowed(handle: Any, service: ServedNode) -> ServedNode:
    """Return the service; raises RequestException, as lazyllm does, where the key is another."""
    if service._impl._security_key not in {None, handle._security_key}:
        raise requests.RequestException("401: Authentication failed")
    return service


def served_at(handle: Any) -> ServedNode | None:
    """Return what is served at the URL that a handle was made with, None where we don't serve."""
    return _served_at.get(handle._url_wrapper.url or "")


def _is_running(node: ForeignNode) -> bool:
    return node._runtime is not None and node._runtime.routes is not None


@functools.cache
def adopted_class(cls: Any) -> Any:
    """Return the subclass of a lazyllm class that its adopted objects have."""
    if issubclass(cls, lazyllm.TrainableModule):
        mixin: type = EngineHandle
    elif issubclass(cls, lazyllm.ServerModule):
        mixin = ServerHandle
    elif issubclass(cls, lazyllm.WebModule):
        mixin = PageHandle
    else:
        mixin = Adopted
    body = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__lazyllm_registry_disable__": True,
        "lazyllm_class": cls,
    }
    return type(cls)(cls.__name__, (mixin, cls), body)


def made_again(node: ForeignNode, cls: Any) -> Any:
    """Return the object of a node that has arrived without it."""
    known = vars(node).get(NODE)
    if known is not None:
        return node.foreign
    obj = object.__new__(adopted_class(cls))
    vars(obj).update(vars(node))
    join(node, obj)
    _alive(node, obj)
    return obj


def _alive(node: ForeignNode, obj: Any) -> None:
    """Keep the object as long as its node: in a process that has loaded a tree nobody else does."""
    _kept[id(node)] = obj


_kept: dict[int, Any] = {}
