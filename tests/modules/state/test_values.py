"""Values arrive as they left, references stay references, and nothing unsigned is read."""

from __future__ import annotations

import hmac
import math
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootward.modules import ModuleBase
from rootward.modules.errors import CodecError, SignatureError
from rootward.modules.state import values
from rootward.modules.tree import Tree

KEY = b"k" * 32

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters())
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.text() | st.tuples(st.integers()), inner)
    ),
    max_leaves=20,
)


def there_and_back(value: object, tree: Tree | None = None) -> Any:
    return values.loads(values.dumps(value, tree=tree), tree=tree)


@given(plain)
def test_builtin_values_arrive_equal_and_of_the_same_type(value: object) -> None:
    arrived = there_and_back(value)
    assert arrived == value
    assert repr(arrived) == repr(value)


@pytest.mark.parametrize(
    "value",
    [{1, 2}, frozenset({("a", 1)}), {frozenset({1}): {2}}, 2**200, -(2**70), "\ud800", (1, (2,))],
)
def test_sets_large_integers_and_lone_surrogates_arrive(value: object) -> None:
    assert there_and_back(value) == value
    assert type(there_and_back(value)) is type(value)


def test_nan_arrives_as_nan() -> None:
    assert math.isnan(there_and_back(math.nan))


def test_numpy_arrays_and_subclasses_of_builtins_keep_their_type() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    arrived = there_and_back({"x": array, "y": OrderedDict(a=1)})
    np.testing.assert_array_equal(arrived["x"], array)
    assert arrived["x"].dtype == np.float32
    assert type(arrived["y"]) is OrderedDict


def test_a_module_of_the_tree_is_the_same_object_also_inside_pickled_values() -> None:
    root = ModuleBase(name="root")
    root.child = ModuleBase(name="child")
    tree = Tree(root, "root")
    arrived = there_and_back([root.child, OrderedDict(inner=root.child)], tree)
    assert arrived[0] is root.child
    assert arrived[1]["inner"] is root.child


def test_a_reference_without_its_tree_names_the_path() -> None:
    root = ModuleBase(name="root")
    data = values.dumps(root, tree=Tree(root, "root"))
    with pytest.raises(CodecError, match="'root'"):
        values.loads(data)


def test_what_cannot_travel_is_named_by_its_type() -> None:
    import threading

    with pytest.raises(CodecError, match="lock"):
        values.dumps(threading.Lock())


@given(st.binary())
def test_rubbish_is_a_codec_error_or_a_value_but_never_anything_else(data: bytes) -> None:
    try:
        values.loads(data)
    except CodecError:
        return


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_a_mac_is_that_of_the_standard(key: bytes, message: bytes) -> None:
    wanted = hmac.digest(key, message, "sha256")
    assert [values.mac_of(key)(message) for _ in range(2)] == [wanted] * 2


def test_a_sealed_body_opens_with_its_key_and_context_only() -> None:
    sealed = values.seal(b"body", KEY, "state|a@1")
    assert values.unseal(sealed, KEY, "state|a@1") == b"body"
    with pytest.raises(SignatureError):
        values.unseal(sealed, KEY, "state|a@2")
    with pytest.raises(SignatureError, match="another secret"):
        values.unseal(sealed, b"x" * 32, "state|a@1")


def test_any_of_the_keys_of_a_rotation_opens() -> None:
    sealed = values.seal(b"body", KEY, "c")
    assert values.unseal(sealed, [b"new" * 11, KEY], "c") == b"body"


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_flipped_byte_anywhere_is_refused(place: int, flip: int) -> None:
    sealed = bytearray(values.seal(b"some body", KEY, "c"))
    sealed[place % len(sealed)] ^= flip
    with pytest.raises(SignatureError):
        values.unseal(bytes(sealed), KEY, "c")


@pytest.mark.parametrize("data", [b"", b"RW1", b"RW1" + b"\0" * 39, b"plain bytes " * 10])
def test_unsigned_data_is_refused(data: bytes) -> None:
    with pytest.raises(SignatureError, match="no signature"):
        values.unseal(data, KEY, "c")


@pytest.mark.parametrize("value", [(), set(), frozenset(), (1,), {2}, ((),), [()], 2**70])
def test_a_value_of_any_length_keeps_its_type(value: object) -> None:
    back = values.loads(values.dumps(value))
    assert (type(back), back) == (type(value), value)
