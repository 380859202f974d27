"""Takes pictures of the dashboard from the real thing; scripts/screenshots runs it.

Without an argument the few of the documents, small, into docs/pictures; with a folder every view,
on a desk and on a phone, light and dark.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

from tests.support.browsers import CHROMIUM
from tests.support.servers import Server
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
PICTURES = {"home": "", "tree": "#/d/atlas@1", "timeline": "#/d/digits@1/timeline"}
VIEWS = {
    **PICTURES,
    "tree-small": "#/d/digits@1",
    "tree-thousand": "#/d/thousand@1",
    "table": "#/d/atlas@1/table",
    "events": "#/d/atlas@1/events",
    "module": "#/d/atlas@1/tree?m=atlas/retriever/sparse/bm25/corpus",
    "services": "#/services",
    "service": "#/s/digits",
    "workers": "#/workers",
    "missing": "#/d/nothing@1",
}
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
SETTLED_MS = 1500


class Stage:
    """A server, two workers and a gateway in a folder of their own."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        (folder / "gallery.py").write_text((ROOT / "tests/support/gallery.py").read_text())
        self.environ = {
            **os.environ,
            "REDIS_URL": f"redis://127.0.0.1:{server.port}/0",
            "ROOTWARD_SECRET": secrets.token_hex(32),
            "GALLERY_PACE": "0.4",
        }
        self._programs: list[subprocess.Popen[bytes]] = []
        self.url = ""

    def start(self) -> None:
        for name in ("alpha", "beta"):
            self._run("worker", "--slots", "4", "--name", name)
        log = self._run("gateway", "serve", "--port", "0", "--token-file", "token")
        line = wait_until(
            lambda: next((x for x in log.read_text().splitlines() if "listens at" in x), ""),
            description="the gateway listens",
            timeout=20,
        )
        self.url = line.partition("listens at ")[2].split()[0]

    def deploy(self, tree: str, *options: str) -> None:
        command = [sys.executable, "-m", "rootward", "deploy", f"gallery.py:{tree}"]
        subprocess.run(
            [*command, "--name", tree, *options],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            check=False,
        )

    def call(self, service: str, value: object) -> None:
        request = Request(f"{self.url}/services/{service}", json.dumps(value).encode())
        with urlopen(request, timeout=20) as answer:
            answer.read()

    def stop(self) -> None:
        for program in self._programs:
            program.terminate()
        for program in self._programs:
            program.wait(60)

    def _run(self, *arguments: str) -> Path:
        log = self.folder / f"{len(self._programs)}.log"
        with log.open("wb") as file:
            command = [sys.executable, "-m", "rootward", *arguments]
            self._programs.append(
                subprocess.Popen(
                    command, cwd=self.folder, env=self.environ, stdout=file, stderr=file
                )
            )
        return log


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Set everything up, and take it down."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        found = Stage(Path(folder), server)
        try:
            found.start()
            yield found
        finally:
            found.stop()


def take(browser: Browser, url: str, path: Path, size: tuple[int, int], theme: str) -> None:
    """Take one picture once the page has settled."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_timeout(SETTLED_MS)
    page.screenshot(path=str(path))
    context.close()


def main(folder: Path | None) -> None:
    from playwright.sync_api import sync_playwright

    target = folder or ROOT / "docs" / "pictures"
    target.mkdir(parents=True, exist_ok=True)
    with stage() as ready, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        if folder is not None:
            take(browser, ready.url, target / "empty-desk-light.png", SIZES["desk"], "light")
        for tree in ("hello", "digits", "atlas", *(["thousand"] if folder else [])):
            ready.deploy(tree)
        ready.deploy("search", "--detach")
        for number in range(60):
            ready.call("digits", [number])
            ready.call("hello", number)
        if folder is None:
            for name, view in PICTURES.items():
                size = (1200, 750)
                take(browser, f"{ready.url}/{view}", target / f"{name}.png", size, "light")
        else:
            all_views(browser, ready, target)
        browser.close()


def all_views(browser: Browser, ready: Stage, target: Path) -> None:
    for name, view in VIEWS.items():
        for kind, size in SIZES.items():
            for theme in ("light", "dark"):
                path = target / f"{name}-{kind}-{theme}.png"
                take(browser, f"{ready.url}/{view}", path, size, theme)
    pid = ready.server.pid
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(ready.url)
    page.locator(".live").wait_for()
    os.kill(pid, signal.SIGSTOP)
    try:
        page.locator(".banner").wait_for(timeout=20_000)
        page.screenshot(path=str(target / "stale-desk-light.png"))
    finally:
        os.kill(pid, signal.SIGCONT)
    page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
