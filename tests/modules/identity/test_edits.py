"""Edits of code: one that changes what a module does is found, and changes no other module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.edited_program import CONSTANTS, LEAF, STILL, edit

if TYPE_CHECKING:
    from tests.support.identities import Edits

CLOSURE = "def make(k):\n    def f(x): return x * k\n    return f\n"
CONFIG = "class Config:\n    def __init__(this, v): this.v = v\n"
REGISTRY = (
    "R = {}\ndef register(name):\n    def keep(f):\n        R[name] = f\n        return f\n"
    "    return keep\n@register('a')\ndef fa(x): return x"
)
LOCAL = {
    "comment": edit("body", "return x", "# why\n        return   x  # so"),
    "docstring": edit(
        "members",
        '    def h(self):\n        """Words."""\n        return 1',
        "    def h(self):\n        '''Other\n        words.'''\n        return 1",
    ),
    "formatting": edit("body", "return (x +\n          1)", "return x + 1"),
    "unused function": edit("pre", "", "def unused(): return 1"),
    "unused constant": edit(
        "constants.py", "X = 1\nY = 1", "X = 1\nY = 2", pre=CONSTANTS, body="return constants.X"
    ),
    "order of definitions": edit(
        "constants.py",
        "X = 1\ndef f(): pass",
        "def f(): pass\nX = 1",
        pre=CONSTANTS,
        body="return constants.X",
    ),
    "standard library import": edit("pre", "", "import json"),
    "logging": edit(
        "pre",
        "import logging\nlog = logging.getLogger(__name__)\nlog.info('x')",
        "import logging\nlog = logging.getLogger(__name__)\nlog.info('y')\nprint('z')",
        body="log.info('a'); return x",
    ),
    "lock": edit(
        "pre",
        "import threading\nL = threading.Lock()",
        "import threading\nL  =  threading.Lock()",
        body="L.acquire(); return x",
    ),
    "main guard": edit("end", "", "if __name__ == '__main__':\n    tree.update()\n    print(1)"),
    "a place in the project": edit(
        "pre",
        "from pathlib import Path\nHERE = Path(__file__).parent",
        "from pathlib import Path\nHERE = Path( __file__ ).parent",
        body="return HERE",
    ),
    "set of texts": edit("call", "{'a', 'b', 'c'}", "{'c', 'b', 'a'}", args="a"),
    "dict of hashes": edit(
        "pre",
        "W = {w: len(w) for w in set('abcdefghijkl')}",
        "W = {w: len(w) for w in set('abcdefghijkl')}\ndef unused(): pass",
        body="return W",
    ),
}
OF_LEAF = {
    "body": edit("body", "return x", "return x + 1"),
    "constant": edit("constants.py", "X = 1", "X = 2", pre=CONSTANTS, body="return constants.X"),
    "constant in a package": edit(
        "pkg/constants.py",
        "X = 1",
        "X = 2",
        pre="import pkg.constants",
        body="return pkg.constants.X",
        **{"pkg/__init__.py": ""},
    ),
    "through relative imports": edit(
        "pkg/n.py",
        "def g(): return 1",
        "def g(): return 2",
        pre="from pkg import f",
        body="return f()",
        **{
            "pkg/__init__.py": "from .m import f",
            "pkg/m.py": "from . import n\ndef f(): return n.g()",
        },
    ),
    "star import": edit(
        "constants.py",
        "def f(): return 1",
        "def f(): return 2",
        pre="from constants import *",
        body="return f()",
    ),
    "alias of a module": edit(
        "constants.py",
        "X = 1",
        "X = 2",
        pre="import constants as c",
        body="m = c\n        return m.X",
    ),
    "handed on bare": edit(
        "constants.py",
        "X = 1",
        "X = 2",
        pre=CONSTANTS + "from operator import attrgetter",
        body="return attrgetter('X')(constants)",
    ),
    "handed on, imported there": edit(
        "deep.py",
        "def X(): return 1",
        "def X(): return 2",
        pre=CONSTANTS,
        body="return getattr(constants, 'X')",
        constants__py="from deep import X",
    ),
    "module __getattr__": edit(
        "constants.py",
        "def __getattr__(n): return 1",
        "def __getattr__(n): return 2",
        pre=CONSTANTS,
        body="return constants.Q",
    ),
    "functions of functions": edit(
        "pre",
        "def a(): return b()\ndef b(): return c()\ndef c(): return 1",
        "def a(): return b()\ndef b(): return c()\ndef c(): return 2",
        body="return a()",
    ),
    "shadowed by a comprehension": edit(
        "pre", "k = 2", "k = 3", body="[k for k in range(3)]; return k"
    ),
    "closure": edit("call", "make(2)", "make(3)", pre=CLOSURE, args="f"),
    "default": edit(
        "pre", "def g(x, k=2): return k", "def g(x, k=3): return k", body="return g(x)"
    ),
    "default by name": edit(
        "pre",
        "K = 2\ndef g(x, k=K): return k",
        "K = 3\ndef g(x, k=K): return k",
        body="return g(x)",
    ),
    "default of a method": edit(
        "pre",
        CONFIG + "D = Config(1)",
        CONFIG + "D = Config(2)",
        members="    def h(self, c=D): return c.v",
    ),
    "partial": edit(
        "pre",
        "from functools import partial\nh = partial(int, base=2)",
        "from functools import partial\nh = partial(int, base=3)",
        body="return h(x)",
    ),
    "cached": edit(
        "pre",
        "from functools import lru_cache\n@lru_cache\ndef g(x): return 1",
        "from functools import lru_cache\n@lru_cache\ndef g(x): return 2",
        body="return g(x)",
    ),
    "dispatched": edit(
        "pre",
        "from functools import singledispatch\n@singledispatch\n"
        "def g(x): return 1\n@g.register(int)\ndef _(x): return 5",
        "from functools import singledispatch\n@singledispatch\n"
        "def g(x): return 1\n@g.register(int)\ndef _(x): return 6",
        body="return g(x)",
    ),
    "one of two lambdas": edit(
        "call", "fs[0]", "fs[1]", pre="fs = [lambda x: x, lambda x: -x]", args="f"
    ),
    "decorator's argument": edit(
        "deco", "@mark(1)", "@mark(2)", pre="def mark(n): return lambda c: c"
    ),
    "decorator's text": edit(
        "pre", "def mark(c): return c", "def mark(c): 1 + 1; return c", deco="@mark"
    ),
    "registry": edit("pre", REGISTRY, REGISTRY + " + 1", body="return R['a'](x)"),
    "filled container": edit(
        "pre",
        "T = []\nfor i in range(3): T.append(i)",
        "T = []\nfor i in range(4): T.append(i)",
        body="return T",
    ),
    "class attribute": edit("members", "    T = [1, 2]", "    T = [2, 1]"),
    "property": edit(
        "members",
        "    @property\n    def p(self): return 1",
        "    @property\n    def p(self): return 2",
    ),
    "static method": edit(
        "members",
        "    @staticmethod\n    def p(): return 1",
        "    @staticmethod\n    def p(): return 2",
    ),
    "removed method": edit("members", "    def h(self): return 1", ""),
    "base of a base": edit(
        "pre",
        "class A(rootward.ModuleBase):\n    def h(self): return 1\nclass B(A): pass",
        "class A(rootward.ModuleBase):\n    def h(self): return 2\nclass B(A): pass",
        bases="B",
    ),
    "order of bases": edit(
        "bases",
        "A, B, rootward.ModuleBase",
        "B, A, rootward.ModuleBase",
        pre="class A:\n    h = 1\nclass B:\n    h = 2",
    ),
    "metaclass": edit(
        "pre",
        "class M(type(rootward.ModuleBase)):\n    z = 1",
        "class M(type(rootward.ModuleBase)):\n    z = 2",
        bases="rootward.ModuleBase, metaclass=M",
    ),
    "__init_subclass__": edit(
        "pre",
        "class B(rootward.ModuleBase):\n    def __init_subclass__(cls): cls.z = 1",
        "class B(rootward.ModuleBase):\n    def __init_subclass__(cls): cls.z = 2",
        bases="B",
    ),
    "nested class": edit(
        "pre",
        "class O:\n    class I:\n        v = 1",
        "class O:\n    class I:\n        v = 2",
        body="return O.I.v",
    ),
    "class made by a call": edit(
        "pre", "P = type('P', (), {'v': 1})", "P = type('P', (), {'v': 2})", body="return P.v"
    ),
    "enumeration": edit(
        "pre",
        "import enum\nclass E(enum.Enum):\n    A = 1",
        "import enum\nclass E(enum.Enum):\n    A = 2",
        body="return E.A",
    ),
    "data class": edit(
        "pre",
        "from dataclasses import dataclass\n@dataclass\nclass D:\n    a: int = 1",
        "from dataclasses import dataclass\n@dataclass\nclass D:\n    a: int = 2",
        body="return D().a",
    ),
    "object that pickles as another": edit(
        "pre",
        CONFIG + "    def __reduce__(this): return Config, (1,)\nQ = Config(1)",
        CONFIG + "    def __reduce__(this): return Config, (1,)\nQ = Config(2)",
        body="return Q.v",
    ),
    "private slot": edit(
        "call",
        "P(1)",
        "P(2)",
        args="a",
        pre="class P:\n    __slots__ = '__w',\n    def __init__(this, v): this.__w = v",
    ),
    "iterator": edit(
        "pre",
        "import itertools\nV = itertools.cycle([1, 2])",
        "import itertools\nV = itertools.cycle([1, 3])",
        body="return next(V)",
    ),
    "generator": edit(
        "pre", "V = (i for i in [1, 2])", "V = (i for i in [1, 3])", body="return next(V)"
    ),
    "eval": edit(
        "pre", "def hidden(): return 1", "def hidden(): return 2", body="return eval('hidden()')"
    ),
    "globals": edit(
        "pre",
        "def hidden(): return 1",
        "def hidden(): return 2",
        body="return globals()['hidden']()",
    ),
    "import in a function": edit(
        "lazy.py", "def f(): return 1", "def f(): return 2", body="from lazy import f; return f()"
    ),
    "import by name": edit(
        "lazy.py",
        "def f(): return 1",
        "def f(): return 2",
        pre="import importlib",
        body="return importlib.import_module('lazy').f()",
    ),
    "own text": edit("end", "Z = 1", "Z = 2", body="return open(__file__).read()"),
    "another program": edit(
        "end", "Z = 1", "Z = 2", pre="import os", body="os.system('python app.py'); return x"
    ),
    "a docstring that is read": edit(
        "pre", "def p():\n    'one'", "def p():\n    'two'", body="return p.__doc__"
    ),
    "what exec made": edit(
        "pre",
        "def g(): return 1\nh = eval('lambda: 1')",
        "def g(): return 1\nh = eval('lambda: 2')",
        body="return h()",
    ),
    "work": edit(
        "members",
        "    def _get_train_tasks(self): return [print]",
        "    def _get_train_tasks(self): return None",
    ),
    "hook": edit(
        "pre",
        "def hook(*a): pass",
        "def hook(*a): 1 + 1",
        post="l = Leaf()\nl.register_hook(hook)",
        tree="Top(l, Still())",
    ),
    "evaluation": edit(
        "body",
        "return x",
        "return x + 1",
        post="l = Leaf()\nl.evalset([1])",
        tree="Top(l, Still())",
    ),
    "made by a function": edit(
        "body",
        "return x",
        "return x + 1",
        tree="build()",
        post="def build():\n    l = Leaf()\n    l.evalset([1])\n    return Top(l, Still())",
    ),
}


@pytest.mark.parametrize("name", LOCAL)
def test_an_edit_that_changes_nothing_leaves_every_module_unchanged(
    edits: Edits, name: str
) -> None:
    """Under another hash seed and in another folder, too."""
    each = LOCAL[name]
    assert edits.changed(each.files(each.before), each.files(each.after)) == set()


@pytest.mark.parametrize("name", OF_LEAF)
def test_an_edit_of_what_a_module_uses_changes_it_and_what_loads_it(
    edits: Edits, name: str
) -> None:
    """But not its sibling."""
    each = OF_LEAF[name]
    found = edits.changed(each.files(each.before), each.files(each.after))
    assert found - {"app/b", STILL} == {"app", LEAF}
    assert STILL not in found
