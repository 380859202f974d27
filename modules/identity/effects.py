"""Which statements of a module count for all code of a project, when they run at its import.

What is assigned counts by its value, wherever it is used. Counted here are effects that no value
shows: calls whose value is thrown away, stores into attributes and items, and calls whose value is
kept when what they run, as far as the project's own sources tell, does one of these to something
that isn't its own. Modules of a tree are exempt, as all that they hold is compared anyway.
"""

from __future__ import annotations

import ast
import re
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from ..composite import Composite
from .kinds import is_a
from .namespace import MISSING
from .scopes import calls_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .sources import SourceFile

HARMLESS: Final = frozenset({"print", "debug", "info", "warning", "error", "exception", "warn"})
"""Calls that leave no trace but a text."""
_OWN_CHANGES: Final = frozenset(
    {
        "append", "add", "extend", "update", "insert", "setdefault", "pop", "remove", "discard",
        "sort", "reverse", "clear", "appendleft", "popleft", "write", "writelines", "close",
    }
)  # fmt: skip
"""Methods by which a function fills containers and files that it is given."""
_LOUD: Final = re.compile(
    r"(manual_)?seed|set_\w+|use_\w+|enable\w*|disable\w*|install\w*|patch\w*|basicConfig"
    r"|setLevel|filterwarnings|simplefilter|putenv|chdir|register_\w+"
)
"""Names of calls that are made for their effect, whatever is done with their value."""
_MADE: Final = ("__init__", "__new__", "__post_init__", "__call__")
_MAKERS: Final = frozenset(
    {
        "list", "dict", "set", "open", "bytearray", "deque", "defaultdict",
        "pipeline", "parallel", "diverter", "warp", "switch", "ifs", "loop",
    }
)  # fmt: skip
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class ImportEffects:
    """Finds such statements; what a function does is found out once, by its name."""

    def __init__(self, sources: Iterable[SourceFile]) -> None:
        """Note what functions and classes the files define that have been imported."""
        self._defined: dict[str, list[ast.AST]] = {}
        self._methods: set[int] = set()
        # Globals that begin as containers: what is put into them is seen wherever they are used.
        self._containers: set[str] = set()
        others: set[str] = set()
        for source in sources:
            for name, nodes in source.defined.items():
                above, _, last = name.rpartition(".")
                self._defined.setdefault(last, []).extend(nodes)
                if above and not above.endswith("<locals>"):
                    self._methods.update(map(id, nodes))
            for name, value in _assigned(source.tree.body):
                (self._containers if _is_container(value) else others).add(name)
        self._containers -= others
        self._known: dict[str, bool] = {}
        self._observed = self._acts("__init_subclass__") or self._acts("__set_name__")
        self._observed = self._observed or self._acts("__prepare__")

    def counted(self, source: SourceFile, globals_: Mapping[str, Any]) -> list[ast.stmt]:
        """Return the statements of a file that count for all, in their order."""
        return [each for each in source.tree.body if self._counts(each, globals_, source.names)]

    def _counts(self, node: ast.stmt, globals_: Mapping[str, Any], used: frozenset[str]) -> bool:
        if isinstance(node, ast.Expr):
            return self._counts_call(node.value, globals_)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            return self._counts_assignment(node, globals_)
        if isinstance(node, ast.Delete):
            return any(not isinstance(each, ast.Name) for each in node.targets)
        if isinstance(node, ast.Import | ast.ImportFrom):
            return _is_for_effect(node, globals_, used)
        if isinstance(node, ast.If) and _is_never_run(node.test):
            return any(self._counts(each, globals_, used) for each in node.orelse)
        if isinstance(node, ast.ClassDef):
            is_observed = self._observed and bool(node.bases or node.keywords)
            inside = (each for each in node.body if not isinstance(each, _Function))
            return (
                is_observed
                or self._any_acts(node, globals_)
                or any(self._counts(each, globals_, used) for each in inside)
            )
        if isinstance(node, ast.Assert):
            return any(True for _ in calls_in(node))
        blocks = list(_blocks(node))
        return any(self._counts(each, globals_, used) for each in blocks) or self._any_acts(
            node, globals_
        )

    def _counts_call(self, value: ast.AST, globals_: Mapping[str, Any]) -> bool:
        """Whether an expression counts whose value is thrown away."""
        if isinstance(value, ast.Constant | ast.Name):
            return False
        if isinstance(value, ast.Call):
            is_filling = self._is_filling(value)
            is_quiet = isinstance(value.func, ast.Name | ast.Attribute) and (
                _last(value.func) in HARMLESS and _last(value.func) not in self._defined
            )
            if is_quiet or is_filling or _is_of_tree(value.func, globals_):
                return any(
                    self._any_acts(each, globals_)
                    for each in (*value.args, *(pair.value for pair in value.keywords))
                )
        return True

    def _counts_assignment(
        self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, globals_: Mapping[str, Any]
    ) -> bool:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for each in ast.walk(target):
                is_store = isinstance(each, ast.Attribute | ast.Subscript)
                is_seen = self._is_item(each) or _is_of_tree(each, globals_)
                if is_store and not is_seen:
                    return True
        if node.value is None:
            return False
        if self._any_acts(node, globals_):
            return True
        names = [each.id for each in targets if isinstance(each, ast.Name)]
        is_call = any(True for _ in calls_in(node.value))
        return is_call and any(_is_nothing(globals_.get(name, 0)) for name in names)

    def _any_acts(self, node: ast.AST, globals_: Mapping[str, Any]) -> bool:
        """Whether a call acts that runs in a statement and whose value is kept."""
        decorators = getattr(node, "decorator_list", [])
        called = [call.func for call in calls_in(node)]
        called += [each for each in decorators if not isinstance(each, ast.Call)]
        return any(self._may_act(each, globals_) for each in called)

    def _may_act(self, function: ast.AST, globals_: Mapping[str, Any]) -> bool:
        if not isinstance(function, ast.Name | ast.Attribute):
            # What a call returns is called, or a lambda: its text is looked through by name.
            return isinstance(function, ast.Lambda) and self._acts_inside(
                [function.body], [function.args], set()
            )
        name = _last(function)
        if self._acts(name) or (_LOUD.fullmatch(name) and name not in self._defined):
            return True
        live = _live(function, globals_)
        alias = getattr(live, "__name__", None)
        return isinstance(alias, str) and alias != name and self._acts(alias)

    def _acts(self, name: str) -> bool:
        """Whether any function of the project with this name acts on what isn't its own."""
        known = self._known.get(name)
        if known is None:
            # A function that calls itself adds nothing to what it does else.
            self._known[name] = False
            known = self._known[name] = any(map(self._node_acts, self._defined.get(name, ())))
        return known

    def _node_acts(self, node: ast.AST) -> bool:
        if isinstance(node, ast.ClassDef):
            made = [each for each in node.body if isinstance(each, _Function)]
            return any(self._node_acts(each) for each in made if each.name in _MADE) or any(
                self._acts(_last(base)) for base in node.bases if _has_name(base)
            )
        assert isinstance(node, _Function)
        first = [*node.args.posonlyargs, *node.args.args][:1]
        own = {each.arg for each in first} if id(node) in self._methods else set()
        return self._acts_inside(node.body, [node.args], own)

    def _acts_inside(
        self, body: Iterable[ast.AST], arguments: Iterable[ast.arguments], own: set[str]
    ) -> bool:
        nodes = [each for part in body for each in ast.walk(part)]
        made = own | {name for name, value in _assigned(nodes) if _is_made(value)}
        given = {
            each.arg for part in arguments for each in ast.walk(part) if isinstance(each, ast.arg)
        }
        for node in nodes:
            if isinstance(node, ast.Global):
                return True
            if isinstance(node, ast.Expr) and self._discards(node.value, made, given):
                return True
            if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(
                node.ctx, ast.Load
            ):
                root = _root(node)
                is_item = isinstance(node, ast.Subscript) and root in given
                if root not in made and not is_item and not self._is_item(node):
                    return True
            if isinstance(node, ast.Call):
                name = _last(node.func)
                is_loud = name not in self._defined and _LOUD.fullmatch(name) is not None
                if self._acts(name) or (is_loud and _root(node.func) not in made):
                    return True
        return False

    def _discards(self, value: ast.AST, made: set[str], given: set[str]) -> bool:
        """Whether a call's value is thrown away, of what the project doesn't define."""
        if isinstance(value, ast.Await):
            value = value.value
        if not isinstance(value, ast.Call) or not _has_name(value.func):
            return isinstance(value, ast.Call)
        name = _last(value.func)
        if name in HARMLESS or name in self._defined:
            # What the project defines is looked into by name.
            return False
        if self._is_filling(value):
            return False
        if not isinstance(value.func, ast.Attribute):
            return True
        root = _root(value.func)
        is_own = root in made or (root in given and name in _OWN_CHANGES)
        # `super().__init__()` and its kind are part of making an object.
        return not is_own and not (name.startswith("__") and name.endswith("__"))

    def _is_item(self, node: ast.AST) -> bool:
        """Whether it is an item of a container that the project has made: `REGISTRY[name]`."""
        if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name):
            return False
        return node.value.id in self._containers

    def _is_filling(self, call: ast.Call) -> bool:
        """Whether a call fills such a container: `REGISTRY.append(x)`."""
        function = call.func
        if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
            return False
        return function.value.id in self._containers and function.attr in _OWN_CHANGES


