"""Finding what a name means: a deployment, a generation of it; the errors that tell near names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UnknownDeployment, UnknownService
from ..status.lost_data import told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..store.records import DeploymentRecord
    from ..store.store import Store


def deployment_named(store: Store, name: str) -> DeploymentRecord:
    """Return a deployment; raises UnknownDeployment, which tells near names."""
    record = store.deployments.get(name)
    if record is None:
        known = [each.name for each in store.deployments.all()]
        raise unknown_deployment(name, known, lost=told(store))
    return record


def generation_named(store: Store, name: str, generation: int | None) -> tuple[str, int]:
    """Return name and number of a generation by its name (or NAME@GENERATION), else the latest.

    Raises UnknownDeployment, which tells near names.
    """
    if generation is None and "@" in name:
        name, _, number = name.rpartition("@")
        if not number.isdecimal():
            raise UnknownDeployment(
                f"{number!r} is no generation of {name}: write NAME@NUMBER", name=name
            )
        generation = int(number)
    record = deployment_named(store, name)
    found = record.latest if generation is None else generation
    if store.deployments.generation(name, found) is None:
        raise UnknownDeployment(
            f"{name} has no generation {found}: its latest is {record.latest}{after(told(store))}",
            name=name,
        )
    return name, found


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
