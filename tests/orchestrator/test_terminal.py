"""What reaches a terminal of a text that somebody else has written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootward.orchestrator.terminal import clean, clean_json

ESC = "\x1b"


@pytest.mark.parametrize(
    "attack",
    [
        f"{ESC}[2J",
        f"{ESC}[1;1H",
        f"{ESC}[?1049h",
        f"{ESC}[>4;2m",
        f"{ESC}[6n",
        f"{ESC}[ q",
        f"{ESC}]0;a title\x07",
        f"{ESC}]52;c;Y3VybCBldmls{ESC}\\",
        f"{ESC}]8;;http://evil.example\x07",
        f"{ESC}P+q544e{ESC}\\",
        f"{ESC}_a program{ESC}\\",
        f"{ESC}^private{ESC}\\",
        f"{ESC}Xstring{ESC}\\",
        f"{ESC}(0",
        f"{ESC}#8",
        "\x9b2J",
        "\x9d52;c;eA==\x9c",
        "\x90q\x9c",
    ],
)
def test_a_sequence_is_left_out_and_the_text_around_it_stays(attack: str) -> None:
    assert clean(f"before{attack}after") == "beforeafter"


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        (f"{ESC}c", "\\x1bc"),
        (f"{ESC}]0;never ended", "\\x1b]0;never ended"),
        (f"{ESC}[", "\\x1b["),
        ("\x07", "\\x07"),
        ("\x00", "\\x00"),
        ("a\x08b", "a\\x08b"),
        ("\x7f", "\\x7f"),
        ("\x85", "\\x85"),
        ("10 %\r20 %\r\n", "10 %\n20 %\n"),
    ],
)
def test_what_is_no_whole_sequence_becomes_visible(given_text: str, shown: str) -> None:
    assert clean(given_text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "plain, with a tab\tand\nlines",
        "Füße 木 🌳",
        f"{ESC}[31mred{ESC}[0m",
        f"{ESC}[1;38;5;208mbold orange{ESC}[m",
        f"{ESC}[38:2::255:0:0mred{ESC}[39m",
    ],
)
def test_text_and_colours_stay(text: str) -> None:
    assert clean(text) == text


@given(st.text(alphabet=st.sampled_from([*"\x1b\x9b\x9d\x07\x9c\r\n\t]P[?0;m2Jc\\ "]), max_size=30))
def test_nothing_but_colours_is_left_to_obey(text: str) -> None:
    left = clean(text)
    assert clean(left) == left
    for piece in left.split(ESC)[1:]:
        assert piece[0] == "["
        assert piece.lstrip("[0123456789;:").startswith("m")
    assert not set(left) & {chr(n) for n in (*range(9), 11, 12, 13, *range(127, 160))}


def test_json_says_the_same_without_a_control() -> None:
    value = {"a": "\x9b2J\x7f\x1b[2J ü"}
    document = clean_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(document) == value
    assert document.isprintable()
