"""Going back: which earlier generation is meant, and how it becomes the current one again.

One whose replicas are warm is switched to by one script. Any other begins as a new generation with
the tree, the code and the states of the earlier one and with nothing to train; what serves goes on
until that is ready. A canary is not gone back to, but taken back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...planning.carried import CantTakeOver
from ...planning.submission import Order, retention_of
from .earlier import read_earlier, why_unusable
from .submitter import submitter

if TYPE_CHECKING:
    from ...store.records import DeploymentRecord
    from ..connected import Connected
    from ..deployment import Deployment


def roll_back(client: Connected, record: DeploymentRecord, to: int | None) -> Deployment:
    """Make an earlier generation of a deployment current again, by default the one before.

    Returns the generation that is, or is to be, current. Raises CantTakeOver, before anything is
    changed, when there is none or something of it is gone.
    """
    name, reason = record.name, f"rolled back by {submitter()}"
    if to is None and record.canary is not None and record.current is not None:
        client.store.rollouts.roll_back(name, record.canary, reason)
        return client.deployment(name, record.current)
    wanted = _before(client, record) if to is None else _chosen(client, record, to)
    if wanted in record.warm and client.store.rollouts.switch(name, wanted, reason):
        return client.deployment(name, wanted)
    earlier = read_earlier(client.store, client.signer, name, wanted)
    order = Order(
        kinds=earlier.record.kinds,
        makes_current=True,
        retries=earlier.record.retries,
        owner=earlier.record.owner,
        history_s=client.settings.history_days * 86400,
        how="rollback",
        taken=earlier.whole(),
        retention=retention_of(None, client.settings.keep_warm),
    )
    return client.store_definition(earlier, earlier.plan, order)


def _before(client: Connected, record: DeploymentRecord) -> int:
    """Return the generation that was current before the one that is."""
    found = [
        (each.current_since, each.generation)
        for each in client.store.deployments.returnable(record.name, record.current)
        if each.current_since is not None
    ]
    if not found:
        kept = [str(each.generation) for each in client.store.deployments.generations(record.name)]
        raise CantTakeOver(
            f"{record.name} has no earlier generation to go back to (kept are {', '.join(kept)}): "
            f"`rootward history {record.name}` says which can be"
        )
    # Not by number: one that was warm is current again under the number that it had.
    return max(found)[1]


def _chosen(client: Connected, record: DeploymentRecord, to: int) -> int:
    """Return the generation of that number, when it may become current; else CantTakeOver."""
    id_ = f"{record.name}@{to}"
    if to == record.current:
        raise CantTakeOver(f"{id_} is current already")
    if to == record.canary:
        raise CantTakeOver(
            f"{id_} is the canary: `rootward promote {record.name}` makes it current"
        )
    found = client.store.deployments.generation(record.name, to)
    if found is not None and why_unusable(found) is None and not found.makes_current:
        raise CantTakeOver(f"{id_} was no deployment of the whole tree, so it can't be current")
    return to
