"""A packed tree is the same tree elsewhere: identity, depth, code of scripts, refusals."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from rootward.modules import ActionModule, ModuleBase, ServerModule
from rootward.modules.errors import CodecError, CodeMismatch, NotPortable
from rootward.modules.state import trees
from rootward.modules.tree import Tree


class Box(ModuleBase):
    def __init__(self, name: str | None = None, **parts: object) -> None:
        super().__init__(name=name)
        for key, value in parts.items():
            setattr(self, key, value)


def travel(root: ModuleBase, name: str = "root") -> Any:
    return trees.unpack(trees.pack(Tree(root, name))).root


def test_shared_modules_and_shared_values_stay_shared() -> None:
    shared, data = Box("shared"), [1]
    root = travel(Box(a=Box(inner=shared, data=data), b=Box(inner=shared, data=data)))
    assert root.a.inner is root.b.inner
    root.a.data.append(2)
    assert root.b.data == [1, 2]


def test_a_chain_of_ten_thousand_travels() -> None:
    root = leaf = Box("m0")
    for index in range(1, 10_000):
        leaf.child = Box(f"m{index}")
        leaf = leaf.child
    packed = trees.pack(Tree(root, "m0"))
    assert len(trees.unpack(packed).nodes) == 10_000


def test_flows_served_modules_and_closures_travel() -> None:
    factor = 3
    root = travel(ActionModule(lambda x: x * factor, Box("b"), ServerModule(lambda x: x)))
    assert [type(m).__name__ for m in root.submodules] == ["Box", "ServerModule"]


def test_paths_are_the_same_on_both_sides() -> None:
    tree = Tree(Box(a=Box("x"), b=[Box("x"), Box()]), "root")
    assert [n.path for n in trees.unpack(trees.pack(tree)).nodes] == [n.path for n in tree.nodes]


def test_what_cannot_travel_is_named_with_its_module() -> None:
    with pytest.raises(NotPortable, match="root/child") as caught:
        trees.pack(Tree(Box(child=Box(lock=threading.Lock())), "root"))
    assert "lock" in str(caught.value)
    assert "by reference" in str(caught.value)


def test_getstate_and_setstate_of_a_class_are_used() -> None:
    class Counting(ModuleBase):
        def __getstate__(self) -> dict[str, Any]:
            return {"count": 7}

        def __setstate__(self, state: dict[str, Any]) -> None:
            self.count = state["count"] + 1

    assert travel(Counting(name="c")).count == 8


@pytest.mark.parametrize("data", [b"", b"\x80", b"rubbish", b"\x81\xa1a\x01"])
def test_rubbish_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        trees.unpack(data)


def test_another_python_is_refused_before_anything_is_unpickled() -> None:
    import msgpack

    header = msgpack.unpackb(trees.pack(Tree(Box(), "root")))
    header.update(python=[2, 7], body=b"not even a pickle")
    with pytest.raises(CodeMismatch, match=r"Python 2\.7"):
        trees.unpack(msgpack.packb(header))


APP = """
from rootward import ModuleBase
class Part(ModuleBase):
    def forward(self, x):
        return {answer!r}
tree = Part(name='part')
"""

READ = (
    "import sys; from rootward.modules.state import trees;"
    "tree = trees.unpack(sys.stdin.buffer.read(), *sys.argv[1:]); print(tree.root(1))"
)


def read_elsewhere(packed: bytes, *folder: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-P", "-c", READ, *map(str, folder)], input=packed, capture_output=True,
        check=False, timeout=60, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


def pack_in(folder: Path, target: str, how: str) -> bytes:
    code = (
        "import sys; from rootward.modules.state import target, trees;"
        "from rootward.modules.code.collection import Wishes;"
        "from rootward.modules.code.packing import Code;"
        "from rootward.modules.tree import Tree;"
        f"t = target.load_target({target!r}); tree = Tree(t.root, t.default_name);"
        f"sys.stdout.buffer.write({how})"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=folder, capture_output=True, check=True, timeout=60,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    return done.stdout


def test_a_file_is_imported_from_the_folder_that_its_code_was_put_into(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    (home / "app.py").write_text(APP.format(answer="the file"))
    how = "trees.pack(tree, Code(t.project, target=t.module).pack(9999)[1])"
    packed = pack_in(home, "app.py:tree", how)
    home.rename(elsewhere)
    assert read_elsewhere(packed, elsewhere).stdout == b"the file\n"


def test_code_that_stays_behind_is_the_same_or_refused(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP.format(answer="first"))
    origin = "Code(t.project, target=t.module, wishes=Wishes(goes_along=False)).pack(0)[1]"
    digest = "code_digest=trees.digest(tree)"
    ways = {
        "app:tree": f"trees.pack_reference(t.target, tree, {origin}, {digest})",
        "the tree": f"trees.pack(tree, {origin}, {digest})",
    }
    packed = {what: pack_in(tmp_path, "app:tree", how) for what, how in ways.items()}
    for each in packed.values():
        assert read_elsewhere(each).stdout == b"first\n"
    (tmp_path / "app.py").write_text(APP.format(answer="second"))
    for what, each in packed.items():
        refused = read_elsewhere(each)
        assert refused.returncode != 0
        assert b"CodeMismatch" in refused.stderr
        assert what.encode() in refused.stderr
