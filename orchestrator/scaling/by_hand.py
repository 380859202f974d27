"""What somebody asks for by hand instead of what a tree says: a number of replicas, or a range.

It reads and checks such a wish, signs it and has it stored, for the current generation and for
those after it, until it is given back to the tree (`auto`). Bringing the replicas is the
controller's business, and so is where in a range their number is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rootward.modules.rpc.bounds import MOST_REPLICAS, ReplicaBounds, parse_bounds

from ..errors import PlanError
from ..states import DeploymentState
from ..status.lost_data import not_startable
from ..status.read_status import read_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..planning.graph import Service
    from ..planning.plan import Plan
    from ..security.signing import Signer
    from ..store.records import GenerationRecord
    from ..store.store import Store

Wish = int | str | tuple[int, int] | None
"""A number, a range (`"1..8"` or `(1, 8)`), or None or `"auto"` for what the tree says."""
BY_HAND = "asked for by hand"
_ENDS = {DeploymentState.CANCELLED, DeploymentState.STOPPING, DeploymentState.STOPPED}


def read_wish(wish: Wish, like: ReplicaBounds | None = None) -> int | ReplicaBounds | None:
    """Return the number or range that is meant, None for the tree's own.

    A range has the targets and times of `like`. Raises PlanError, which names the value.
    """
    try:
        if isinstance(wish, tuple):
            if len(wish) != 2:
                raise ValueError(f"{wish!r:.100} is no range of replicas: write it as (1, 8)")
            return parse_bounds(f"{wish[0]}..{wish[1]}", like)
        text = str(wish).strip()
        if wish is None or text == "auto":
            return None
        if ".." in text:
            return parse_bounds(text, like)
    except ValueError as error:
        raise PlanError(str(error)) from error
    if not (text.isascii() and text.removeprefix("-").isdecimal()):
        raise PlanError(
            f"{text!r:.100} is neither a number of replicas, a range such as 1..8, nor auto"
        )
    if len(text) > len(str(MOST_REPLICAS)) or not 0 <= int(text) <= MOST_REPLICAS:
        raise PlanError(f"a service can't have {text:.20} replicas: give 0 to {MOST_REPLICAS}")
    return int(text)


def scale(
    store: Store, signer: Signer | None, served: GenerationRecord, path: str, wish: Wish
) -> int:
    """Set how many replicas a generation, and those after it, have of the service at `path`.

    Returns the number that is wanted first. Raises PlanError for what can't be, before anything is
    written.
    """
    name, generation = served.name, served.generation
    if served.state in _ENDS:
        raise PlanError(
            f"{name}@{generation} is {served.state}, so nothing of it is served: "
            f"`rootward resume {name}` brings it back"
        )
    asked = read_wish(wish)
    if asked is None:
        wanted = _own_number(store, signer, served, path)
    elif isinstance(asked, int):
        wanted = asked
    else:
        _refuse_uncounted(store, signer, served, path)
        wanted = _first(asked, served.services[path])
    if served.is_restored and wanted > served.ready.get(path, 0):
        raise not_startable(served)
    lasting: Literal["keep", "forget"] = "forget" if asked is None else "keep"
    _store(store, signer, (name, generation, path), wanted, asked, lasting)
    return wanted


def follows(newer: GenerationRecord, served: GenerationRecord, path: str) -> bool:
    """Whether a newer generation is about to serve `path` in place of `served`."""
    is_newer = newer.generation > served.generation and path in newer.services
    return is_newer and (newer.state.is_progressing or newer.state is DeploymentState.READY)


def hold_none(store: Store, signer: Signer | None, name: str, generation: int, path: str) -> None:
    """Have no replica of a service in this generation, whatever its calls are."""
    _store(store, signer, (name, generation, path), 0, 0, "")


def keep(
    store: Store, signer: Signer | None, plan: Plan, generation: int, scaled: Mapping[str, str]
) -> None:
    """Apply what was asked for by hand before to a new generation.

    It needs a signature of this generation, as it may be more than the plan has.
    """
    for path, text in scaled.items():
        service = plan.service(path)
        if service is None:
            continue
        try:
            asked = read_wish(text, service.bounds)
        except PlanError:
            # Nobody who asks here has written it.
            continue
        wanted = asked if isinstance(asked, int) else _first(asked, service.wanted)
        _store(store, signer, (plan.deployment, generation, path), wanted, asked, "")


def bounds_in(
    service: Service | None, record: GenerationRecord, path: str, signer: Signer
) -> ReplicaBounds | None:
    """Return the range in which the number of a service follows its calls; None for a fixed one.

    What is asked for by hand counts only with the signature of somebody who has the secret.
    """
    own = None if service is None else service.bounds
    text, signature = record.scaling.asked.get(path, ("", ""))
    if not text or not signer.is_range(record.name, record.generation, path, text, signature):
        return own
    try:
        asked = read_wish(text, own)
    except PlanError:
        return own
    return asked if isinstance(asked, ReplicaBounds) else None


def _first(bounds: ReplicaBounds | None, now: int) -> int:
    """Return the number in a range that is nearest to that of now; at least one."""
    return now if bounds is None else min(max(now, bounds.first), bounds.highest)


def _store(
    store: Store,
    signer: Signer | None,
    place: tuple[str, int, str],
    wanted: int,
    asked: int | ReplicaBounds | None,
    lasting: Literal["", "keep", "forget"],
) -> None:
    text = "" if asked is None else str(asked)
    signature = "" if signer is None else signer.sign_count(*place, wanted)
    wish = (text, signer.sign_range(*place, text)) if signer is not None and text else (text, "")
    why = f"{text} {BY_HAND}" if text else "given back to the tree"
    store.deployments.scale(*place, wanted, signature, lasting=lasting, asked=wish, why=why)


def _refuse_uncounted(
    store: Store, signer: Signer | None, served: GenerationRecord, path: str
) -> None:
    """Raise PlanError for a service that doesn't say how many calls it has."""
    name, generation = served.name, served.generation
    plan = None if signer is None else read_plan(store, signer, name, generation)
    service = None if plan is None else plan.service(path)
    if service is not None and service.is_foreign:
        raise PlanError(
            f"{path} is a command, which doesn't say how many calls it has: give a number of "
            "replicas, not a range"
        )


def _own_number(store: Store, signer: Signer | None, served: GenerationRecord, path: str) -> int:
    """Return how many replicas the tree of a generation asks for."""
    name, generation = served.name, served.generation
    plan = None if signer is None else read_plan(store, signer, name, generation)
    service = None if plan is None else plan.service(path)
    if service is None:
        raise PlanError(f"what {name}@{generation} asks for isn't known: give a number")
    return _first(service.bounds, served.services[path]) if service.bounds else service.wanted
