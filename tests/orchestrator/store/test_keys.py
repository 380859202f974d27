"""The catalogue of keys: names, hash tags, and which of them may last."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from rootward import orchestrator
from rootward.orchestrator.store.keys import GENERATION_PARTS, Keys, Lasts

if TYPE_CHECKING:
    import pytest

KEYS = Keys(prefix="p-1", rq="rq")


def test_everything_of_a_deployment_shares_its_hash_tag() -> None:
    keys = [KEYS.name("n"), KEYS.events("n"), KEYS.generation("n", 3), KEYS.part("n", 3, "tree")]
    assert all("{n}" in key for key in keys)
    assert KEYS.part("n", 3, "tree") == "p-1:{n}:3:tree"


def test_lasting_keys_are_listed_with_their_reason() -> None:
    assert KEYS.lasting(KEYS.bell) is Lasts.ALWAYS
    assert KEYS.lasting(KEYS.held("w-1")) is Lasts.ALWAYS
    assert KEYS.lasting(KEYS.generation("ü.x", 1)) is Lasts.WHILE_ACTIVE
    assert KEYS.lasting(KEYS.job("p-1-n-1-0")) is Lasts.WHILE_ACTIVE
    assert KEYS.lasting(KEYS.queue("p-1-v2")) is Lasts.ALWAYS


def test_a_key_that_must_expire_is_not_listed() -> None:
    assert KEYS.lasting(KEYS.controller) is None
    assert KEYS.lasting(KEYS.reservation("n", "s")) is None
    assert KEYS.lasting("rq:results:p-1-n-1-0") is None
    assert KEYS.lasting("p-2:bell") is None


def test_rq_prefix_comes_from_rqs_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RQ_KEY_PREFIX", "other")
    assert Keys().queue("q") == "other:queue:q"


def test_the_scripts_name_the_same_parts_of_a_generation() -> None:
    folder = Path(orchestrator.__file__).parent / "store" / "lua"
    scripts = "\n".join(path.read_text() for path in folder.glob("*.lua"))
    used = set(re.findall(r"(?:g\.key|KEYS\[1\]) \.\. ':([a-z]+)'", scripts))
    assert used == set(GENERATION_PARTS)
