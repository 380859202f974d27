"""The main program's own code: as a module where it is guarded, by value where it isn't.

Each program runs `update()` or `start()` on its own tree, with a worker on "another machine" or
without any Redis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.projects import UserProject, far_worker

if TYPE_CHECKING:
    from tests.acceptance.conftest import Network

TOP = """
import contextvars, functools, inspect, json, multiprocessing as mp, os, pickle, sys, threading
from rootward import ModuleBase, ServerModule

LOCK = threading.Lock()
VAR = contextvars.ContextVar("VAR", default=5)
RAN = [__name__]


@functools.lru_cache
def load():
    return 7


def square(x):
    return x * x


class Point:
    def __init__(self, x):
        self.x = x


class M(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        import helpers

        with LOCK:
            self.seen = [load(), VAR.get(), helpers.VALUE, inspect.getsource(square)[:10]]
        self.point = Point(3)

    def forward(self, x):
        if x < 0:
            raise RuntimeError("below zero")
        with LOCK:
            return [load(), VAR.get(), square(x)]
"""
UNGUARDED = """
m = M(name="m")
m.update()
assert m.seen == [7, 5, "helped", "def square"], m.seen
print("fine", m.point.x)
"""
GUARDED = """
class Pooled(M):
    def train(self):
        super().train()
        assert pickle.loads(pickle.dumps(self)).name == self.name
        assert sys.modules[type(self).__module__].Pooled is type(self)
        with mp.get_context("spawn").Pool(1) as pool:
            self.pooled = pool.map(square, [3])
        self.ran = RAN


if __name__ == "__main__":
    m = Pooled(name="m")
    m.update()
    assert m.seen == [7, 5, "helped", "def square"], m.seen
    assert m.pooled == [9]
    assert m.ran == ["__mp_main__"], m.ran
    assert type(m.point) is Point
    print("fine", m.point.x)
"""
SERVES = """
s = ServerModule(M())
s.start()
assert s(4) == [7, 5, 16]
try:
    s(-1)
except RuntimeError as error:
    assert str(error) == "below zero"
s.stop()
print("fine", 3)
"""


def indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


PROGRAMS = {
    "unguarded": TOP + UNGUARDED,
    "guarded": TOP + GUARDED,
    "serves": TOP + SERVES,
    "serves, guarded": f"{TOP}if __name__ == '__main__':\n{indented(SERVES)}",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs_its_own_classes_on_a_far_worker(network: Network, name: str) -> None:
    project = UserProject.of(network, {"app.py": PROGRAMS[name], "helpers.py": "VALUE = 'helped'"})
    far_worker(network)
    done = project.python("app.py")
    assert done.stdout == "fine 3\n", done.report()


@pytest.mark.parametrize("name", ["serves", "serves, guarded"])
def test_a_program_serves_its_own_classes_without_redis(network: Network, name: str) -> None:
    project = UserProject.of(network, {"app.py": PROGRAMS[name]})
    project.more["REDIS_URL"] = None
    done = project.python("app.py")
    assert done.stdout == "fine 3\n", done.report()


def test_standard_input_sends_its_classes_and_takes_files_along(network: Network) -> None:
    project = UserProject.of(network, {"helpers.py": "VALUE = 'helped'"})
    far_worker(network)
    source = (TOP + UNGUARDED).replace("inspect.getsource(square)[:10]", "'def square'")
    done = project.python("-c", source)
    assert done.stdout == "fine 3\n", done.report()


def test_an_error_shows_the_line_of_a_program_that_isnt_there(network: Network) -> None:
    """Its file is on the submitter's machine only; the traceback has the source all the same."""
    source = (TOP + UNGUARDED).replace("import helpers\n", "raise RuntimeError('no data')\n")
    project = UserProject.of(network, {"app.py": source})
    far_worker(network)
    done = project.python("app.py")
    assert "in train: raise RuntimeError('no data')" in done.stderr
    assert "at app.py:" in done.stderr


def test_a_global_that_cant_travel_is_named_and_not_what_uses_it(network: Network) -> None:
    source = TOP.replace("threading.Lock()", "__import__('sqlite3').connect(':memory:')")
    project = UserProject.of(network, {"app.py": source + UNGUARDED, "helpers.py": ""})
    done = project.python("app.py")
    assert "uses the global LOCK of the main program, and a Connection" in done.stderr
    assert "__main__" in done.stderr


def test_a_file_target_serves_real_modules_without_redis(network: Network) -> None:
    """Also what it imports inside of functions."""
    app = "import helpers\nfrom rootward import ServerModule\ntree = ServerModule(helpers.served)\n"
    helpers = (
        "import sys\nLATE = []\n"
        "def served(x):\n"
        "    import late\n"
        "    return [late.VALUE, __name__, sys.modules[__name__].served is served]\n"
    )
    main = "from app import tree\ntree.start()\nprint(tree(1))\ntree.stop()\n"
    files = {"app.py": app, "helpers.py": helpers, "late.py": "VALUE = 1\n", "run.py": main}
    project = UserProject.of(network, files)
    project.more["REDIS_URL"] = None
    done = project.python("run.py")
    assert done.stdout == "[1, 'helpers', True]\n", done.report()


def test_two_code_states_run_side_by_side_on_one_worker(network: Network) -> None:
    """Each generation has processes and files of its own, and nothing leaks."""
    worker = far_worker(network)
    served = "from rootward import ServerModule\nimport part\ntree = ServerModule(part.answer)\n"
    for number in (1, 2):
        files = {"app.py": served, "part.py": f"def answer(x):\n    return {number}\n"}
        project = UserProject.of(network, files, f"state{number}")
        done = project.rootward("deploy", "app.py:tree", "--name", f"state{number}")
        assert done.process.returncode == 0, done.report()
    for number in (1, 2):
        called = project.rootward("gateway", "call", f"state{number}", "0")
        assert called.stdout.strip() == str(number), called.report() + worker.report()


def test_a_shell_without_any_file_shows_the_lines_of_its_cells(network: Network) -> None:
    """What was typed into IPython is nowhere on disk."""
    cell = (
        "from rootward import ModuleBase\n"
        "class M(ModuleBase):\n"
        "    def _get_train_tasks(self):\n"
        "        return self.train\n"
        "    def train(self):\n"
        "        raise RuntimeError('typed here')\n"
        "M(name='m').update()\n"
    )
    project = UserProject.of(network, {"note.txt": ""})
    far_worker(network)
    done = project.python("-m", "IPython", "--no-banner", "--colors=NoColor", "-c", cell)
    assert "in train: raise RuntimeError('typed here')" in done.stdout + done.stderr


def test_a_program_names_the_files_that_go_along(network: Network) -> None:
    """`include` and `exclude` of `submit` are patterns, relative to the program's folder."""
    app = """
    from pathlib import Path
    from rootward import ModuleBase, orchestrator
    class M(ModuleBase):
        def _get_train_tasks(self):
            return self.train
        def train(self):
            here = Path(__file__).parent
            print("FOUND", sorted(path.name for path in (here / "data").iterdir()))
    if __name__ == "__main__":
        with orchestrator.connect() as client:
            deployment = client.submit(M(name="m"), include=["data"], exclude=["*.tmp"]).wait(60)
            print("".join(entry.text for entry in deployment.logs(follow=False)))
    """
    files = {"app.py": app, "data/a.csv": "1", "data/b.tmp": "2", "other.csv": "3"}
    project = UserProject.of(network, files)
    far_worker(network)
    done = project.python("app.py")
    assert "FOUND ['a.csv']" in done.stdout, done.report()
