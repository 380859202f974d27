"""Canaries that bake: looked at by the controller, promoted or rolled back by what was counted.

Gateways and programs store what they have counted of a canary's calls; `rollout.bake` decides. What
is promoted or rolled back by hand meanwhile is a canary no more, and nothing is done about it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, assert_never

from ..rollout.bake import BakeStep, decide
from ..rollout.counting import total_of

if TYPE_CHECKING:
    from ..store.records import GenerationRecord
    from ..store.store import Store

log = logging.getLogger(__name__)


def watch_canary(store: Store, record: GenerationRecord) -> None:
    """Promote or roll back a generation that is a canary, if its calls say so."""
    rollout = record.rollout
    if rollout.percent is None or (rollout.bake_s is None and rollout.max_error_rate is None):
        return
    deployment = store.deployments.get(record.name)
    if deployment is None or deployment.canary != record.generation:
        return
    place = record.name, record.generation
    pair = total_of(store.rollouts.figures(*place).values())
    since = deployment.canary_since
    elapsed_s = 0.0 if since is None else store.agents.now() - since
    decision = decide(rollout, pair, elapsed_s)
    match decision.step:
        case BakeStep.WAIT:
            return
        case BakeStep.PROMOTE:
            # While it lacks replicas nothing happens; the next round asks again.
            if store.rollouts.promote(*place, decision.reason):
                _told("canary.promoted", record, decision.reason)
        case BakeStep.ROLL_BACK:
            if store.rollouts.roll_back(*place, decision.reason):
                _told("canary.rolled_back", record, decision.reason)
        case _:
            assert_never(decision.step)


def _told(event: str, record: GenerationRecord, reason: str) -> None:
    log.info("%s@%s: %s", record.name, record.generation, reason, extra={"event": event})