def _blocks(node: ast.stmt) -> Iterator[ast.stmt]:
    """Yield the statements inside of a compound one."""
    for name in ("body", "orelse", "finalbody"):
        if not isinstance(node, _Function):
            yield from getattr(node, name, ())
    for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield from part.body


def _is_never_run(test: ast.AST) -> bool:
    """Whether a condition holds for type checkers only, or for the main program."""
    if isinstance(test, ast.Name | ast.Attribute):
        return _last(test) == "TYPE_CHECKING"
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.Eq):
        return False
    return isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _is_for_effect(
    node: ast.Import | ast.ImportFrom, globals_: Mapping[str, Any], used: frozenset[str]
) -> bool:
    """Whether something of another package is imported whose name is never used."""
    import sys

    if isinstance(node, ast.ImportFrom):
        if node.level or not node.module or "__all__" in globals_:
            return False
        tops = {node.module.partition(".")[0]}
    else:
        tops = {each.name.partition(".")[0] for each in node.names}
    if tops <= sys.stdlib_module_names or "rootward" in tops:
        return False
    names = {(each.asname or each.name).partition(".")[0] for each in node.names}
    return not names & used and "*" not in names and _is_foreign(tops, globals_)


def _is_foreign(tops: set[str], globals_: Mapping[str, Any]) -> bool:
    import os
    import sys

    home = os.path.dirname(str(globals_.get("__file__") or ""))
    if not tops & sys.modules.keys():
        return False
    for top in tops:
        file = getattr(sys.modules.get(top), "__file__", None)
        if isinstance(file, str) and home and os.path.abspath(file).startswith(home):
            return False
    return True


