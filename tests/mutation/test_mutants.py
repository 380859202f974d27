"""That each operator changes what it says and nothing else, and that a seed draws the same."""

from __future__ import annotations

import pytest

from tests.mutation.__main__ import SUBJECTS, draw
from tests.mutation.mutants import mutants
from tests.test_shape import ROOT


@pytest.mark.parametrize(
    ("text", "operator", "changed"),
    [
        ("a = b < c\n", "comparison", "a = (b >= c)\n"),
        ("ü = 'ü' if b not in c else d\n", "comparison", "ü = 'ü' if (b in c) else d\n"),
        ("a = f(7)\n", "number", "a = f((8))\n"),
        ("a = True\n", "boolean", "a = (False)\n"),
        ("a = not b\n", "boolean", "a = (b)\n"),
        ("a = b and c\n", "boolean", "a = (b or c)\n"),
        ("if a:\n    f(b)\n", "statement", "if a:\n    pass\n"),
        ("a.b = c\n", "statement", "pass\n"),
        ("a = 'queued'\n", "state", "a = ('running')\n"),
        ("a = ReplicaState.LOST\n", "state", "a = (ReplicaState.STARTING)\n"),
    ],
)
def test_an_operator_changes_what_it_says(text: str, operator: str, changed: str) -> None:
    (mutant,) = mutants(text)
    assert (mutant.operator, mutant.text) == (operator, changed)


def test_a_mutant_names_its_line() -> None:
    assert [one.line for one in mutants("a = 1\n\nb = c(\n    2,\n)\n")] == [1, 4]


def test_lua_is_changed_outside_of_its_comments() -> None:
    text = "-- 'ready' == 1\nif state == 'ready' then f() end\n"
    assert [(one.line, one.operator, one.new) for one in mutants(text, lua=True)] == [
        (2, "comparison", "if state ~= 'ready' then f() end"),
        (2, "state", "if state == 'unready' then f() end"),
    ]


def test_what_never_runs_is_left_as_it_is() -> None:
    text = '"""ready"""\nimport a\nb: Literal["ready"]\nlogger.debug("queued", extra=c)\n'
    assert mutants(text) == []


def test_every_mutant_can_be_compiled_and_differs() -> None:
    for file in SUBJECTS:
        text = (ROOT / file).read_text()
        found = mutants(text, lua=file.endswith(".lua"))
        assert found, file
        for mutant in found:
            assert mutant.text != text
            if file.endswith(".py"):
                compile(mutant.text, file, "exec")


def test_a_seed_draws_the_same_and_another_seed_does_not() -> None:
    first, again, other = (draw(list(SUBJECTS), seed=seed, count=9) for seed in (1, 1, 2))
    assert len(first) == 9
    assert first == again
    assert first != other


def test_the_tests_of_every_subject_are_there() -> None:
    assert all((ROOT / path).exists() for tests in SUBJECTS.values() for path in tests)
