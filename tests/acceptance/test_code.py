"""The user's code on workers that can't see the project: what Python promises of a module holds.

Each situation is a module of one tree, which says in its training what it saw; `SITUATIONS` is
that file. A worker starts only when the project is gone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from rootward.orchestrator.errors import DeploymentFailed
from tests.support.projects import UserProject, far_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Network

HEAD = "from rootward import ModuleBase, ServerModule, ActionModule\n"


@pytest.fixture
def client(network: Network) -> Iterator[orchestrator.Client]:
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        yield client


SITUATIONS = """
import contextvars, dataclasses, decimal, enum, functools, inspect, io, json, logging
import multiprocessing as mp, os, pickle, queue, sqlite3, sys, threading, typing, warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import registry
from rootward import ModuleBase, ServerModule, ActionModule

COUNT = [0]
COUNT[0] += 1
logging.basicConfig(level=logging.INFO, format="%(levelname)s:%(message)s")
os.environ.setdefault("SET_AT_THE_TOP", "yes")
warnings.filterwarnings("error", category=DeprecationWarning)
decimal.getcontext().prec = 50
registry.KNOWN["app"] = "entered"
LOCK = threading.Lock()
LOCAL = threading.local()
VAR = contextvars.ContextVar("VAR", default="default")
POOL = ThreadPoolExecutor(2)
DATABASE = sqlite3.connect(":memory:")
QUEUE = queue.Queue()
MISSING = object()
CALLS = []


@functools.lru_cache
def load():
    CALLS.append(1)
    return {"loaded": True}


@functools.singledispatch
def shape(x):
    return "other"


@shape.register
def _(x: int):
    return "int"


def square(x):
    return x * x


def made(factor):
    def scale(x):
        return x * factor

    return scale


double = made(2)
half = lambda x: x / 2  # noqa: E731


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int


class Row(typing.NamedTuple):
    x: int


class Failure(Exception):
    def __init__(self, code, text):
        super().__init__(code, text)


class Base(ModuleBase):
    made = []

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        Base.made.append(cls.__name__)

    def _get_train_tasks(self):
        return self.train

    def train(self):
        print("SAW", json.dumps([type(self).__name__, self.look()]), flush=True)


class Pool(Base):
    def look(self):
        with mp.get_context("fork").Pool(2) as pool:
            return pool.map(square, [1, 2, 3])


class Spawned(Base):
    def look(self):
        with mp.get_context("spawn").Pool(1) as pool:
            return pool.map(square, [1, 2, 3])


class Pickled(Base):
    def look(self):
        again = pickle.loads(pickle.dumps(self))
        values = [Colour.RED, Point(1), Row(2), square, load, Failure]
        return [type(again) is type(self)] + [pickle.loads(pickle.dumps(v)) == v for v in values]


class Cached(Base):
    def look(self):
        load(), load()
        return [load(), len(CALLS)]


class SideEffects(Base):
    def look(self):
        try:
            warnings.warn("old", DeprecationWarning)
            warned = False
        except DeprecationWarning:
            warned = True
        logging.getLogger("app").info("told by the logger")
        third = str(decimal.Decimal(1) / 3)
        return [os.environ["SET_AT_THE_TOP"], warned, len(third), registry.KNOWN["app"], COUNT]


class Globals(Base):
    def __init__(self):
        super().__init__()
        self.lock, self.missing, self.var = LOCK, MISSING, VAR
        self.double, self.half, self.load = double, half, load

    def look(self):
        with LOCK:
            locked = self.lock is LOCK and LOCK.locked()
        LOCAL.x = 1
        VAR.set("set")
        QUEUE.put(3)
        rows = DATABASE.execute("select 1 + 1").fetchall()
        pooled = POOL.submit(square, 4).result()
        same = [self.missing is MISSING, self.var is VAR, self.double is double, self.half is half]
        return [locked, LOCAL.x, VAR.get(), QUEUE.get(), rows, pooled, same, self.load is load]


class Source(Base):
    def look(self):
        me = sys.modules[__name__]
        return [
            inspect.getsource(square),
            type(self).__module__,
            me.Source is type(self),
            Path(__file__).name,
            inspect.getmodule(self.train) is me,
            __spec__.name,
            typing.get_type_hints(Point)["x"] is int,
        ]


class Closures(Base):
    def __init__(self, n):
        super().__init__()
        self.run = lambda x: (COUNT, square(x) + n, half(x))
        self.count = COUNT

    def look(self):
        counted, value, halved = self.run(3)
        counted.append("seen by all")
        result = [counted is COUNT, COUNT[-1], value, halved, shape(3)]
        COUNT.pop()
        return result


class Identity(Base):
    def look(self):
        import helpers

        found = sys.modules[__name__].tree
        return [
            found.parts[0] is PARTS[0],
            identity is self,
            helpers.tree_of(__name__) is found,
            REGISTRY["identity"] is self,
        ]


class Raises(Base):
    def look(self):
        try:
            raise Failure(7, "text")
        except Failure as error:
            line = error.__traceback__.tb_lineno
            return [error.args, open(__file__).read().splitlines()[line - 1].strip()]


class Subclasses(Base):
    def look(self):
        return sorted(Base.made)


class Imports(Base):
    def look(self):
        import importlib
        from lazily import deep
        named = importlib.import_module("named")
        return [deep.VALUE, named.VALUE, deep.__file__ != named.__file__, "lazily" in sys.modules]


