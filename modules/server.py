"""ServerModule: a module that is served over HTTP, in processes of its own.

Calling it calls an endpoint; what runs behind the endpoint is the module that it holds, between
`pre` and `post`. It owns the options of the service; starting the processes is the executor's,
finding and asking one is `calling`'s. Before it is started, and after it is stopped, a call is an
error.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from .errors import NotServed
from .module import ModuleBase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

_MAX_PORT = 65_535


class ServerModule(ModuleBase):
    """Serve `m` (a module, a flow or a function) over HTTP.

    `pre` gets the arguments of a call and returns the argument of `m` (a `package` is several);
    `post` gets its result, or each item of a stream. With `stream=True` calls return iterators.
    `port` fixes the port, `replicas` is how many processes serve, `resources` what each needs,
    `env` its environment, `startup_timeout` (seconds) how long one may take until it is ready.
    With `repeatable=False` a call that may have begun is never sent again; `exclusive=True` ends a
    replica that can't renew its lease. `call_timeout` (seconds, None: no limit) ends a call that
    takes longer; a replica that answers no ping for `ping_timeout` seconds, and doesn't work
    meanwhile, is ended. Raises ValueError and TypeError for what can't be.
    """

    serves = True

    def __init__(
        self,
        m: Any,
        *,
        name: str | None = None,
        pre: Callable[..., Any] | None = None,
        post: Callable[[Any], Any] | None = None,
        stream: bool = False,
        return_trace: bool = False,
        port: int | None = None,
        replicas: int = 1,
        resources: Mapping[str, float] | None = None,
        env: Mapping[str, str] | None = None,
        startup_timeout: float = 60,
        repeatable: bool = True,
        exclusive: bool = False,
        call_timeout: float | None = None,
        ping_timeout: float = 10,
        num_replicas: int | None = None,
    ) -> None:
        super().__init__(name=name, return_trace=return_trace)
        self.m = _served(m)
        self.pre = _callable("pre", pre)
        self.post = _callable("post", post)
        self.stream = stream
        self.replicas = _count("replicas", replicas if num_replicas is None else num_replicas)
        self.port = _port(port, self.replicas)
        self.resources = dict(resources or {})
        self.env = {str(key): str(value) for key, value in (env or {}).items()}
        self.startup_timeout = _seconds("startup_timeout", startup_timeout)
        self.call_timeout = None if call_timeout is None else _seconds("call_timeout", call_timeout)
        self.ping_timeout = _seconds("ping_timeout", ping_timeout)
        self.repeatable = repeatable
        self.exclusive = exclusive

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call an endpoint; raises what the served module raises, NotServed, CallError."""
        runtime = self._runtime
        if runtime is None or runtime.routes is None:
            raise NotServed(
                f"{self.name or type(self.m).__name__} is not served: call start() or update() on "
                "it, or on the tree that it is in, before you call it"
            )
        from .rpc import client

        ask = client.stream if self.stream else client.call
        return ask(runtime.routes, runtime.path, args, kwargs, repeatable=self.repeatable)

    def answer(self, *args: Any, **kwargs: Any) -> Any:
        """Run what is behind the endpoint, in this process: `pre`, the module, `post`.

        Returns what the module returns; of a coroutine or a generator one that applies `post`.
        """
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

    def _repr_parts(self) -> dict[str, Any]:
        options = {"stream": self.stream, "return_trace": self.return_trace}
        return {"category": "Module", "type": "Server", "name": self.name, "attrs": options}


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


def _count(option: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{option} of a ServerModule is a whole number from 1 on, not {value!r}")
    return value


def _port(port: Any, replicas: int) -> int | None:
    if port is None:
        return None
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port <= _MAX_PORT:
        raise ValueError(f"port of a ServerModule is a number from 1 to {_MAX_PORT}, not {port!r}")
    if replicas > 1:
        raise ValueError(
            f"a fixed port ({port}) can't be had by {replicas} replicas: leave out one of both"
        )
    return port


def _seconds(option: str, value: Any) -> float:
    # A comparison that NaN doesn't pass either.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < inf:
        raise ValueError(f"{option} of a ServerModule is in seconds, above 0, not {value!r}")
    return float(value)
