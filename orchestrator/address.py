"""The address of Redis as it is given: taken apart, checked, and shown without what is secret.

One form each for a server (`redis`, `rediss`), a socket (`unix`) and Sentinels. What can't be meant
is refused instead of being misread: a database that is no number, an option that nobody knows, a
password whose special characters cut the address short. No message here repeats a part of the
address that may be a password. How it is opened is left to `store.connection`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qsl, unquote

SCHEMES: Final = ("redis", "rediss", "unix", "sentinel", "redis+sentinel", "rediss+sentinel")
EXAMPLE: Final = "redis://127.0.0.1:6379/0"
ENCODE: Final = (
    "special characters of a user or password are percent-encoded: # is %23, % is %25, / is %2F, "
    "? is %3F, @ is %40"
)

_TLS: Final = frozenset(
    {
        *("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"),
        *("ssl_check_hostname", "ssl_keyfile_password"),
    }
)
_SENTINEL: Final = frozenset({"sentinel_username", "sentinel_password", "sentinel_tls"})
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]/@]+)(?::([0-9]{1,5}))?")
_SENTINEL_PORT: Final = 26379
_REDIS_PORT: Final = 6379


class BadAddress(ValueError):
    """It is no address of a Redis; the message says why and shows no part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address, taken apart: `path` is a socket's, `service` what Sentinels call the server.

    `options` are those of TLS, `sentinel` the credentials of the Sentinels themselves.
    """

    scheme: str
    nodes: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    sentinel: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def is_sentinel(self) -> bool:
        """Whether Sentinels say where the server is."""
        return "sentinel" in self.scheme

    @property
    def shown(self) -> str:
        """The address without user, password and options, as messages show it."""
        if self.scheme == "unix":
            return f"unix://{self.path}"
        hosts = ",".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in self.nodes)
        service = f"/{self.service}" if self.is_sentinel else ""
        return f"{self.scheme}://{hosts}{service}/{self.db}"

    @classmethod
    def parse(cls, url: str) -> Address:
        """Take an address apart; raises BadAddress."""
        scheme, separator, rest = url.strip().partition("://")
        scheme = scheme.lower()
        if not separator or scheme not in SCHEMES:
            known = ", ".join(f"{each}://" for each in SCHEMES)
            raise BadAddress(f"it must start with one of {known} (for example {EXAMPLE})")
        rest, _, query = rest.partition("?")
        front, slash, path = rest.partition("/")
        if "#" in rest or "#" in query or "@" in query or "@" in path:
            raise BadAddress(f"it has a # or @ where none can stand; {ENCODE}")
        options = dict(_options(query))
        credentials, has_credentials, hosts = front.rpartition("@")
        username, password = options.pop("username", None), options.pop("password", None)
        if has_credentials:
            name, has_password, secret = credentials.partition(":")
            username = unquote(name) or username
            password = unquote(secret) if has_password else password
        parsed = cls(
            scheme=scheme,
            username=username,
            password=password,
            options=tuple((k, v) for k, v in sorted(options.items()) if k in _TLS),
            sentinel=tuple((k, v) for k, v in sorted(options.items()) if k in _SENTINEL),
        )
        if scheme == "unix":
            if hosts or not slash or not path:
                raise BadAddress("the path of a socket is absolute: unix:///run/redis.sock")
            return replace(parsed, path=unquote(f"/{path}"), db=_db(None, options.get("db")))
        return parsed._at(hosts, path, options.get("db"))

    def _at(self, hosts: str, path: str, db: str | None) -> Address:
        """Return it with the hosts, the service and the database that a path names."""
        parts = [unquote(part) for part in path.split("/")] if path else []
        if self.is_sentinel:
            service, *parts = parts or [""]
            nodes = tuple(_node(each, _SENTINEL_PORT) for each in hosts.split(",") if each)
            if not nodes:
                raise BadAddress("it names no Sentinel: sentinel://HOST:26379,HOST:26379/SERVICE/0")
        elif self.sentinel:
            raise BadAddress(f"{self.sentinel[0][0]} is for sentinel:// only")
        else:
            service, nodes = "", (_node(hosts or "localhost", _REDIS_PORT),)
        if any(parts[1:]):
            raise BadAddress(f"more stands behind the database; {ENCODE}")
        if self.is_sentinel:
            service = service or "mymaster"
        return replace(self, nodes=nodes, service=service, db=_db(parts[0] if parts else "", db))


def shown(url: str) -> str:
    """Return an address as messages show it; of one that can't be read only how it begins."""
    try:
        return Address.parse(url).shown
    except BadAddress:
        scheme, separator, _ = url.partition("://")
        return f"{scheme}://..." if separator and scheme in SCHEMES else "the given address"


def _options(query: str) -> list[tuple[str, str]]:
    known = {"db", "username", "password", *_TLS, *_SENTINEL}
    try:
        found = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise BadAddress(f"its options aren't NAME=VALUE; {ENCODE}") from None
    for name, _ in found:
        if name not in known:
            # It isn't repeated: it may be the rest of a password.
            raise BadAddress(
                f"it has an option that is none of {', '.join(sorted(known))}; {ENCODE}"
            )
    return found


def _node(text: str, port: int) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    if found is None or (found[2] is not None and not 0 < int(found[2]) < 65536):
        raise BadAddress(f"its host and port can't be read as HOST:PORT; {ENCODE}")
    return found[1].strip("[]"), int(found[2] or port)


def _db(in_path: str | None, in_options: str | None) -> int:
    if in_path and in_options and in_path != in_options:
        raise BadAddress("it names two databases")
    text = in_path or in_options or "0"
    if not (text.isascii() and text.isdecimal()):
        raise BadAddress(f"the database must be a number, as in {EXAMPLE}; {ENCODE}")
    return int(text)
