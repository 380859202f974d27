"""The pages: small, whole, with their licences, and nothing that their policy would refuse."""

from __future__ import annotations

import re
from pathlib import Path

from rootward.orchestrator.gateway.admin import pages
from rootward.orchestrator.gateway.frontend.error_page import HEADERS

PAGES = Path(next(iter(pages.__path__)))
FILES = sorted(path for path in PAGES.rglob("*") if path.is_file() and path.suffix != ".pyc")
SCRIPTS = [path for path in FILES if path.suffix == ".js" and "vendor" not in path.parts]
MOST_BYTES, MOST_LINES = 300_000, 400


def test_all_files_together_are_small() -> None:
    assert sum(path.stat().st_size for path in FILES) < MOST_BYTES


def test_every_script_is_short_and_says_what_it_owns() -> None:
    for path in SCRIPTS:
        lines = path.read_text().splitlines()
        assert len(lines) <= MOST_LINES, path.name
        assert lines[0].startswith("// "), path.name


def test_what_is_imported_is_there() -> None:
    lost = [
        f"{path.name}: {name}"
        for path in SCRIPTS
        for name in re.findall(r'from "(.+?)"', path.read_text())
        if not (path.parent / name).exists()
    ]
    assert lost == []


def test_what_was_vendored_has_its_licence() -> None:
    vendored = PAGES / "vendor"
    assert {path.name for path in vendored.iterdir()} == {
        "htm-preact.js",
        "htm-LICENSE.txt",
        "preact-LICENSE.txt",
    }


def test_the_policy_allows_no_inline_code_and_the_page_has_none() -> None:
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    page = (PAGES / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon[a-z]+=|https?:", page) == []
    markup = "\n".join(path.read_text() for path in SCRIPTS)
    assert re.findall(r'\bstyle="|innerHTML|document\.write|\beval\(', markup) == []
    assert re.findall(r"https?://(?!www\.w3\.org)", markup) == []


def test_the_page_asks_for_all_its_scripts_at_once() -> None:
    """One after the other, as they import each other, they would delay the first paint."""
    page = (PAGES / "index.html").read_text()
    asked = set(re.findall(r'"/assets/js/(.+?)"', page))
    # The worker is another program.
    assert asked == {path.name for path in SCRIPTS if path.parent.name == "js"} - {"worker.js"}
