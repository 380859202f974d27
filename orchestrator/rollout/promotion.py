"""Promoting a canary by hand: which one is meant, and what stands in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import PlanError

if TYPE_CHECKING:
    from ..store.store import Store


def promote(store: Store, name: str, generation: int | None, by: str) -> int:
    """Make the canary of a deployment current, or only `generation` if that is it; its number.

    Raises PlanError when there is none, and while it lacks replicas; then nothing has changed.
    """
    record = store.deployments.get(name)
    canary = None if record is None else record.canary
    if canary is None:
        raise PlanError(
            f"{name} has no canary to promote: `rootward deploy TARGET --canary PERCENT` makes one"
        )
    if generation not in {None, canary}:
        raise PlanError(f"{name}@{generation} is no canary, {name}@{canary} is")
    done = store.rollouts.promote(name, canary, f"promoted by {by}")
    if done is None:
        raise PlanError(
            f"{name}@{canary} lacks replicas, so it can't take all calls: try again when "
            f"`rootward status {name}@{canary}` says ready"
        )
    if not done:
        raise PlanError(f"{name}@{canary} is no canary any more: see `rootward history {name}`")
    return canary
