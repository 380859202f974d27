"""ServerModule: a module that is served over HTTP, in processes of its own.

Calling it calls an endpoint; what runs behind the endpoint is the module that it holds, between
`pre` and `post`, or a method of it by name. It owns the options of the service; starting the
processes is the executor's, finding and asking one is `rpc`'s. Before it is started, and after it
is stopped, a call is an error.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from .errors import NotServed
from .foreign import adopted
from .module import ModuleBase
from .needs.options import checked_amount, checked_count, checked_port
from .needs.resources import checked_needs
from .rpc.bounds import DOWN_AFTER_S, TARGET, ZERO_AFTER_S, bounds_of
from .url import UrlModule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
    from typing import Self

    from .rpc.bounds import ReplicaBounds

# Options of LazyLLM's, and what takes their place here.
_ELSEWHERE = {
    "launcher": "workers start the processes: say what one needs with resources= and env=",
    "pythonpath": "the modules that a tree imports travel with it, and env= sets PYTHONPATH",
    "security_key": "calls are signed with the deployment's own key",
}


class _MethodCall:
    """Asks what is behind the endpoint for a method; only signed calls from Python can hold one."""

    __slots__ = ("args", "kwargs", "name")

    def __init__(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.name = name
        self.args = args
        self.kwargs = kwargs


class Served:
    """The served module as it is behind the endpoint: `m.served.method(...)` calls it there."""

    def __init__(self, server: ServerModule) -> None:
        self._server = server

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._server.call_method(name, *args, **kwargs)

        return call


class ServerModule(ModuleBase):
    """Serve `m` (a module, a flow or a function) over HTTP.

    `pre` gets the arguments of a call and returns the argument of `m` (a `package` is several);
    `post` gets its result, or each item of a stream. With `stream=True` calls return iterators.
    `port` fixes the port, `replicas` is how many processes serve, `resources` what each needs,
    `env` its environment (it lies in Redis in clear: no place for passwords), `startup_timeout`
    (seconds) how long one may take until it is ready.
    `replicas=(1, 8)` has a worker keep as many of 1 to 8 as there are calls under way, one for each
    `target`: more within seconds, fewer after `scale_down_after` seconds of fewer calls, and with
    `(0, 8)` none after `scale_to_zero_after` seconds without any, until the next call.
    With `repeatable=False` a call that may have begun is never sent again; `exclusive=True` ends a
    replica that can't renew its lease. `call_timeout` (seconds, None: no limit) ends a call that
    takes longer; a replica that answers no ping for `ping_timeout` seconds, and doesn't work
    meanwhile, is ended. With `max_batch` calls that are under way together reach the module's
    `forward_batch(inputs)` as one list; a call waits at most `batch_wait_ms` (milliseconds) for
    others, and not at all while it comes alone. In place of `m`, `url` is what someone else serves.
    LazyLLM's `launcher`, `pythonpath` and `security_key` are taken with a warning that says what is
    done here instead.
    Raises ValueError and TypeError for what can't be.
    """

    serves = True
    # Also of subclasses that serve what somebody else has made, and set no options.
    target: float = TARGET
    scale_down_after: float = DOWN_AFTER_S
    scale_to_zero_after: float = ZERO_AFTER_S
    max_batch: int | None = None
    batch_wait_ms: float = 5.0

    def __new__(cls, m: Any = None, *_args: Any, url: str | None = None, **_kwargs: Any) -> Self:
        """Make the module, of a class that starts nothing when all there is is a URL."""
        if cls is ServerModule and (url is not None or isinstance(m, str)):
            return super().__new__(_UrlServer)  # type: ignore[return-value]
        return super().__new__(cls)

    def __init__(
        self,
        m: Any,
        pre: Callable[..., Any] | None = None,
        post: Callable[[Any], Any] | None = None,
        *,
        name: str | None = None,
        stream: bool = False,
        return_trace: bool = False,
        port: int | None = None,
        replicas: int | tuple[int, int] = 1,
        target: float = TARGET,
        scale_down_after: float = DOWN_AFTER_S,
        scale_to_zero_after: float = ZERO_AFTER_S,
        resources: Mapping[str, float] | None = None,
        env: Mapping[str, str] | None = None,
        startup_timeout: float = 60,
        repeatable: bool = True,
        exclusive: bool = False,
        call_timeout: float | None = None,
        ping_timeout: float = 10,
        max_batch: int | None = None,
        batch_wait_ms: float = 5,
        num_replicas: int | tuple[int, int] | None = None,
        **elsewhere: Any,
    ) -> None:
        super().__init__(name=name, return_trace=return_trace)
        _explain(elsewhere)
        self.m = _served(m)
        self.pre = _callable("pre", pre)
        self.post = _callable("post", post)
        self.stream = stream
        self.replicas = replicas if num_replicas is None else num_replicas
        self.target, self.scale_down_after = target, scale_down_after
        self.scale_to_zero_after = scale_to_zero_after
        self.port = _port(port, self.bounds, self.replicas)
        self.resources = checked_needs("resources of a ServerModule", resources)
        self.env = {str(key): str(value) for key, value in (env or {}).items()}
        self.startup_timeout = _seconds("startup_timeout", startup_timeout)
        self.call_timeout = None if call_timeout is None else _seconds("call_timeout", call_timeout)
        self.ping_timeout = _seconds("ping_timeout", ping_timeout)
        self.repeatable = repeatable
        self.exclusive = exclusive
        self.max_batch = _batch(max_batch, self.m, is_stream=stream)
        self.batch_wait_ms = _wait_ms(batch_wait_ms)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call an endpoint; raises what the served module raises, NotServed, CallError."""
        return self._ask(args, kwargs, stream=self.stream)

    @property
    def bounds(self) -> ReplicaBounds | None:
        """The range of replicas that follows its calls; None where their number is fixed."""
        return bounds_of(
            self.replicas, self.target, self.scale_down_after, self.scale_to_zero_after
        )

    @property
    def first_replicas(self) -> int:
        """How many replicas it begins with, and has where nobody changes their number."""
        bounds, replicas = self.bounds, self.replicas
        return bounds.first if bounds is not None else int(replicas)  # type: ignore[arg-type]

    @property
    def served(self) -> Served:
        """What is behind the endpoint: `m.served.method(...)` calls that method of it there."""
        return Served(self)

    def call_method(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a public method of the served module in one of its replicas.

        Raises AttributeError when it has none of that name, and what `forward` raises.
        """
        if method.startswith("_"):
            raise AttributeError(f"{method!r} is no public method")
        return self._ask((_MethodCall(method, args, kwargs),), {}, stream=False)

    @property
    def url(self) -> str | None:
        """URL of a ready replica, None while there is none."""
        runtime = self._runtime
        if runtime is None or runtime.routes is None:
            return None
        endpoints = runtime.routes.endpoints(runtime.path)
        return endpoints[0].url if endpoints else None

    def _ask(self, args: tuple[Any, ...], kwargs: dict[str, Any], *, stream: bool) -> Any:
        runtime = self._runtime
        if runtime is None or runtime.routes is None:
            raise NotServed(
                f"{self.name or type(self.m).__name__} is not served: call start() or update() on "
                "it, or on the tree that it is in, before you call it"
            )
        from .rpc import client

        ask = client.stream if stream else client.call
        return ask(runtime.routes, runtime.path, args, kwargs, repeatable=self.repeatable)

    def answer(self, *args: Any, **kwargs: Any) -> Any:
        """Run what is behind the endpoint, in this process: `pre`, the module, `post`.

        Returns what the module returns; of a coroutine or a generator one that applies `post`.
        """
        if self.is_method_call(args):
            return self._method(args[0])
        if self.pre is None:
            result = self.m(*args, **kwargs)
        else:
            from .flows.binding import call_with

            result = call_with(self.m, self.pre(*args, **kwargs), {})
        if self.post is None:
            return result
        if hasattr(result, "__anext__"):
            return _each_later(self.post, result)
        if hasattr(result, "__await__"):
            return _later(self.post, result)
        if hasattr(result, "__next__"):
            return _each(self.post, result)
        return self.post(result)

    @staticmethod
    def is_method_call(args: tuple[Any, ...]) -> bool:
        """Whether a call that came with these arguments asks for a method by name."""
        return bool(args) and type(args[0]) is _MethodCall

    def _method(self, call: _MethodCall) -> Any:
        method = getattr(self.m, call.name, None)
        if not callable(method):
            near = [name for name in dir(type(self.m)) if not name.startswith("_")]
            raise AttributeError(  # noqa: TRY004 - as Python does for a name that isn't there
                f"{type(self.m).__name__} has no method {call.name!r}: {near}"
            )
        return method(*call.args, **call.kwargs)

    def _repr_parts(self) -> dict[str, Any]:
        options = {"stream": self.stream, "return_trace": self.return_trace}
        return {"category": "Module", "type": "Server", "name": self.name, "attrs": options}


class _UrlServer(ServerModule):
    """A ServerModule of which there is a URL alone: someone else starts and stops it."""

    serves = False

    def __init__(
        self,
        m: str | None = None,
        pre: Callable[..., Any] | None = None,
        post: Callable[[Any], Any] | None = None,
        *,
        url: str | None = None,
        name: str | None = None,
        stream: bool = False,
        return_trace: bool = False,
        **elsewhere: Any,
    ) -> None:
        ModuleBase.__init__(self, name=name, return_trace=return_trace)
        if m is not None and url is not None:
            raise TypeError("a ServerModule has a module or a url, not both")
        _explain(elsewhere)
        self.m = UrlModule(str(m if url is None else url), stream=stream)
        self.pre = _callable("pre", pre)
        self.post = _callable("post", post)
        self.stream = stream

    @property
    def url(self) -> str:
        """The URL that was given."""
        return str(self.m.url)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call what is behind the URL, between `pre` and `post`."""
        return self.answer(*args, **kwargs)

    def call_method(self, method: str, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse: a URL takes calls of `forward` alone."""
        raise NotServed(f"{self.url} was not started here: method {method!r} can't be called there")


def _explain(elsewhere: dict[str, Any]) -> None:
    """Warn of options that LazyLLM has and that nothing is done with here; refuse any other."""
    import difflib
    import inspect
    import warnings

    for option, value in elsewhere.items():
        if option not in _ELSEWHERE:
            options = inspect.signature(ServerModule.__init__).parameters
            near = difflib.get_close_matches(option, options, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise TypeError(f"a ServerModule has no option {option!r}{hint}")
        if value not in (None, False):
            text = f"{option} of a ServerModule does nothing in rootward: {_ELSEWHERE[option]}"
            warnings.warn(text, UserWarning, stacklevel=3)


def _each(post: Callable[[Any], Any], items: Iterator[Any]) -> Iterator[Any]:
    for item in items:
        yield post(item)


async def _each_later(post: Callable[[Any], Any], items: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield post(item)


async def _later(post: Callable[[Any], Any], result: Awaitable[Any]) -> Any:
    return post(await result)


def _served(m: Any) -> Any:
    if isinstance(m, ModuleBase):
        return m
    taken = adopted(m)
    if taken is not None:
        return taken
    if not callable(m) or isinstance(m, type):
        raise TypeError(f"ServerModule serves a module, a flow or a function, not {m!r:.100}")
    if not hasattr(type(m), "_modules_inside"):
        return m
    from .flows.action import ActionModule

    return ActionModule(m)


def _callable(option: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise TypeError(f"{option} of a ServerModule is a function, not {value!r:.100}")
    return value


def _batch(max_batch: Any, m: Any, *, is_stream: bool) -> int | None:
    if max_batch is None:
        return None
    count = checked_count("max_batch of a ServerModule", max_batch)
    what = type(m).__name__ if isinstance(m, ModuleBase) else repr(m)
    if is_stream:
        raise ValueError(f"max_batch={count} with stream=True: {what} can't stream in batches")
    import inspect

    function = getattr(m, "forward_batch", None)
    if not callable(function):
        raise TypeError(
            f"max_batch={count} needs a method forward_batch(self, inputs) -> list, "
            f"and {what:.100} has none"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"max_batch={count}: forward_batch of {what} can't be a generator")
    return count


def _wait_ms(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < inf:
        raise ValueError(
            f"batch_wait_ms of a ServerModule is in milliseconds, from 0 on, not {value!r}"
        )
    return float(value)


def _seconds(option: str, value: Any) -> float:
    return checked_amount(f"{option} of a ServerModule", value, "seconds")


def _port(port: Any, bounds: ReplicaBounds | None, replicas: Any) -> int | None:
    most = replicas if bounds is None else bounds.highest
    return checked_port("port of a ServerModule", port, replicas, most)
