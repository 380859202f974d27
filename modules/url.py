"""UrlModule: a module that someone else serves, known by its URL alone.

It speaks JSON: one value is posted as it is, other arguments as `{"args", "kwargs"}` to `/call`, as
rootward's replicas and its gateway take them.  It starts, stops and balances nothing, and every
call has an end: `timeout` seconds without a byte.
"""

from __future__ import annotations

from .errors import CallError, RemoteError, Unavailable
from .module import ModuleBase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPResponse
    from typing import Any


class UrlModule(ModuleBase):
    """Calls what answers at `url` (http or https).

    `UrlModule(url)(value)` posts the value and returns the answer: the `result` of a JSON object
    that has one, any other JSON as it is, else the text. With `stream` a call yields the items of
    an event stream. `timeout` is in seconds. Raises ValueError for anything but such a URL.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str | None = None,
        stream: bool = False,
        timeout: float = 600.0,
        return_trace: bool = False,
    ) -> None:
        super().__init__(name=name, return_trace=return_trace)
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is no URL: it starts with http:// or https://")
        self.url = url
        self.stream = stream
        self.timeout = timeout

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module behind the URL.

        Raises Unavailable when nobody answers there, TimeoutError when it takes too long,
        RemoteError for an error that it tells, CallError for an answer that can't be read.
        """
        response = self._post(args, kwargs)
        if not self.stream:
            with response:
                return _result(response, self.url)
        return _events(response, self.url)

    def _post(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> HTTPResponse:
        import json
        from urllib.error import HTTPError, URLError
        from urllib.request import Request, urlopen

        is_one_value = len(args) == 1 and not kwargs
        url = self.url if is_one_value else f"{self.url.rstrip('/')}/call"
        body: Any = args[0] if is_one_value else {"args": args, "kwargs": kwargs}
        accept = "text/event-stream" if self.stream else "application/json"
        request = Request(  # noqa: S310 - the constructor lets only http and https in
            url,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": accept},
        )
        try:
            response: HTTPResponse = urlopen(request, timeout=self.timeout)  # noqa: S310 - as above
        except HTTPError as error:
            with error:
                raise _told(error.read(), f"{url} answered {error.code}") from error
        except TimeoutError as error:
            raise TimeoutError(f"{url} did not answer within {self.timeout:g} s") from error
        except (URLError, OSError) as error:
            if isinstance(getattr(error, "reason", None), TimeoutError):
                raise TimeoutError(f"{url} did not answer within {self.timeout:g} s") from error
            raise Unavailable(f"nobody answers at {url}: {error}") from error
        return response

    def _repr_parts(self) -> dict[str, Any]:
        return {
            "category": "Module",
            "type": "Url",
            "name": self.name,
            "attrs": {
                "url": self.url,
                "stream": self.stream,
                "return_trace": self.return_trace,
            },
        }


def _told(body: bytes, otherwise: str) -> CallError:
    """Make the error that a body tells as `{"error": {"type", "message"}}`."""
    import json

    try:
        error = json.loads(body)["error"]
        return RemoteError(str(error["type"]), str(error["message"]))
    except (ValueError, TypeError, KeyError):
        return CallError(f"{otherwise}: {body[:200].decode(errors='replace')}")


def _result(response: HTTPResponse, url: str) -> Any:
    import json

    body = response.read()
    if "json" not in response.headers.get("Content-Type", ""):
        return body.decode(errors="replace")
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise CallError(f"{url} answered with broken JSON: {error}") from error
    return answer["result"] if isinstance(answer, dict) and "result" in answer else answer


def _events(response: HTTPResponse, url: str) -> Iterator[Any]:
    """Yield what each event of the stream carries, as it comes."""
    import json

    with response:
        if "event-stream" not in response.headers.get("Content-Type", ""):
            yield _result(response, url)
            return
        event, data = "message", []
        for raw in response:
            line = raw.decode(errors="replace").rstrip("\r\n")
            field, _, value = line.partition(":")
            if field == "event":
                event = value.strip()
            elif field == "data":
                data.append(value.removeprefix(" "))
            elif not line:
                text = "\n".join(data)
                if event == "end":
                    return
                if event == "error":
                    raise _told(text.encode(), f"{url} broke off its stream")
                if data:
                    yield json.loads(text)
                event, data = "message", []
    raise CallError(f"{url}: the stream broke off before its end")
