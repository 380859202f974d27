"""From options and environment to a connected client, for every command that needs Redis.

Where Redis is: the option, else `REDIS_URL`, else this user's running `rootward up`. A client is
opened by one `with` block per command and closed at its end.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..client.client import Client
    from ..settings import Settings

Command = TypeVar("Command", bound="Callable[..., Any]")


def connection_options(command: Command) -> Command:
    """Give a command `--redis-url` and `--prefix`; the secret has no option, `ps` would show it."""
    url = click.option(
        "--redis-url", metavar="URL", help="Where Redis is (default: REDIS_URL, else `up`'s own)."
    )
    prefix = click.option(
        "--prefix", metavar="WORD", help="Begins every key (default: ROOTWARD_PREFIX)."
    )
    return url(prefix(command))


def settings_of(redis_url: str | None, prefix: str | None, **more: Any) -> Settings:
    """Return the settings; without a URL those of this user's newest running `up` stand in."""
    from ..settings import Secret, Settings

    settings = Settings.from_environment(redis_url=redis_url, prefix=prefix, **more)
    if settings.redis_url is not None and settings.secret is not None:
        return settings
    from ..embedded.runfolder import running

    for state in running():
        # With a Redis of the user's own, `up` has only the secret to lend.
        if settings.redis_url in {None, state.url}:
            return replace(
                settings,
                redis_url=state.url,
                secret=settings.secret or Secret(state.secret),
                prefix=settings.prefix if prefix else state.prefix,
            )
    return settings


@contextmanager
def connected(redis_url: str | None, prefix: str | None) -> Iterator[Client]:
    """Open a client for one command. Raises NoRedis within a second when there is none."""
    settings = settings_of(redis_url, prefix)
    if settings.redis_url is None:
        from ..errors import NoRedis

        raise NoRedis(
            "no Redis is given: set REDIS_URL or pass --redis-url; or run everything on this"
            " machine with `rootward up TARGET`"
        )
    from ..client.client import Client

    client = Client(settings)
    try:
        yield client
    finally:
        client.close()
