"""One project, deployed in every way there is, on two workers that can't see it.

The project has a package with relative imports and a data file, a `lib/` that it puts on `sys.path`
and a plugin that it loads by its path. Each way submits it; then the project is gone, and only then
the workers start, each in a folder and with a cache of its own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from tests.support.projects import UserProject, far_worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Network

SERVE = """
import importlib.resources, importlib.util, json, sys
from pathlib import Path
from rootward import ActionModule, ModuleBase, ServerModule
from . import parts
from .parts import double

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))
import inlib

spec = importlib.util.spec_from_file_location("plug", ROOT / "plugins" / "plug.py")
plug = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plug)


class Look(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        self.words = importlib.resources.files("shop").joinpath("words.txt").read_text()
        print("SAW", json.dumps([self.name, *self.forward(2)]), flush=True)

    def forward(self, x):
        return [double(x), parts.NAME, inlib.VALUE, plug.VALUE, self.words]


look = Look(name="look")
again = Look(name="again")
tree = ActionModule(ServerModule(look), again, name="ways")
"""
SUBMIT = """
def submit(tree):
    from rootward import orchestrator

    with orchestrator.connect() as client:
        client.submit(tree, name="ways")
"""
FILES = {
    "shop/__init__.py": "",
    "shop/serve.py": SERVE,
    "shop/parts.py": "NAME = __name__\ndef double(x):\n    return 2 * x\n",
    "shop/words.txt": "the words",
    "shop/__main__.py": "from .serve import tree\nfrom submitting import submit\nsubmit(tree)\n",
    "lib/inlib.py": "VALUE = 'in lib'\n",
    "plugins/plug.py": "VALUE = 'plugged'\n",
    "submitting.py": SUBMIT,
    "main.py": (
        "from shop.serve import tree\n"
        "if __name__ == '__main__':\n"
        "    from submitting import submit\n"
        "    submit(tree)\n"
    ),
    "unguarded.py": "from shop.serve import tree\nfrom submitting import submit\nsubmit(tree)\n",
}
CELL = """
from rootward import ActionModule, ModuleBase
from shop.serve import look, tree
from submitting import submit
FACTOR = 1
class Cell(ModuleBase):
    def forward(self, x):
        return [each for each in x] * FACTOR
submit(ActionModule(tree, Cell()))
"""
EXPECTED = [4, "shop.parts", "in lib", "plugged", "the words"]


@pytest.fixture
def client(network: Network) -> Iterator[orchestrator.Client]:
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        yield client


WAYS = {
    "by file, in its folder": (["rootward", "main.py:tree"], "."),
    "by file, in another folder": (["rootward", "../main.py:tree"], "elsewhere"),
    "by package": (["rootward", "shop.serve:tree"], "."),
    "by reference": (["rootward", "shop.serve:tree", "--by-reference"], "."),
    "a script": (["main.py"], "."),
    "a script, in another folder": (["../main.py"], "elsewhere"),
    "a script without a guard": (["unguarded.py"], "."),
    "a module as a script": (["-m", "main"], "."),
    "a package as a script": (["-m", "shop"], "."),
    "standard input": (["-"], "."),
    "IPython": (["-m", "IPython", "--no-banner", "--colors=NoColor", "-c", CELL], "."),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_project_travels(network: Network, client: orchestrator.Client, way: str) -> None:
    project = UserProject.of(network, {**FILES, "elsewhere/note.txt": ""})
    words, cwd = WAYS[way]
    if words[0] == "rootward":
        done = project.rootward("deploy", *words[1:], "--detach", "--name", "ways", cwd=cwd)
    elif words == ["-"]:
        done = project.python("-c", CELL, cwd=cwd)
    else:
        done = project.python(*words, cwd=cwd)
    assert done.process.returncode == 0, done.report()
    project.vanish()
    for name in ("north", "south"):
        far_worker(network, name, "--slots", "1")
    deployment = client.deployment("ways").wait(60)
    text = "".join(entry.text for entry in deployment.logs(follow=False))
    saw = [json.loads(line[4:]) for line in text.splitlines() if line.startswith("SAW ")]
    assert sorted(saw) == [["again", *EXPECTED], ["look", *EXPECTED]]
    service = client.gateway.services()[0].service
    assert client.gateway.call(service, 2) == EXPECTED
