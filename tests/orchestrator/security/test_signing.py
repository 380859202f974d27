"""Signatures bind what was signed to the place it was made for, and to one secret."""

from __future__ import annotations

import pytest

from rootward.modules.errors import SignatureError
from rootward.orchestrator.security.signing import JOB_FUNCTION, Signer, payload
from rootward.orchestrator.store.records.encoding import SMALL
from rootward.orchestrator.store.rq_compat import Serializer

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


def test_a_previous_secret_is_accepted_during_a_rotation() -> None:
    old, new = Signer(b"old"), Signer(b"new", previous=[b"old"])
    assert new.open_tree(old.seal_tree(b"t", "a", 1), "a", 1) == b"t"
    new.verify_job(("a", 1, "t", "j"), old.sign_job("a", 1, "t", "j"))
    with pytest.raises(SignatureError):
        old.open_tree(new.seal_tree(b"t", "a", 1), "a", 1)


def test_an_endpoint_record_is_good_for_its_place_and_address() -> None:
    at = "http://127.0.0.1:1 token"
    signature = SIGNER.sign_endpoint("a", 1, "a/b", "r1", at)
    SIGNER.verify_endpoint(("a", 1, "a/b", "r1"), at, signature)
    with pytest.raises(SignatureError):
        SIGNER.verify_endpoint(("a", 1, "a/b", "r1"), "http://evil:1 token", signature)


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
