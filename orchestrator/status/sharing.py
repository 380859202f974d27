"""How calls are shared between the current generation and its canary, and what they were like.

One picture for `status`, the API and the dashboard. What will happen to the canary next is said by
the same function by which the controller decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..rollout.bake import decide, limit_of
from ..rollout.counting import total_of

if TYPE_CHECKING:
    from ..rollout.tally import CallTally
    from ..store.records import DeploymentRecord
    from ..store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One of the two generations: its share of the calls, and what they were since it began.

    `error_rate` is from 0 to 1, `p99` in seconds; both are None before there was a call.
    """

    generation: int
    percent: float
    calls: int
    errors: int
    error_rate: float | None
    p99: float | None

    def to_json(self) -> dict[str, Any]:
        """Return it as `status --json` prints it."""
        return {
            "generation": self.generation,
            "percent": self.percent,
            "calls": self.calls,
            "errors": self.errors,
            "error_rate": self.error_rate,
            "p99": self.p99,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedCalls:
    """A canary beside the current generation; `reason` says what it waits for.

    `since` is in Unix seconds, `baked_s` how long it has had calls, `bake_s` how long it is to;
    `limit` is what its error rate may be.
    """

    canary: Share
    current: Share
    since: float | None
    baked_s: float
    bake_s: float | None
    limit: float | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return it as `status --json` prints it."""
        return {
            "canary": self.canary.to_json(),
            "current": self.current.to_json(),
            "since": self.since,
            "baked_s": round(self.baked_s, 3),
            "bake_s": self.bake_s,
            "limit": self.limit,
            "reason": self.reason,
        }


def read_sharing(store: Store, deployment: DeploymentRecord | None) -> SharedCalls | None:
    """Return how the calls of a deployment are shared, None while it has no canary."""
    if deployment is None or deployment.canary is None or deployment.current is None:
        return None
    record = store.deployments.generation(deployment.name, deployment.canary)
    if record is None:
        return None
    rollout = record.rollout
    pair = total_of(store.rollouts.figures(deployment.name, deployment.canary).values())
    since = deployment.canary_since
    baked_s = 0.0 if since is None else max(0.0, store.agents.now() - since)
    percent = deployment.canary_percent
    return SharedCalls(
        canary=_share(deployment.canary, percent, pair.canary),
        current=_share(deployment.current, 100.0 - percent, pair.current),
        since=since,
        baked_s=baked_s,
        bake_s=rollout.bake_s,
        limit=limit_of(rollout, pair.current),
        reason=decide(rollout, pair, baked_s).reason,
    )


def _share(generation: int, percent: float, tally: CallTally) -> Share:
    return Share(
        generation=generation,
        percent=percent,
        calls=tally.calls,
        errors=tally.errors,
        error_rate=tally.error_rate,
        p99=tally.p99,
    )