identity = Identity()
REGISTRY = {"identity": identity}
PARTS = [
    Pool(), Spawned(), Pickled(), Cached(), SideEffects(), Globals(), Source(), Closures(1),
    Raises(), Subclasses(), Imports(), identity,
]


class Whole(ModuleBase):
    def __init__(self, parts):
        super().__init__(name="situations")
        self.parts = parts


tree = Whole(PARTS)
"""

FILES = {
    "app.py": SITUATIONS,
    "registry.py": "KNOWN = {}\n",
    "helpers.py": "import sys\ndef tree_of(name):\n    return sys.modules[name].tree\n",
    "lazily/__init__.py": "",
    "lazily/deep.py": "VALUE = 'deep'\n",
    "named.py": "VALUE = 'named'\n",
}


def seen_by(client: orchestrator.Client, name: str) -> dict[str, object]:
    """Return what each module of a deployment saw, by its class."""
    deployment = client.deployment(name)
    text = "".join(entry.text for entry in deployment.logs(follow=False))
    lines = [line.removeprefix("SAW ") for line in text.splitlines() if line.startswith("SAW ")]
    return dict(map(json.loads, lines))


def test_what_python_promises_of_a_module_holds(
    network: Network, client: orchestrator.Client
) -> None:
    UserProject.of(network, FILES).submit("app.py:tree")
    far_worker(network, "far", "--slots", "2")
    client.deployment("app").wait(60)
    classes = "Cached Closures Globals Identity Imports Pickled Pool Raises SideEffects Source"
    assert seen_by(client, "app") == {
        "Pool": [1, 4, 9],
        "Spawned": [1, 4, 9],
        "Pickled": [True] * 7,
        "Cached": [{"loaded": True}, 1],
        "SideEffects": ["yes", True, 52, "entered", [1]],
        "Globals": [True, 1, "set", 3, [[2]], 16, [True] * 4, True],
        "Closures": [True, "seen by all", 10, 1.5, "int"],
        "Subclasses": [*classes.split(), "Spawned", "Subclasses"],
        "Identity": [True] * 4,
        "Source": ["def square(x):\n    return x * x\n", "app", True, "app.py", True, "app", True],
        "Imports": ["deep", "named", True, True],
        "Raises": [[7, "text"], 'raise Failure(7, "text")'],
    }


FAILS = (
    HEAD
    + """
class M(ModuleBase):
    def _get_train_tasks(self):
        return self.fit
    def fit(self):
        raise RuntimeError("no data")
tree = M()
"""
)


def test_an_error_is_told_with_the_users_own_file_and_line(
    network: Network, client: orchestrator.Client
) -> None:
    """In the command line, in Python's error, in the stored traceback."""
    project = UserProject.of(network, {"sub/app.py": FAILS})
    far_worker(network)
    done = project.rootward("deploy", "sub/app.py:tree", "--retries", "0")
    line = 'app.py:7 in fit: raise RuntimeError("no data")'
    assert done.process.returncode == 1
    assert f"at {line}" in done.stderr
    with pytest.raises(DeploymentFailed) as caught:
        client.deployment("app").wait(10)
    assert line in str(caught.value)
    assert 'File "app.py", line 7, in fit' in caught.value.failures[0].traceback


def test_a_module_that_a_worker_lacks_is_named_with_its_distribution(
    network: Network, client: orchestrator.Client, tmp_path: Path
) -> None:
    """The distribution and its version are those of the submitter."""
    site = tmp_path / "site"
    (site / "wheely-2.5.dist-info").mkdir(parents=True)
    (site / "wheely-2.5.dist-info" / "RECORD").write_text("wheel_lib/__init__.py,,\n")
    (site / "wheel_lib").mkdir()
    (site / "wheel_lib" / "__init__.py").write_text("VALUE = 1\n")
    project = UserProject.of(
        network, {"app.py": "import wheel_lib\n" + FAILS, "late.py": "import wheel_lib\n"}
    )
    project.more["PYTHONPATH"] = str(site)
    project.submit("app.py:tree")
    site.rename(tmp_path / "nowhere")
    far_worker(network, "poor")
    with pytest.raises(DeploymentFailed, match="worker poor has no module 'wheel_lib'") as caught:
        client.deployment("app").wait(60)
    assert "wheely 2.5" in str(caught.value)
    assert "install wheely==2.5" in str(caught.value)


def test_a_file_that_stayed_behind_is_named(network: Network, client: orchestrator.Client) -> None:
    """Data goes along when it is asked for; the error says how."""
    source = FAILS.replace(
        'raise RuntimeError("no data")', "print(open(HERE / 'words.txt').read())"
    )
    source = "from pathlib import Path\nHERE = Path(__file__).parent\n" + source
    files = {"app.py": source, "words.txt": "these are the words"}
    UserProject.of(network, files, "without").submit("app.py:tree", name="without")
    UserProject.of(network, files, "with").submit("app.py:tree", "--include", "*.txt", name="with")
    far_worker(network)
    with pytest.raises(DeploymentFailed, match=r"add --include 'words\.txt'"):
        client.deployment("without").wait(60)
    deployment = client.deployment("with").wait(60)
    assert "these are the words" in "".join(e.text for e in deployment.logs(follow=False))
