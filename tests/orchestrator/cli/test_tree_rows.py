"""Which rows of a tree are shown, how they hang together, and how the rest is counted."""

from __future__ import annotations

from collections import Counter

from rootward.orchestrator.cli.tree_rows import Row, branched, counted, fold, keep


def rows(**states: str) -> list[Row]:
    """Rows by their paths (`a__b` for `a/b`) in the order of a walk."""
    paths = {path.replace("__", "/"): state for path, state in states.items()}
    return branched(
        [Row(name=p.rpartition("/")[2], path=p, state=state) for p, state in paths.items()]
    )


def group(name: str, count: int, state: str) -> dict[str, str]:
    return {name: state} | {f"{name}__m{n}": state for n in range(count)}


def labels(shown: list[Row]) -> list[str]:
    return [f"{row.label} {row.word}" for row in shown]


def test_branches_follow_the_rows_that_are_there() -> None:
    """The last of its siblings closes the branch, also when the real last one is hidden."""
    assert [row.label for row in rows(t="", t__a="", t__a__x="", t__b="")] == [
        "t",
        "|- a",
        "|  └- x",
        "└- b",
    ]


def test_a_finished_group_is_folded_into_one_row() -> None:
    """With how many are done; what runs stands under its own ancestors."""
    found, hidden = fold(
        rows(t="waiting", **group("t__done", 19, "succeeded"), t__g="waiting", t__g__r="running"),
        6,
    )
    assert labels(found) == [
        "t waiting 20/23",
        "|- done 20/20 ✓",
        "└- g waiting",
        "   └- r running",
    ]
    assert hidden == Counter(succeeded=19)


def test_what_failed_and_what_runs_come_first_with_their_ancestors() -> None:
    """Whatever their place; nothing stands there without what it hangs on."""
    states = {"t": "waiting"}
    for g in range(5):
        states |= {f"t__g{g}": "waiting"} | {f"t__g{g}__m{n}": "waiting" for n in range(9)}
    states["t__g3__m8"], states["t__g4__m2"] = "failed", "running"
    found, hidden = fold(rows(**states), 7)
    assert len(found) == 6
    assert [row.path for row in found][-4:] == ["t/g3", "t/g3/m8", "t/g4", "t/g4/m2"]
    assert hidden.total() + len(found) == len(states)
    known = {row.path for row in found}
    assert all(row.path == "t" or row.path.rpartition("/")[0] in known for row in found)


def test_what_fits_is_not_folded() -> None:
    """Nor counted."""
    all_rows = rows(t="ready", t__a="ready")
    assert fold(all_rows, 2) == (all_rows, Counter())


def test_a_choice_keeps_ancestors_and_counts_the_rest() -> None:
    """`--failed` shows where it hangs; `--depth` ends where it says."""
    all_rows = rows(t="waiting", t__a="succeeded", t__a__x="failed", t__b="succeeded")
    found, hidden = keep(all_rows, lambda row: row.state == "failed")
    assert [row.path for row in found] == ["t", "t/a", "t/a/x"]
    assert counted(hidden) == "1 succeeded"
    found, _ = keep(all_rows, lambda _: True, depth=1)
    assert [row.path for row in found] == ["t", "t/a", "t/b"]


def test_a_deep_chain_folds_too() -> None:
    """Depth is no limit."""
    path, found = "t", [Row(name="t", path="t", state="waiting")]
    for _ in range(3000):
        path += "/a"
        found.append(Row(name="a", path=path, state="waiting"))
    shown, hidden = fold(branched(found), 20)
    assert len(shown) == 19
    assert hidden["waiting"] == len(found) - 19
