"""The errors of the orchestrator: each says what happened, where, and what to do next.

All are children of the product's one root, which is known here as `OrchestratorError`. Ids are kept
as attributes, so that a program need not read them out of the message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rootward.modules.errors import RootwardError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .status.failure import Failure

OrchestratorError = RootwardError
"""The root of every error that rootward raises."""


class PlanError(OrchestratorError):
    """A plan can't be made or read: an unknown kind, a doubled path, a foreign version."""


class BadName(OrchestratorError):
    """A deployment can't be called that; the message names the nearest name that it could have."""


class NoRedis(OrchestratorError):
    """No Redis was given, or the given one isn't reached; the address shows no password."""


class MissingSecret(OrchestratorError):
    """Something has to be signed or checked and no secret was given."""


class WrongSecret(OrchestratorError):
    """The workers that live here have another secret, so nothing of theirs could be verified."""


def other_secret(address: str) -> WrongSecret:
    """Return the error for a secret that isn't that of the workers at `address`."""
    return WrongSecret(
        f"the workers at {address} have another secret than this one: set the same "
        "ROOTWARD_SECRET everywhere; to change it, stop all workers first"
    )


class UnknownDeployment(OrchestratorError):
    """No deployment (or no such generation of it) has that name; near names are told."""

    def __init__(self, message: str, *, name: str, near: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.name = name
        self.near = tuple(near)


class DataLost(OrchestratorError):
    """Redis has lost its data, and with them what this would need; deploy again."""

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


class UnknownService(OrchestratorError):
    """No service has that path; near paths are told."""

    def __init__(self, message: str, *, service: str, near: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.service = service
        self.near = tuple(near)


class DeploymentFailed(OrchestratorError):
    """A deployment ended as failed; `failures` are the tasks that failed, in order of finish."""

    def __init__(
        self, message: str, *, deployment: str, generation: int, failures: Sequence[Failure] = ()
    ) -> None:
        super().__init__(message)
        self.deployment = deployment
        self.generation = generation
        self.failures = tuple(failures)


class DeploymentCancelled(OrchestratorError):
    """A deployment was cancelled, by hand or by a newer generation of its name."""

    def __init__(self, message: str, *, deployment: str, generation: int) -> None:
        super().__init__(message)
        self.deployment = deployment
        self.generation = generation


class WaitTimeout(OrchestratorError, TimeoutError):
    """A wait has ended before what it waited for; only the waiting ended."""


class UnknownTask(OrchestratorError):
    """The deployment has no such task or module; the message tells near ones."""


class IncompleteSubmission(OrchestratorError):
    """A submission wasn't stored in time, so nothing of it runs; submit it again."""


class BadRecord(OrchestratorError):
    """Something that is stored can't be read: another program, or another version, wrote it."""
