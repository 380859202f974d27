"""Sealed bytes open as they were closed, and in no other form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootward.modules.errors import SignatureError
from rootward.orchestrator.security.sealing import NO_MARK, Seal, mark_of

KEY = b"k" * 32


@given(st.binary(max_size=99), st.integers(0), st.integers(0, 255))
def test_one_changed_bit_anywhere_is_found(body: bytes, place: int, flip: int) -> None:
    seal, mark = Seal(KEY, "the tree of a@1"), mark_of("a submission")
    data = bytearray(Seal(KEY, "the tree of a@1").close(body, mark))
    data[place % len(data)] ^= flip
    if flip:
        with pytest.raises(SignatureError, match="the tree of a@1"):
            seal.open(bytes(data), None)
    else:
        assert seal.open(bytes(data), mark) == seal.open(bytes(data), None) == body
        with pytest.raises(SignatureError):
            Seal(KEY, "the tree of a@2").open(bytes(data), None)


@pytest.mark.parametrize("data", [b"", b"RW2", b"RW1" + bytes(60), bytes(99)])
def test_what_is_not_sealed_at_all_says_so(data: bytes) -> None:
    with pytest.raises(SignatureError, match="carries no signature"):
        Seal(KEY, "the plan of a@1").open(data, None)


def test_a_mark_is_of_one_submission() -> None:
    assert len({NO_MARK, mark_of(""), mark_of("a"), mark_of("b")}) == 4
    assert mark_of("a") == mark_of("a")
