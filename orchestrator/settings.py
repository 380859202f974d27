"""The settings of every process: one frozen object, read once, checked once and passed down.

It owns the names, the defaults and the checks of `REDIS_URL` and of the `ROOTWARD_*` variables.
How an address is opened is left to `connection.py`. Nothing is read at import, a secret never
shows in a repr, and a misspelt variable never passes unnoticed.
"""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rootward.modules.errors import RootwardError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOG_FORMATS = ("text", "json")
MIB = 1024 * 1024


class SettingsError(RootwardError):
    """A setting has a value that can't be meant; the message names the variable."""


class SettingsWarning(UserWarning):
    """A `ROOTWARD_*` variable that nothing reads, most likely a typing error."""


class Secret:
    """The deployment secret: bytes that no repr, message or log shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str | bytes) -> None:
        self._value = value.encode() if isinstance(value, str) else bytes(value)

    def reveal(self) -> bytes:
        """Return the secret itself; only what signs or starts a process may ask for it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __len__(self) -> int:
        return len(self._value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a process was told; limits are in bytes, the others in what their names say.

    `cache` is a folder; an empty one means the usual one. Where the environment says how long calls
    may take when a worker leaves (`drain_seconds`), tasks may take as long.
    """

    redis_url: str | None = None
    secret: Secret | None = None
    prefix: str = "rootward"
    lease_seconds: float = 10.0
    drain_seconds: float = 300.0
    task_drain_seconds: float = 9.0
    state_limit: int = 16 * MIB
    bundle_limit: int = 64 * MIB
    cache: str = ""
    log_format: str = "text"
    host: str = "127.0.0.1"
    history_days: float = 7.0
    keep_warm: int = 0
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    workspace: str | None = None

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] | None = None, **overrides: Any
    ) -> Settings:
        """Read the environment; an override that isn't None (text or value) wins over its variable.

        Raises SettingsError for a bad value, and warns of a `ROOTWARD_*` variable that is unknown.
        """
        environ = os.environ if environ is None else environ
        _warn_of_unknown(environ)
        values: dict[str, Any] = {}
        for field, (variable, parse) in _VARIABLES.items():
            given = overrides.pop(field, None)
            raw = given if given is not None else environ.get(variable)
            # An empty variable is how compose files and shells say "not set".
            if raw is not None and raw != "":
                values[field] = parse(variable, raw)
        patience = overrides.pop("task_drain_seconds", None)
        if patience is not None:
            values["task_drain_seconds"] = _number(0.0, 86_400)("--drain-tasks", patience)
        elif "drain_seconds" in values:
            values["task_drain_seconds"] = values["drain_seconds"]
        if overrides:
            raise TypeError(f"Settings has no field {', '.join(sorted(overrides))}")
        return cls(**values)


def near(name: str, known: list[str] | tuple[str, ...]) -> str | None:
    """Return the known name that a misspelt one most likely means, or None."""
    import difflib

    found = difflib.get_close_matches(name.casefold(), [k.casefold() for k in known], 1, 0.6)
    if not found:
        return None
    return next(k for k in known if k.casefold() == found[0])


def _warn_of_unknown(environ: Mapping[str, str]) -> None:
    known = [variable for variable, _ in _VARIABLES.values()]
    for variable in sorted(environ):
        if variable.startswith("ROOTWARD_") and variable not in known:
            nearest = near(variable, known)
            hint = f"did you mean {nearest}?" if nearest else "known: " + ", ".join(sorted(known))
            warnings.warn(
                f"unknown setting {variable} is ignored; {hint}", SettingsWarning, stacklevel=3
            )


def _url(variable: str, raw: Any) -> str:
    from .address import Address, BadAddress

    text = str(raw).strip()
    try:
        Address.parse(text)
    except BadAddress as error:
        # The text isn't shown: it may hold a password.
        raise SettingsError(f"{variable} is no address of a Redis: {error}") from None
    return text


def _secret(variable: str, raw: Any) -> Secret:
    del variable
    return raw if isinstance(raw, Secret) else Secret(raw)


def _prefix(variable: str, raw: Any) -> str:
    text = str(raw)
    # Job ids begin with the prefix, and RQ allows only these characters in them.
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
        raise SettingsError(
            f"{variable}={text!r} must be 1 to 64 letters, digits, '_' or '-' of ASCII"
        )
    return text


def _number(low: float, high: float) -> Callable[[str, Any], float]:
    def parse(variable: str, raw: Any) -> float:
        try:
            value = float(raw)
        except (TypeError, ValueError):
            value = float("nan")
        if not low <= value <= high:
            raise SettingsError(f"{variable}={raw!r} must be a number from {low:g} to {high:g}")
        return value

    return parse


def _port(variable: str, raw: Any) -> int:
    text = str(raw).strip()
    if not (text.isascii() and text.isdecimal()) or int(text) > 65535:
        raise SettingsError(f"{variable}={raw!r} must be a port, 0 to 65535 (0: any that is free)")
    return int(text)


def _size(variable: str, raw: Any) -> int:
    units = {"": 1, "k": 1024, "m": MIB, "g": 1024 * MIB}
    found = re.fullmatch(r"(\d+)\s*([kmg]?)(?:i?b)?", str(raw).strip().lower())
    if not found or not int(found[1]):
        raise SettingsError(f"{variable}={raw!r} must be a number of bytes, or one like 16MiB")
    return int(found[1]) * units[found[2]]


def _log_format(variable: str, raw: Any) -> str:
    if raw not in LOG_FORMATS:
        raise SettingsError(f"{variable}={raw!r} must be one of {', '.join(LOG_FORMATS)}")
    return str(raw)


def _generations(variable: str, raw: Any) -> int:
    return int(_number(0, 100)(variable, raw))


def _folder(variable: str, raw: Any) -> str:
    del variable
    return str(Path(str(raw)).expanduser().absolute())


def _own_host(variable: str, raw: Any) -> str:
    text = _host(variable, raw)
    # The resolver takes shorter spellings of it, too.
    is_any = text in {"0", "*"} or not text.strip("[]0:.")
    if is_any or text == "255.255.255.255":
        raise SettingsError(
            f"{variable}={raw!r} is no address that callers can reach, and replicas are "
            "registered with it: give one of this machine (`hostname -I` lists them)"
        )
    return text


def _host(variable: str, raw: Any) -> str:
    text = str(raw).strip()
    if not text or re.search(r"[\s/]", text):
        raise SettingsError(f"{variable}={raw!r} must be an address or a host name without a port")
    return text


_VARIABLES: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "redis_url": ("REDIS_URL", _url),
    "secret": ("ROOTWARD_SECRET", _secret),
    "prefix": ("ROOTWARD_PREFIX", _prefix),
    "lease_seconds": ("ROOTWARD_LEASE_SECONDS", _number(0.5, 3600)),
    "drain_seconds": ("ROOTWARD_DRAIN_SECONDS", _number(0.0, 86_400)),
    "state_limit": ("ROOTWARD_STATE_LIMIT", _size),
    "bundle_limit": ("ROOTWARD_BUNDLE_LIMIT", _size),
    "cache": ("ROOTWARD_CACHE", _folder),
    "log_format": ("ROOTWARD_LOG_FORMAT", _log_format),
    "host": ("ROOTWARD_HOST", _own_host),
    "history_days": ("ROOTWARD_HISTORY_DAYS", _number(0.0, 3650)),
    "keep_warm": ("ROOTWARD_KEEP_WARM", _generations),
    "metrics_port": ("ROOTWARD_METRICS_PORT", _port),
    "metrics_host": ("ROOTWARD_METRICS_HOST", _host),
    "workspace": ("ROOTWARD_WORKSPACE", _folder),
}
