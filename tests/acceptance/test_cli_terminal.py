"""What a person sees in a real terminal (tmux), at two sizes, while things happen."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from typing import TYPE_CHECKING

import pytest

from rootward.orchestrator.cli.columns import cells
from tests.support.programs import environment, rootward, run
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Network

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux isn't installed")

TREE = """
import pathlib
import time

from rootward import ModuleBase

HERE = pathlib.Path("FOLDER")


class Leaf(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        if self.name.endswith("七") :
            raise RuntimeError("数据不见了")
        while self.name.endswith("八") and not (HERE / "go").exists():
            time.sleep(0.02)


class Root(ModuleBase):
    def __init__(self):
        super().__init__(name="检索")
        for group in "一二三":
            part = ModuleBase(name=f"组{group}")
            for member in "甲乙丙丁七八" if group == "三" else "甲乙丙丁戊己庚辛壬癸":
                setattr(part, member, Leaf(name=f"向量模型-{member}"))
            setattr(self, group, part)

    def _get_train_tasks(self):
        return lambda: None


tree = Root()
"""


class Screen:
    """A terminal of a size, in which one command runs."""

    def __init__(self, size: tuple[int, int], folder: Path, environ: dict[str, str]) -> None:
        self._socket = f"rw-{uuid.uuid4().hex[:8]}"
        self._folder, self._environ = folder, environ
        self.width, self.height = size

    def run(self, *command: str) -> None:
        """Start a command, and stay when it has ended."""
        words = " ".join(f"'{word}'" for word in command)
        self._tmux(
            *("new-session", "-d", "-x", str(self.width), "-y", str(self.height)),
            f"{words}; echo the end; exec cat",
        )

    def text(self) -> str:
        """Return what is shown."""
        return self._tmux("capture-pane", "-p")

    def close(self) -> None:
        self._tmux("kill-server")

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-f", "/dev/null", "-L", self._socket, *words],
            cwd=self._folder,
            env=environment({**self._environ, "LANG": "C.UTF-8", "TERM": "xterm-256color"}),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a tree to deploy."""
    (tmp_path / "tree.py").write_text(TREE.replace("FOLDER", str(tmp_path)))
    return tmp_path


@pytest.fixture(params=[(80, 24), (160, 50)], ids=["80x24", "160x50"])
def screen(request: pytest.FixtureRequest, network: Network, folder: Path) -> Iterator[Screen]:
    """A terminal, and a worker that works."""
    network.worker("--slots", "2")
    screen = Screen(request.param, folder, network.environ)
    yield screen
    screen.close()


def test_a_live_tree_fits_its_terminal_and_says_the_truth(
    screen: Screen, network: Network, folder: Path
) -> None:
    """What failed and what runs is in sight, finished groups are folded, no line is broken."""
    screen.run(*rootward("deploy", "tree.py:tree"))
    shown = wait_until(
        lambda: text if all(w in (text := screen.text()) for w in ("failed", "running")) else None,
        description="a module has failed and another runs",
        timeout=40,
    )
    assert shown is not None
    assert all(cells(line) <= screen.width for line in shown.splitlines())
    (failed,) = [line for line in shown.splitlines() if "failed train" in line]
    assert "向量模型-七" in failed
    (running,) = [line for line in shown.splitlines() if "running train" in line]
    assert "向量模型-八" in running
    assert "检索@1  progressing" in shown
    if screen.height < 30:
        wait_until(
            lambda: "组一" in screen.text() and "10/10 ✓" in screen.text(),
            description="a finished group is folded",
            timeout=20,
        )
    (folder / "go").touch()
    end = wait_until(
        lambda: text if "the end" in (text := screen.text()) else None,
        description="the command has ended",
        timeout=40,
    )
    assert end is not None
    assert "RuntimeError: 数据不见了" in end
    status = run(rootward("status", "检索", "--failed"), folder=folder, environ=network.environ)
    assert "向量模型-七" in status.stdout
    assert "向量模型-甲" not in status.stdout


def test_an_overview_is_watched(screen: Screen, network: Network, folder: Path) -> None:
    """Deployments and workers, kept up to date."""
    screen.run(*rootward("status", "--watch"))
    wait_until(lambda: "nothing is deployed" in screen.text(), description="it is empty")
    (folder / "go").touch()
    run(rootward("deploy", "tree.py:tree"), folder=folder, environ=network.environ)
    wait_until(
        lambda: any("检索@1" in line and "failed" in line for line in screen.text().splitlines()),
        description="the overview shows it",
        timeout=20,
    )
    assert "WORKER" in screen.text()
