"""Signatures bind what was signed to the place it was made for, and to one secret."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rootward.modules.errors import SignatureError
from rootward.orchestrator.security.sealing import NO_MARK, mark_of
from rootward.orchestrator.security.signing import JOB_FUNCTION, Signer, payload
from rootward.orchestrator.states import ReplicaState
from rootward.orchestrator.store.records import ReplicaRecord
from rootward.orchestrator.store.records.encoding import SMALL
from rootward.orchestrator.store.rq_compat import Serializer

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNER = Signer(b"secret")


def test_a_job_runs_under_its_own_signature_only() -> None:
    signature = SIGNER.sign_job("a", 1, "train:a", "j-1")
    SIGNER.verify_job(("a", 1, "train:a", "j-1"), signature)
    for other in (("b", 1, "train:a", "j-1"), ("a", 2, "train:a", "j-1"),
                  ("a", 1, "train:b", "j-1"), ("a", 1, "train:a", "j-2")):  # fmt: skip
        with pytest.raises(SignatureError):
            SIGNER.verify_job(other, signature)
    with pytest.raises(SignatureError):
        Signer(b"another").verify_job(("a", 1, "train:a", "j-1"), signature)


def test_parts_cannot_be_shifted_into_each_other() -> None:
    assert SIGNER.sign_job("a", 1, "bc", "d") != SIGNER.sign_job("a", 1, "b", "cd")


def test_seals_open_for_the_same_generation_and_purpose_only() -> None:
    sealed = SIGNER.seal_tree(b"tree", "a", 1)
    assert SIGNER.open_tree(sealed, "a", 1) == b"tree"
    with pytest.raises(SignatureError):
        SIGNER.open_tree(sealed, "a", 2)
    with pytest.raises(SignatureError):
        SIGNER.open_state(sealed, "a", 1)


def test_a_state_that_was_sealed_here_is_good_for_its_place_only_and_again() -> None:
    """It is known by its bytes, and still belongs where it was made for."""
    signer = Signer(b"secret")
    sealed = signer.seal_state(b"entry", "a", 1)
    for place in (("a", 2), ("b", 1)):
        with pytest.raises(SignatureError):
            signer.open_state(sealed, *place)
    again = signer.seal_state(b"entry", "a", 1)
    assert again == sealed
    assert [signer.open_state(sealed, "a", 1) for _ in range(2)] == [b"entry"] * 2
    for n in range(5000):
        signer.seal_state(b"%d" % n, "a", 1)
    assert len(signer._own_states) <= 1024
    large = signer.seal_state(bytes(5000), "a", 1)
    assert large not in signer._own_states
    assert signer.open_state(large, "a", 1) == bytes(5000)


def test_an_endpoint_record_is_good_as_it_was_made_only() -> None:
    record = ReplicaRecord(
        replica="r1",
        name="a",
        generation=1,
        path="a/b",
        agent_id="w-1",
        worker="w",
        state=ReplicaState.READY,
        url="http://127.0.0.1:1",
        token="token",
    )
    record = replace(record, signature=SIGNER.sign_endpoint(record))
    SIGNER.verify_endpoint(record)
    SIGNER.verify_endpoint(replace(record, state=ReplicaState.DRAINING))
    for change in (
        {"url": "http://evil:1"},
        {"token": "tokem"},
        {"name": "b"},
        {"generation": 2},
        {"path": "a/c"},
        {"replica": "r2"},
        {"agent_id": "w-2"},
    ):
        with pytest.raises(SignatureError):
            SIGNER.verify_endpoint(replace(record, **change))


def everything(signer: Signer, mark: bytes = NO_MARK) -> list[Callable[[Signer], object]]:
    """Sign one thing of each purpose; return what opens each."""
    job = signer.sign_job("a", 1, "train:a", "j-1", mark)
    tree, plan = signer.seal_tree(b"t", "a", 1, mark), signer.seal_plan(b"p", "a", 1, mark)
    state = signer.seal_state(b"s", "a", 1, mark)
    return [
        lambda other: other.verify_job(("a", 1, "train:a", "j-1"), job),
        lambda other: other.open_tree(tree, "a", 1),
        lambda other: other.open_plan(plan, "a", 1),
        lambda other: other.open_state(state, "a", 1),
    ]


@pytest.mark.parametrize(
    "other",
    [
        Signer(b"secret", prefix="two", store_id="s1"),
        Signer(b"secret", prefix="one", store_id="s2"),
        Signer(b"secret", prefix="one"),
        Signer(b"secret", prefix="ones1"),
        Signer(b"other", prefix="one", store_id="s1"),
    ],
)
def test_what_another_installation_or_an_earlier_store_signed_opens_nowhere(other: Signer) -> None:
    here = Signer(b"secret", prefix="one", store_id="s1")
    for opened in everything(here):
        opened(Signer(b"secret", prefix="one", store_id="s1"))
        with pytest.raises(SignatureError, match="for this Redis"):
            opened(other)


def test_a_signer_that_enters_another_store_signs_for_that_one() -> None:
    signer = Signer(b"secret", prefix="one", store_id="s1")
    before = everything(signer)
    payload(signer, "a", 1, "t", "j")
    assert signer.enter("s2")
    assert not signer.enter("s2")
    for opened in before:
        with pytest.raises(SignatureError):
            opened(signer)
    later = Signer(b"secret", prefix="one", store_id="s2")
    for opened in everything(signer):
        opened(later)
    assert payload(signer, "a", 1, "t", "j") == payload(later, "a", 1, "t", "j")


def test_who_can_ask_follows_a_store_that_has_become_another() -> None:
    signer = Signer(b"secret", prefix="one", store_id="s1")
    for opened in everything(Signer(b"secret", prefix="one", store_id="s2"))[1:]:
        signer.enter("s1")
        signer.find_store = lambda: "s2"
        opened(signer)
        signer.enter("s1")
        signer.find_store = lambda: "s3"
        with pytest.raises(SignatureError):
            opened(signer)


def test_what_belongs_to_another_submission_of_the_same_number_is_refused() -> None:
    mine, theirs = mark_of("one submission"), mark_of("another")
    assert mine != theirs
    tree, plan = SIGNER.seal_tree(b"t", "a", 1, mine), SIGNER.seal_plan(b"p", "a", 1, mine)
    state = SIGNER.seal_state(b"s", "a", 1, mine)
    assert SIGNER.open_tree(tree, "a", 1, mine) == b"t"
    assert SIGNER.open_plan(plan, "a", 1, mine) == b"p"
    with pytest.raises(SignatureError, match="another submission"):
        SIGNER.open_tree(tree, "a", 1, theirs)
    with pytest.raises(SignatureError, match="another submission"):
        SIGNER.open_plan(plan, "a", 1, theirs)
    with pytest.raises(SignatureError, match="another submission"):
        SIGNER.open_state(state, "a", 1, theirs)
    assert SIGNER.open_state(SIGNER.seal_state(b"s", "a", 1, mine), "a", 1, mine) == b"s"
    # The mark can't be put in its place either.
    changed = tree.replace(mine, theirs, 1)
    with pytest.raises(SignatureError, match="not signed"):
        SIGNER.open_tree(changed, "a", 1, theirs)


def test_a_job_tells_whose_it_is_and_cannot_be_made_anothers() -> None:
    mark = mark_of("a submission")
    signature = SIGNER.sign_job("a", 1, "t", "j", mark)
    assert SIGNER.verify_job(("a", 1, "t", "j"), signature) == mark
    with pytest.raises(SignatureError):
        SIGNER.verify_job(("a", 1, "t", "j"), mark_of("another") + signature[8:])


def test_call_keys_outlive_a_store_and_are_of_one_installation() -> None:
    """Replicas serve on when Redis comes back empty."""
    here = Signer(b"secret", prefix="one", store_id="s1")
    later = Signer(b"secret", prefix="one", store_id="s2")
    elsewhere = Signer(b"secret", prefix="two", store_id="s1")
    assert here.call_key("a") == later.call_key("a") != elsewhere.call_key("a")
    assert here.call_token("a", 1) == later.call_token("a", 1) != elsewhere.call_token("a", 1)


def test_call_keys_and_tokens_differ_by_deployment_and_do_not_show_the_secret() -> None:
    assert SIGNER.call_key("a") != SIGNER.call_key("b")
    assert SIGNER.call_token("a", 1) != SIGNER.call_key("a").hex()
    assert SIGNER.call_token("a", 1) != SIGNER.call_token("a", 2)


def test_a_payload_names_the_one_function_and_carries_its_signature() -> None:
    function, instance, args, kwargs = Serializer.loads(payload(SIGNER, "a", 1, "train:a", "j"))
    assert (function, instance, kwargs) == (JOB_FUNCTION, None, {})
    (signature,) = args
    SIGNER.verify_job(("a", 1, "train:a", "j"), signature)


def test_a_payload_is_short_enough_for_a_compact_hash() -> None:
    assert len(payload(SIGNER, "a" * 50, 1000, "train:" + "a/" * 99, "j" * 50)) <= SMALL
