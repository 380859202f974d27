"""Candidates: generations that must meet requirements on their evaluations before they take over.

The controller looks at each that has been evaluated, and says what it found to the store, which
lets it go on or fails it. How requirements are written and judged is `planning.requirements`'.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rootward.modules.errors import RootwardError

from ..planning.requirements import Judgement, judge, parse_requirement
from ..status.evaluations import read_results

if TYPE_CHECKING:
    from ..security.signing import Signer
    from ..store.records import GenerationRecord
    from ..store.store import Store

log = logging.getLogger(__name__)


def judge_candidate(store: Store, signer: Signer, record: GenerationRecord) -> None:
    """Judge a generation whose tasks have all succeeded, if it has requirements to meet."""
    if not record.must_be_judged:
        return
    try:
        verdict = _verdict(store, signer, record)
    except RootwardError as error:
        # A requirement or a result that can't be read is not met: nothing waits for ever.
        verdict = Judgement(is_met=False, sentences=(f"its requirements can't be judged: {error}",))
    place = record.name, record.generation
    if store.rollouts.judge(*place, is_met=verdict.is_met, reason=verdict.reason):
        name = "requirements.met" if verdict.is_met else "requirements.missed"
        log.info("%s@%s: %s", *place, verdict.reason, extra={"event": name})


def _verdict(store: Store, signer: Signer, record: GenerationRecord) -> Judgement:
    requirements = [parse_requirement(text) for text in record.rollout.requires]
    deployment = store.deployments.get(record.name)
    current = None if deployment is None else deployment.current
    before = None
    if current is not None and any(each.is_relative for each in requirements):
        paths = [each.path for each in requirements if each.is_relative]
        before = read_results(store, signer, (record.name, current), paths)
    paths, place = [each.path for each in requirements], (record.name, record.generation)
    return judge(requirements, read_results(store, signer, place, paths), before)
