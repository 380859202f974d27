"""Whether an answer proves that a replica holds the call key."""

from __future__ import annotations

import pytest

from rootward.modules.rpc import proof

KEY = b"k" * 32


def test_who_has_key_and_token_can_answer_every_challenge() -> None:
    challenges = {proof.new_challenge() for _ in range(20)}
    assert len(challenges) == 20
    for challenge in challenges:
        assert proof.is_challenge(challenge)
        proof.check(KEY, "token", challenge, proof.body(KEY, "token", challenge))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b'{"status": "ok"}',
        b'{"proof": null}',
        b'{"proof": "\xc3\xa4"}',
        b"[]",
        proof.body(b"x" * 32, "token", "0" * 32),
        proof.body(KEY, "another", "0" * 32),
        proof.body(KEY, "token", "1" * 32),
    ],
)
def test_any_other_answer_proves_nothing(answer: bytes) -> None:
    with pytest.raises(proof.Unproven):
        proof.check(KEY, "token", "0" * 32, answer)


@pytest.mark.parametrize("given", ["", "0" * 31, "0" * 33, "G" * 32, "0" * 31 + "|"])
def test_only_a_random_number_is_answered(given: str) -> None:
    """Nobody can have a replica sign a text of his choice."""
    assert not proof.is_challenge(given)
