"""Deployments and generations as they are stored, and a submission before it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...states import DeploymentState
from .encoding import Hash, counts, seconds
from .retention import Retention
from .rollout import Rollout, read_rollout
from .scaling import Scaling, read_scaling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .tasks import TaskSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Everything that one generation needs, `id` being the caller's own name for the submission.

    `tasks` stand as in the plan. `services` are the wanted replicas by path. `deadline_s` counts
    from the moment it is stored; `history_s` is how long the generation is kept after it has ended.
    `owner` is the program that it ends with, if any; `bundle` the digest of its code, or empty.
    `by` says who submits it (user@host), `how` what it comes about by, `rollout` how it takes over.
    `states` are the sealed entries that its state log begins with, `source` the generation that
    they were taken over from. `retention` says what is kept of the generations before. `expects` is
    the number of the generation that must be current, empty for none.
    """

    id: str
    name: str
    generation: int
    kinds: tuple[str, ...]
    tasks: tuple[TaskSpec, ...]
    plan: bytes
    tree: bytes
    services: Mapping[str, int] = field(default_factory=dict)
    makes_current: bool = False
    retries: int = 0
    deadline_s: float | None = None
    owner: str | None = None
    history_s: float = 7 * 86400.0
    bundle: str = ""
    by: str = ""
    how: str = "deploy"
    rollout: Rollout = field(default_factory=Rollout)
    states: tuple[bytes, ...] = ()
    source: int | None = None
    retention: Retention = field(default_factory=Retention)
    expects: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The number of a submission, and the id of the store that it is to be signed for.

    `scaled` are the replicas (`3`, or a range such as `1..8`), by path, that somebody has asked for
    by hand.
    """

    generation: int
    store_id: str
    scaled: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRecord:
    """One generation as it stands.

    `left` counts the tasks that aren't final, `failed` those that failed (prepares in neither).
    `services` are wanted and `ready` the ready replicas by path, `replicas` counts all of them.
    `retire` says that what it serves is to be stopped. `prepared` names the agent that prepares a
    path, `repairs` the path of each open job outside the plan, `scaled` the signature of each count
    that isn't the plan's, `scaling` where those come from. `submission` is the caller's own id.
    One that `is_restored` is all that workers could bring back after a loss of data: it has neither
    plan nor tree. `by` says who submitted it (user@host), `how` what it came about by, `bundle` is
    the digest of its code; `by` and `bundle` are empty where that isn't known. `rollout` says how
    it takes over, `is_admitted` that it has met its requirements. `source` is the generation that
    it took training over from; `was_ready` says that it was ready at some time, with `logged`
    entries in its state log by then. `current_since` is when it became current last
    (Unix seconds), None for one that never was.
    """

    name: str
    generation: int
    state: DeploymentState
    reason: str | None
    created_at: float
    ended_at: float | None
    kinds: tuple[str, ...]
    total: int
    left: int
    failed: int
    makes_current: bool
    is_restored: bool
    retire: bool
    retries: int
    deadline_at: float | None
    owner: str | None
    services: Mapping[str, int]
    ready: Mapping[str, int]
    replicas: int
    repairs: Mapping[str, str]
    prepared: Mapping[str, str]
    scaled: Mapping[str, str] = field(default_factory=dict)
    scaling: Scaling = field(default_factory=Scaling)
    submission: str = ""
    by: str = ""
    how: str = "deploy"
    bundle: str = ""
    rollout: Rollout = field(default_factory=Rollout)
    is_admitted: bool = False
    source: int | None = None
    was_ready: bool = False
    logged: int = 0
    current_since: float | None = None

    @property
    def must_be_judged(self) -> bool:
        """Whether its tasks have succeeded, and its requirements are still to be looked at."""
        is_done = self.state.is_progressing and self.left <= 0 and not self.failed
        return is_done and bool(self.rollout.requires) and not self.is_admitted

    @property
    def is_over(self) -> bool:
        """Whether it has ended and nothing of it runs any more: only its history is left."""
        ended = self.state.is_final or (self.state is DeploymentState.READY and not self.services)
        return ended and not self.replicas

    @property
    def is_settled(self) -> bool:
        """Whether it is ready, and exactly the replicas are there that are wanted, all ready."""
        wanted = self.services
        return (
            self.state is DeploymentState.READY
            and self.replicas == sum(wanted.values())
            and all(self.ready.get(path, 0) == count for path, count in wanted.items())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRecord:
    """A deployment's name: its newest generation and the one that the outside sees.

    `scaled` are the replicas (`3`, or a range such as `1..8`), by path, that somebody has asked for
    by hand. `canary` is the generation that gets `canary_percent` of the calls since `canary_since`
    (Unix seconds), if any.
    `warm` are replaced ones that keep their replicas, `keep` is how many are kept however old.
    """

    name: str
    created_at: float
    latest: int
    current: int | None
    newest: GenerationRecord | None = None
    canary: int | None = None
    canary_percent: float = 0.0
    canary_since: float | None = None
    scaled: Mapping[str, str] = field(default_factory=dict)
    warm: tuple[int, ...] = ()
    keep: int = 0

    @property
    def generation(self) -> int:
        """The number of the newest generation."""
        return self.latest

    @property
    def id(self) -> str:
        """`NAME@GENERATION` of the newest generation."""
        return f"{self.name}@{self.latest}"

    @property
    def state(self) -> DeploymentState | None:
        """The state of the newest generation; None when its history is over."""
        return None if self.newest is None else self.newest.state

    @property
    def reason(self) -> str | None:
        """Why the newest generation is as it is."""
        return None if self.newest is None else self.newest.reason


def read_generation(
    name: str, generation: int, found: Hash, parts: Sequence[Any]
) -> GenerationRecord:
    """Read a generation from its hash.

    `parts` are services, ready, repairs, scaling and the number of replicas.
    """
    text = {key.decode(): value.decode(errors="replace") for key, value in found.items()}
    services, ready, repairs, scaling, replicas = parts
    return GenerationRecord(
        name=name,
        generation=generation,
        state=DeploymentState(text["state"]),
        reason=text.get("reason") or None,
        created_at=seconds(text["created"]) or 0.0,
        ended_at=seconds(text.get("ended")),
        kinds=tuple(kind for kind in text.get("kinds", "").split(",") if kind),
        total=int(text["total"]),
        left=int(text["left"]),
        failed=int(text["failed"]),
        makes_current=text.get("makes_current") == "1",
        is_restored=text.get("restored") == "1",
        retire=text.get("retire") == "1",
        retries=int(text.get("retries") or 0),
        deadline_at=seconds(text.get("deadline")),
        owner=text.get("owner") or None,
        services=counts(services),
        ready=counts(ready),
        replicas=int(replicas),
        repairs={job.decode(): path.decode() for job, path in repairs.items()},
        scaled=_fields_of(text, "scaled:"),
        scaling=read_scaling(scaling),
        prepared=_fields_of(text, "prepared:"),
        submission=text.get("submission", ""),
        by=text.get("by", ""),
        how="restored" if text.get("restored") == "1" else text.get("how") or "deploy",
        bundle=text.get("bundle", ""),
        rollout=read_rollout(text),
        is_admitted=text.get("admitted") == "1",
        source=int(text["source"]) if text.get("source") else None,
        was_ready="logged" in text,
        logged=int(text.get("logged") or 0),
        current_since=seconds(text.get("was_current")),
    )


def _fields_of(text: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return the fields whose names begin with `prefix`, without it."""
    return {
        key.removeprefix(prefix): value for key, value in text.items() if key.startswith(prefix)
    }
