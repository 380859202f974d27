"""Debian's Chromium, driven by Playwright, in front of a gateway with the gallery's trees.

The browser is started for one test and ends with it. Every error that a page reports, and every
refusal by its policy, is kept and fails the test.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.gateways import Gateway, gateway, opened
from tests.support.programs import rootward, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.acceptance.conftest import Network

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (Debian's)")
PATIENCE_MS = 20_000


class Desk:
    """A browser with its pages, and what went wrong in them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.faults: list[str] = []
        self.context = self.new_context()

    def new_context(self, **options: Any) -> BrowserContext:
        options.setdefault("viewport", {"width": 1440, "height": 900})
        # A form, a font and a frame later: what moves is no part of what is looked at.
        context = self._browser.new_context(reduced_motion="reduce", **options)
        context.set_default_timeout(PATIENCE_MS)
        return context

    def open(self, url: str, context: BrowserContext | None = None) -> Page:
        page = (context or self.context).new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.goto(url)
        return page

    def _heard(self, kind: str, text: str) -> None:
        # That a request failed is shown by the page itself; its policy's refusals are not.
        if kind == "error" and "Failed to load resource" not in text and "ERR_" not in text:
            self.faults.append(text)


@contextlib.contextmanager
def desk() -> Iterator[Desk]:
    """Open a browser; afterwards none of its pages may have reported an error."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            found = Desk(browser)
            yield found
            assert found.faults == []
        finally:
            browser.close()


@contextlib.contextmanager
def gallery(network: Network, *trees: str, pace: float = 0.2) -> Iterator[Gateway]:
    """Deploy trees of the gallery one after the other, and open a gateway; stop them at the end.

    Trees that fail are left as they are. The corpus is read from the file `corpus` of the folder.
    """
    source = Path(__file__).with_name("gallery.py").read_text()
    (network.folder / "gallery.py").write_text(source)
    corpus = str(network.folder / "corpus")
    network.more |= {"GALLERY_PACE": str(pace), "GALLERY_CORPUS": corpus}
    network.worker("--slots", "4", "--name", "alpha")
    for tree in trees:
        deploy(network, tree)
    with gateway(network) as program:
        yield opened(program, network.folder)
    names = run(rootward("deployments"), folder=network.folder, environ=network.environ).stdout
    for name in {line.split()[0].partition("@")[0] for line in names.splitlines()[1:] if line}:
        run(rootward("stop", name), folder=network.folder, environ=network.environ)


def deploy(network: Network, tree: str, *options: str) -> None:
    """Deploy a tree of the gallery under its own name."""
    command = rootward("deploy", f"gallery.py:{tree}", "--name", tree, *options)
    run(command, folder=network.folder, environ=network.environ, timeout=60)


def violations(page: Page) -> list[str]:
    """Return what axe-core finds on a page, in a line each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]
