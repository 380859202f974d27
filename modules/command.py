"""CommandModule: a foreign HTTP server, started by a command, as a served module.

It owns the options of the command and what Python callers ask of its replicas: `request`, `stream`
and `url`. Starting the command, watching and ending it is the business of the process that keeps
each replica; what an answer means is that of the server behind it.
"""

from __future__ import annotations

from .errors import NotServed
from .module import ModuleBase
from .needs.options import checked_amount, checked_count, checked_port
from .needs.resources import checked_needs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike
    from typing import Any

    from .rpc.client import Routes
    from .rpc.foreign import ForeignResponse


class CommandModule(ModuleBase):
    """Serves the HTTP server that `command`, a list without a shell, starts.

    In its items `{port}`, `{host}`, `{replica}` and `{workspace}` are replaced; the environment
    has `PORT` and `HOST` too. A replica is ready when `GET health` is answered 2xx, and is asked
    the same while it serves. `port` is a free one unless it is given. It ends by `stop_signal`,
    sent to its process group, and after `stop_timeout` seconds by SIGKILL. Raises TypeError or
    ValueError, which name the option and its value.
    """

    serves = True

    # What a foreign server doesn't know: whether a call may be sent again, and for how long one
    # may run. Its keeper answers pings.
    repeatable = False
    exclusive = False
    call_timeout: float | None = None
    ping_timeout = 10.0

    def __init__(
        self,
        command: Sequence[str | PathLike[str]],
        *,
        name: str | None = None,
        health: str = "/",
        port: int | None = None,
        env: Mapping[str, Any] | None = None,
        cwd: str | PathLike[str] | None = None,
        replicas: int = 1,
        resources: Mapping[str, float] | None = None,
        startup_timeout: float = 300,
        stop_signal: str | int = "SIGTERM",
        stop_timeout: float = 10,
    ) -> None:
        super().__init__(name=name)
        self.command = _command(command)
        self.health_path = _health(health)
        self.replicas = checked_count("replicas of a CommandModule", replicas)
        self.port = checked_port("port of a CommandModule", port, self.replicas, self.replicas)
        self.env = {str(key): str(value) for key, value in (env or {}).items()}
        self.cwd = None if cwd is None else _text("cwd", cwd)
        self.resources = checked_needs("resources of a CommandModule", resources)
        self.startup_timeout = _seconds("startup_timeout", startup_timeout)
        self.stop_signal = _signal(stop_signal)
        self.stop_timeout = _seconds("stop_timeout", stop_timeout)

    @property
    def first_replicas(self) -> int:
        """How many replicas it begins with, and has where nobody changes their number."""
        return self.replicas

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Post one value as JSON to `/`; return what is answered, JSON decoded, anything else text.

        Keyword arguments alone are posted as an object. Raises CallError for any status but 2xx.
        """
        from .rpc import foreign

        return foreign.post(self._routes(), self._path(), args, kwargs)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> ForeignResponse:
        """Send one request to a ready replica; return its status, headers and body.

        `path` is the server's own, with any query. `json` is sent as JSON, `content` as it is.
        `timeout` (seconds) is for each wait of a byte. Any status is an answer. Raises NotServed,
        Unavailable when no replica takes it, TimeoutError, CallError.
        """
        from .rpc import foreign

        asked = foreign.ForeignRequest.of(method, path, json, content, headers)
        return foreign.request(self._routes(), self._path(), asked, timeout)

    def stream(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Iterator[str]:
        """Send one request to a ready replica and yield the lines of its answer as they come.

        Takes and raises what `request` does, and CallError for any status but 2xx.
        """
        from .rpc import foreign

        asked = foreign.ForeignRequest.of(method, path, json, content, headers)
        return foreign.stream(self._routes(), self._path(), asked, timeout)

    @property
    def url(self) -> str | None:
        """URL of a ready replica, None while there is none."""
        runtime = self._runtime
        if runtime is None or runtime.routes is None:
            return None
        endpoints = runtime.routes.endpoints(runtime.path)
        return endpoints[0].url if endpoints else None

    def open_server(self, host: str, port: int) -> int:
        """Open the server within the replica's own process, and return its port while it serves.

        For subclasses whose `command` is empty: they serve from here instead of by a command. It
        may listen on another port than the free one that it is given.
        """
        raise NotImplementedError

    def close_server(self) -> None:
        """Close what `open_server` has opened."""
        raise NotImplementedError

    def _routes(self) -> Routes:
        runtime = self._runtime
        if runtime is None or runtime.routes is None:
            raise NotServed(
                f"{self._label()} is not served: call start() or update() on it, or on the tree "
                "that it is in, before you call it"
            )
        routes: Routes = runtime.routes
        return routes

    def _path(self) -> str:
        assert self._runtime is not None
        return self._runtime.path

    def _label(self) -> str:
        return self.name or type(self).__name__

    def _repr_parts(self) -> dict[str, Any]:
        return {
            "category": "Module",
            "type": "Command",
            "name": self.name,
            "attrs": {"command": " ".join(self.command)},
        }


def _command(command: Any) -> list[str]:
    if isinstance(command, (str, bytes)):
        raise TypeError(
            "command of a CommandModule is a list such as ['python', '-m', 'http.server', "
            f"'{{port}}'], not the text {command!r:.100}: no shell takes it apart"
        )
    try:
        items = list(command)
    except TypeError:
        raise TypeError(f"command of a CommandModule is a list, not {command!r:.100}") from None
    if not items:
        raise ValueError("command of a CommandModule is empty: its first item is the program")
    return [_text(f"command[{number}]", item) for number, item in enumerate(items)]


def _text(option: str, value: Any) -> str:
    import os

    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{option} of a CommandModule is a text or a path, not {value!r:.100}")
    text = os.fspath(value)
    if not isinstance(text, str) or "\0" in text:
        raise ValueError(f"{option} of a CommandModule has no NUL and isn't bytes: {value!r:.100}")
    return text


def _health(path: Any) -> str:
    is_path = isinstance(path, str) and path.startswith("/") and path.isascii()
    if not is_path or any(ord(c) <= ord(" ") for c in path):
        raise ValueError(
            f"health of a CommandModule is a path such as '/health', not {path!r:.100}"
        )
    return str(path)


def _signal(given: Any) -> str:
    """Return the name of a signal that was given by name or number."""
    from signal import Signals

    try:
        return (Signals[given] if isinstance(given, str) else Signals(given)).name
    except (KeyError, ValueError):
        raise ValueError(
            f"stop_signal of a CommandModule is a signal such as 'SIGTERM', not {given!r:.100}"
        ) from None


def _seconds(option: str, value: Any) -> float:
    return checked_amount(f"{option} of a CommandModule", value, "seconds")
