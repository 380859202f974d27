"""What the documents say stays true: their code, commands, settings and links."""

from __future__ import annotations

import re
from pathlib import Path

from rootward.orchestrator.cli.root import ALIASES, COMMANDS
from rootward.orchestrator.settings import _VARIABLES

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_tree_of_the_readme_is_the_example() -> None:
    shown = re.search(r"```python\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    example = (ROOT / "examples" / "hello.py").read_text()
    assert shown
    assert example.partition("\n\n")[2] == shown[1]


def test_every_command_is_told_of() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    untold = [name for name in {*COMMANDS, *ALIASES} - {"version"} if f"`{name}" not in text]
    assert untold == []


def test_every_setting_is_told_of_and_no_other() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    told = set(re.findall(r"^\| `(R[A-Z_]+)`", text, re.MULTILINE))
    assert told == {variable for variable, _ in _VARIABLES.values()}


def test_links_and_paths_lead_somewhere() -> None:
    lost = []
    for document in DOCUMENTS:
        text = document.read_text()
        links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
        named = re.findall(r"`((?:scripts|tests|docs|benches|examples)/[\w./]+)`", text)
        targets = [document.parent / link for link in links] + [ROOT / path for path in named]
        lost += [f"{document.name}: {target}" for target in targets if not target.exists()]
    assert lost == []