def _is_of_tree(node: ast.AST, globals_: Mapping[str, Any]) -> bool:
    """Whether a call or store is one of rootward's own on a module of a tree or a flow."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    value = globals_.get(node.id) if isinstance(node, ast.Name) else None
    return is_a(value, Composite) or hasattr(type(value), "_modules_inside")


def _is_nothing(value: Any) -> bool:
    if is_a(value, list | tuple):
        return bool(value) and all(each is None for each in value)
    return value is None


def _assigned(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value
        elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
            yield node.optional_vars.id, ast.List(elts=[], ctx=ast.Load())


def _is_container(value: ast.AST) -> bool:
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id in {"dict", "list", "set", "defaultdict", "OrderedDict", "deque"}
    return isinstance(value, ast.List | ast.Dict | ast.Set)


def _is_made(value: ast.AST) -> bool:
    """Whether an expression makes something new: a display, or a call of a class."""
    if isinstance(value, ast.Call) and _has_name(value.func):
        name = _last(value.func)
        return name[:1].isupper() or name in _MAKERS
    kinds = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
    return is_a(value, kinds)


def _has_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Name | ast.Attribute)


def _last(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return getattr(node, "id", "")


def _live(node: ast.AST, globals_: Mapping[str, Any]) -> Any:
    """Return what a name with its attributes means now; of attributes of modules only."""
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    found = globals_.get(getattr(node, "id", ""), MISSING)
    for word in reversed(words):
        if found is MISSING or not is_a(found, ModuleType):
            return MISSING
        found = vars(found).get(word, MISSING)
    return found
