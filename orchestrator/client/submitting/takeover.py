"""How a submission takes over, checked against what is deployed before anything is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import PlanError
from ...planning.requirements import parse_requirement
from ...planning.rollouts import Takeover, checked, make_rollout
from ...status.evaluations import read_results

if TYPE_CHECKING:
    from ...planning.plan import Plan
    from ...store.records import Rollout
    from ..connected import Connected


def rollout_of(client: Connected, plan: Plan, wishes: Takeover, *, makes_current: bool) -> Rollout:
    """Return how the plan is to take over; PlanError for what can't be had for it."""
    rollout = make_rollout(**wishes)
    if not wishes:
        return rollout
    record = client.store.deployments.get(plan.deployment)
    found = checked(rollout, plan, record, makes_current=makes_current)
    if record is not None and record.current is not None:
        _check_comparable(client, plan.deployment, record.current, found)
    return found


def _check_comparable(client: Connected, name: str, current: int, rollout: Rollout) -> None:
    """Raise PlanError for a comparison with a result that the current generation doesn't have."""
    relative = [each for each in map(parse_requirement, rollout.requires) if each.is_relative]
    if not relative:
        return
    paths = [each.path for each in relative]
    results = read_results(client.store, client.signer, (name, current), paths)
    for each in relative:
        if each.path not in results:
            raise PlanError(
                f"{each.text!r}: {name}@{current}, which is current, has no evaluation of "
                f"{each.path} to compare with; compare with a number"
            )
