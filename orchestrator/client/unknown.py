"""The errors for names that nobody deployed, each with the near ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UnknownDeployment, UnknownService

if TYPE_CHECKING:
    from collections.abc import Sequence


def unknown_deployment(
    name: str, known: Sequence[str], *, lost: str | None = None
) -> UnknownDeployment:
    """Return the error for a deployment that isn't there; `lost` says when data were lost."""
    return UnknownDeployment(
        f"there is no deployment {name!r}{_hint(name, known)}: see `rootward deployments`"
        f"{after(lost)}",
        name=name,
        near=_near(name, known),
    )


def unknown_service(service: str, known: Sequence[str]) -> UnknownService:
    """Return the error for a service that isn't there."""
    return UnknownService(
        f"there is no service {service!r}{_hint(service, known)}: see `rootward gateway list`",
        service=service,
        near=_near(service, known),
    )


def after(sentence: str | None) -> str:
    """Return what is put behind a message, if there is anything more to say."""
    return f". {sentence}" if sentence else ""


def _near(name: str, known: Sequence[str]) -> list[str]:
    import difflib

    found = difflib.get_close_matches(name, known, 3)
    # The last part of a path is what people remember.
    return found or [each for each in known if each.rpartition("/")[2] == name.rpartition("/")[2]]


def _hint(name: str, known: Sequence[str]) -> str:
    near = _near(name, known)
    return f" (did you mean {' or '.join(near)}?)" if near else ""
