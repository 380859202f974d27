"""The protocol holds in every order of events, and each of its guards is needed.

The exploration is exhaustive within its bounds. A variant lacks one guard; that it is caught shows
that the exploration could find what the guard is for.
"""

from __future__ import annotations

import pytest

from tests.properties.exploration import explore
from tests.properties.protocol import VARIANTS, Guards

BOUNDS = {"children": 2, "workers": 2, "crashes": 1, "losses": 1, "doubles": 1}

CAUGHT = {
    "finish_compares_the_token": "accepted from an agent that had lost its lease",
    "finish_looks_at_the_state": "accepted twice",
    "token_is_new_with_each_attempt": "accepted from an agent that had lost its lease",
    "claim_looks_at_the_state": "given to two living agents",
    "claim_remembers_its_request": "never be ready",
    "claim_asks_for_a_lease": "accepted from an agent that had lost its lease",
    "barrier_waits_for_all": "before each child had succeeded",
    "release_asks_whether_the_preparer_lives": "never be ready",
    "late_prepare_is_skipped": "nobody will adopt",
    "sweep_requeues": "accepted from an agent that had lost its lease",
    "sweep_empties_the_own_queue": "never be ready",
    "sweep_drops_endpoints": "an endpoint is listed",
    "publishing_asks_for_a_lease": "an endpoint is listed",
    "fenced_agents_void_their_replicas": "outlives the agent",
}


def test_every_order_of_events_comes_to_a_good_end() -> None:
    """Invariants 1 to 4."""
    found = explore(**BOUNDS, guards=Guards())
    assert found.violation == "", "\n".join(found.story)
    assert found.states > 9000


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_protocol_without_one_guard_is_caught(variant: str) -> None:
    found = explore(**BOUNDS, guards=Guards(**{variant: False}))
    assert CAUGHT[variant] in found.violation
