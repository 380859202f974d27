"""From options and environment to a connected client, for every command that needs Redis.

Where Redis is: the option, else `REDIS_URL`, else this user's running `rootward up`. A client is
opened by one `with` block per command and closed at its end.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .output import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..client.client import Client
    from ..embedded.runfolder import UpState
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


def settings_of(
    redis_url: str | None, prefix: str | None, name: str | None = None, **more: Any
) -> Settings:
    """Return the settings; without a URL those of this user's running `up` stand in.

    Of several it is the one that runs what `name` (NAME[@G][/MODULE]) is of, else the newest.
    """
    from ..settings import Secret, Settings

    settings = Settings.from_environment(redis_url=redis_url, prefix=prefix, **more)
    if settings.redis_url is not None and settings.secret is not None:
        return settings
    from ..embedded.runfolder import running

    for state in _nearest(running(), name):
        # With a Redis of the user's own, `up` has only the secret to lend.
        if settings.redis_url in {None, state.url}:
            return replace(
                settings,
                redis_url=state.url,
                secret=settings.secret or Secret(state.secret),
                prefix=settings.prefix if prefix else state.prefix,
            )
    return settings


def _nearest(states: list[UpState], name: str | None) -> list[UpState]:
    """Return the states, those first whose deployment `name` is of; say what is left aside."""
    if name is None:
        if len(states) > 1:
            others = ", ".join(state.deployment for state in states[1:])
            tell(f"of several `rootward up` this is {states[0].deployment}'s (others: {others})")
        return states
    wanted = name.partition("/")[0].partition("@")[0]
    return sorted(states, key=lambda state: state.deployment != wanted)


@contextmanager
def connected(
    redis_url: str | None, prefix: str | None, name: str | None = None
) -> Iterator[Client]:
    """Open a client for one command, which is about the deployment, module or service `name`.

    Raises NoRedis within a second when there is none.
    """
    settings = settings_of(redis_url, prefix, name)
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
