"""Sending a checked plan to the store: packed, numbered, its code first, and sealed as the last.

Nothing is visible before the store has all of it. What is to be done with a plan stands in its
order; what becomes of the generation afterwards is the handle's business.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...planning.carried import CantTakeOver
from ..capacity import check_fits
from .submitter import submitter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootward.modules.code.bundle import Bundle

    from ...planning.definition import Packable
    from ...planning.plan import Plan
    from ...planning.submission import Order
    from ..connected import Connected
    from ..tracing import DeploymentSpan


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A generation that is stored: its number, its trace, and the replicas set by hand by path."""

    generation: int
    span: DeploymentSpan
    scaled: Mapping[str, str]


def send(client: Connected, definition: Packable, plan: Plan, order: Order) -> Sent:
    """Pack, sign and store a plan that was checked; all or nothing becomes visible.

    Raises CantTakeOver when code that was stored before is gone.
    """
    from ...planning.submission import Writer
    from ...security.sealing import mark_of
    from ..tracing import DeploymentSpan

    keys, signer, store = client.store.keys, client.signer, client.store
    packed = definition.pack(client.settings.bundle_limit)
    check_fits(packed, store.clients)
    span = DeploymentSpan(plan.deployment)
    writer = Writer(keys=keys, signer=signer, trace=span.carrier, by=submitter())
    submission_id = uuid.uuid4().hex
    fingerprints = signer.fingerprints(keys.prefix)
    reserved = store.deployments.reserve(plan.deployment, submission_id, fingerprints)
    generation = reserved.generation
    signer.enter(reserved.store_id)
    if packed.bundle is not None:
        _send_code(client, packed.bundle)
    elif packed.stored_bundle:
        _keep_code(client, plan.deployment, packed.stored_bundle)
    store.deployments.create(
        writer.build(plan, packed, order, submission_id=submission_id, generation=generation)
    )
    span.stored(generation, len(plan.steps))
    # Only the next deploy looks at it: this one goes on meanwhile.
    if packed.identity:
        sealed = signer.seal_identity(
            packed.identity, plan.deployment, generation, mark_of(submission_id)
        )
        store.deployments.put_identity(plan.deployment, generation, sealed)
    return Sent(generation=generation, span=span, scaled=reserved.scaled)


def _keep_code(client: Connected, name: str, digest: str) -> None:
    """Have code that is stored stay until the submission uses it."""
    if not client.store.bundles.holds(digest, client.signer.bundle_head()):
        raise CantTakeOver(
            f"the code of an earlier {name} ({digest[:8]}) is gone from Redis: deploy anew"
        )


def _send_code(client: Connected, bundle: Bundle) -> None:
    """Store the code of a submission, unless it is stored already."""
    store, signer = client.store.bundles, client.signer
    if not store.holds(bundle.digest, signer.bundle_head()):
        store.put(bundle.digest, signer.seal_bundle(bundle.archive(), bundle.digest))
