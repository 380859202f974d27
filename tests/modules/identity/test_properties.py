"""What holds for any tree, any value and any single edit of one."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootward.modules.code.project import Project
from rootward.modules.identity.canonical import Reading, Unknown
from rootward.modules.identity.changes import changes, code_unchanged
from rootward.modules.identity.code_units import CodeUnits
from rootward.modules.identity.namespace import Places
from rootward.modules.identity.packages import Packages
from rootward.modules.identity.record import ModuleIdentity, TreeIdentity
from rootward.modules.identity.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Callable

CODE = ("a", "b", "c", "d")


@st.composite
def identities(draw: st.DrawFn) -> TreeIdentity:
    """A tree of up to eight modules: each is below one that stands behind it, at least."""
    size = draw(st.integers(1, 8))
    holds: list[list[int]] = [[] for _ in range(size)]
    calls: list[list[int]] = [[] for _ in range(size)]
    for child in range(size - 1):
        for parent in draw(st.sets(st.integers(child + 1, size - 1), min_size=1)):
            draw(st.sampled_from((holds, calls)))[parent].append(child)
    paths = [f"r/{number}" for number in range(size - 1)] + ["r"]
    modules = {
        path: ModuleIdentity(
            cls=draw(st.sampled_from("XY")),
            uses=tuple(sorted(draw(st.sets(st.sampled_from(CODE))))),
            attributes=draw(st.dictionaries(st.sampled_from("mn"), st.sampled_from("12"))),
            options=draw(st.dictionaries(st.sampled_from("op"), st.sampled_from("12"))),
            holds=tuple(paths[each] for each in holds[number]),
            calls=tuple(paths[each] for each in calls[number]),
            kinds=draw(st.sampled_from([(), ("train",)])),
        )
        for number, path in enumerate(paths)
    }
    shared = tuple(sorted(draw(st.sets(st.sampled_from(CODE), max_size=1))))
    return TreeIdentity(modules=modules, code=dict.fromkeys(CODE, "1"), shared=shared)


@dataclass(frozen=True, kw_only=True)
class Edited:
    """A tree, and what one edit has made of it; `own` are the modules that it is of."""

    before: TreeIdentity
    after: TreeIdentity
    own: frozenset[str]


@st.composite
def edits_of_trees(draw: st.DrawFn) -> Edited:
    """One edit: of a piece of code, or of one module."""
    before = draw(identities())
    if draw(st.booleans()):
        name = draw(st.sampled_from(CODE))
        users = {path for path, each in before.modules.items() if name in each.uses}
        own = set(before.modules) if name in before.shared else users
        after = replace(before, code={**before.code, name: "2"})
        return Edited(before=before, after=after, own=frozenset(own))
    path = draw(st.sampled_from(sorted(before.modules)))
    old = before.modules[path]
    edit: Callable[[ModuleIdentity], ModuleIdentity] = draw(
        st.sampled_from(
            [
                lambda each: replace(each, cls="Z"),
                lambda each: replace(each, attributes={**each.attributes, "m": "3"}),
                lambda each: replace(each, options={**each.options, "o": "3"}),
                lambda each: replace(each, kinds=("eval",)),
                lambda each: replace(each, attributes={**each.attributes, "new": "?"}),
            ]
        )
    )
    after = replace(before, modules={**before.modules, path: edit(old)})
    return Edited(before=before, after=after, own=frozenset({path}))


def loading(tree: TreeIdentity, touched: frozenset[str]) -> set[str]:
    """Return the modules in whose process one that was touched runs, by asking each."""

    def loads(path: str) -> set[str]:
        found = {path}
        for child in tree.modules[path].holds:
            found |= loads(child)
        return found

    return {path for path in tree.modules if loads(path) & touched}


@given(edits_of_trees())
def test_a_single_edit_is_found_where_it_counts_and_nowhere_else(edited: Edited) -> None:
    """In the modules that it is of and in what loads them; what calls them goes on."""
    found = changes(edited.before, edited.after)
    changed = {each.path for each in found.of("changed")}
    assert changed == loading(edited.after, edited.own)
    assert all(each.reasons for each in found.of("changed"))
    assert found.unchanged == set(edited.after.modules) - changed
    # Training that holds by the code alone holds for no fewer modules.
    assert found.unchanged <= code_unchanged(edited.before, edited.after)


@given(identities())
def test_a_tree_is_as_it_was_and_its_record_comes_back_whole(tree: TreeIdentity) -> None:
    """By the bytes that are stored."""
    again = TreeIdentity.from_bytes(tree.to_bytes())
    assert again == tree
    assert again.digest == tree.digest
    assert changes(tree, again).is_empty


@given(identities(), st.data())
def test_what_came_and_what_went_is_named(tree: TreeIdentity, data: st.DataObject) -> None:
    """A module that is there on one side only; its parents have changed."""
    leaves = [path for path in tree.modules if path != "r"]
    gone = data.draw(st.sampled_from(leaves)) if leaves else "r"
    left = {
        path: replace(
            each,
            holds=tuple(p for p in each.holds if p != gone),
            calls=tuple(p for p in each.calls if p != gone),
        )
        for path, each in tree.modules.items()
        if path != gone
    }
    fewer = replace(tree, modules=left)
    assert {each.path for each in changes(tree, fewer).of("removed")} == {gone}
    assert {each.path for each in changes(fewer, tree).of("added")} == {gone}
    above = {p for p, e in tree.modules.items() if gone in e.holds or gone in e.calls}
    assert above <= {each.path for each in changes(tree, fewer).of("changed")}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4)
        | st.frozensets(st.text(max_size=3), max_size=4)
    ),
    max_leaves=12,
)


def digest(value: Any) -> str:
    """Return the canonical digest of a value that holds nothing of a project."""
    places = Places(Project("/nowhere"), Sources({}))
    return Reading(CodeUnits({}, places, Packages())).digest(value)


@given(VALUES)
def test_a_copy_has_the_digest_of_what_it_was_copied_from(value: Any) -> None:
    """Whichever objects it is made of."""
    assert digest(copy.deepcopy(value)) == digest(value)


@given(VALUES, VALUES)
def test_values_with_one_digest_are_written_alike(one: Any, other: Any) -> None:
    """`repr` tells types, signs and orders; only the order of sets is not told."""
    if digest(one) == digest(other):
        assert written(one) == written(other)


def written(value: Any) -> str:
    """Return a text of a value that is the same for equal values only."""
    if isinstance(value, frozenset):
        return f"frozenset({sorted(map(repr, value))})"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({[written(each) for each in value]})"
    if isinstance(value, dict):
        return f"dict({[(repr(key), written(each)) for key, each in value.items()]})"
    return repr(value)


class Hostile:
    """A value that can't even be asked for its class."""

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(f"no {name}")


def test_a_value_that_answers_with_exceptions_is_unknown_and_spoils_nothing_else() -> None:
    with pytest.raises(Unknown, match="a Hostile"):
        digest([1, Hostile()])
