"""What a submission may ask about how it takes over: requirements, and a canary's share.

It checks the wishes against the plan and against what is current, before anything is stored. The
scripts and the controller carry them out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypedDict

from ..errors import PlanError
from ..store.records import Rollout
from .requirements import requirements_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..store.records import DeploymentRecord
    from .plan import Plan


class Takeover(TypedDict, total=False):
    """The options of a submission that say how it takes over.

    `canary` is in percent of the calls, `bake` in seconds, `max_error_rate` from 0 to 1.
    """

    require: Sequence[str]
    canary: float | None
    bake: float | None
    max_error_rate: float | None


def make_rollout(
    *,
    require: Sequence[str] = (),
    canary: float | None = None,
    bake: float | None = None,
    max_error_rate: float | None = None,
) -> Rollout:
    """Return the wishes as they are stored; PlanError for numbers that make no sense."""
    if isinstance(require, str):
        require = (require,)
    if canary is not None and not 0 < canary < 100:
        raise PlanError(
            f"a canary can't have {canary:g} % of the calls: give a number between 0 and 100"
        )
    for value, option in ((bake, "bake"), (max_error_rate, "max_error_rate")):
        if value is not None and canary is None:
            raise PlanError(f"{option} is for a canary: say too how many percent it gets (canary)")
    if bake is not None and not (math.isfinite(bake) and bake > 0):
        raise PlanError(f"a canary can't bake for {bake:g} s: give seconds above 0")
    if max_error_rate is not None and not 0 <= max_error_rate < 1:
        raise PlanError(
            f"{max_error_rate:g} is no rate of errors: give a number from 0 up to 1 (0.05 for 5 %)"
        )
    return Rollout(
        requires=tuple(require),
        percent=None if canary is None else float(canary),
        bake_s=bake,
        max_error_rate=max_error_rate,
    )


def checked(
    rollout: Rollout, plan: Plan, record: DeploymentRecord | None, *, makes_current: bool
) -> Rollout:
    """Return the wishes with whole paths; PlanError where they can't be had for this plan.

    `record` is the deployment as it stands, None when there is none of the name.
    """
    if rollout == Rollout():
        return rollout
    if not makes_current:
        raise PlanError(
            f"only a deployment of the whole of {plan.deployment} takes over: requirements and a "
            "canary need the kind deploy and all modules"
        )
    requirements = requirements_of(rollout.requires, plan)
    if rollout.percent is not None:
        _check_canary(plan, record)
    return Rollout(
        requires=tuple(each.text for each in requirements),
        percent=rollout.percent,
        bake_s=rollout.bake_s,
        max_error_rate=rollout.max_error_rate,
    )


def _check_canary(plan: Plan, record: DeploymentRecord | None) -> None:
    name = plan.deployment
    if record is None or record.current is None:
        raise PlanError(
            f"{name} has no current generation that a canary could stand beside: deploy it without "
            "a canary first"
        )
    if record.canary is not None:
        raise PlanError(
            f"{name} has a canary already, {name}@{record.canary}: `rootward promote {name}` or "
            f"`rootward rollback {name}` first"
        )
    if not plan.services:
        raise PlanError(f"{name} serves nothing, so a canary of it would get no calls")
    fixed = [service.path for service in plan.services if service.port is not None]
    if fixed:
        raise PlanError(
            f"{', '.join(fixed[:5])} has a port of its own, so a canary can't run beside the "
            "current generation: deploy it without a canary"
        )
