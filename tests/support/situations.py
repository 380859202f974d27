"""A user's project in which each module looks at one thing that Python promises of its code.

`FILES` are its files; what each module has to see is the test's to say.
"""

from __future__ import annotations

SITUATIONS = """
import contextvars, dataclasses, decimal, enum, functools, gc, inspect, io, json, logging, socket
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
gc.disable()
sys.setrecursionlimit(5000)
socket.setdefaulttimeout(7)
os.chdir("/")
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


class Settings(Base):
    def look(self):
        return [gc.isenabled(), sys.getrecursionlimit(), socket.getdefaulttimeout(), os.getcwd()]


class Version(Base):
    def look(self):
        from importlib.metadata import entry_points, version

        return [version("my-project"), [each.name for each in entry_points(group="my.group")]]


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
    Raises(), Settings(), Version(), Subclasses(), Imports(), identity,
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
    "my_project.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: my-project\nVersion: 1.5\n",
    "my_project.egg-info/entry_points.txt": "[my.group]\nfirst = app:square\n",
    "named.py": "VALUE = 'named'\n",
}
