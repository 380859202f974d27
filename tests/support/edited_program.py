"""A small program to edit: a tree `Top`, which loads a `Leaf` and serves a `Still`.

An edit is a pair of texts of one part of the program, or of one more file, before and after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAF, STILL = "app/a", "app/b/m"
APP = """
import rootward
{pre}

{deco}
class Leaf({bases}):
    def __init__(self{args}):
        super().__init__()
        {init}
    def forward(self, x):
        {body}
{members}

class Still(rootward.ModuleBase):
    def forward(self, x):
        return {still}

class Top(rootward.ModuleBase):
    def __init__(self, a, b):
        super().__init__()
        self.a = a
        self.b = rootward.ServerModule(b)
    def forward(self, x):
        return self.a(x) + self.b(x)

{post}
tree = {tree}
{end}
"""


def app(call: str = "", args: str = "", **parts: str) -> str:
    """Return the text of the program with some of its parts replaced."""
    defaults = {
        "pre": "", "deco": "", "bases": "rootward.ModuleBase", "init": "pass", "body": "return x",
        "members": "", "still": "x", "post": "", "tree": f"Top(Leaf({call}), Still())", "end": "",
    }  # fmt: skip
    if args:
        parts["init"] = f"self.{args} = {args}"
    return APP.format(**{**defaults, **parts}, args=f", {args}" if args else "")


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One part of the program, or one more file, before and after; `same` are the other parts."""

    part: str
    before: str
    after: str
    same: Mapping[str, str] = field(default_factory=dict)

    def files(self, text: str) -> dict[str, str]:
        """Return the files of the project with this text in its place."""
        parts = dict(self.same)
        files = {name: parts.pop(name) for name in list(parts) if "." in name}
        if "." in self.part:
            return {"app.py": app(**parts), **files, self.part: text}
        return {"app.py": app(**{**parts, self.part: text}), **files}


def edit(part: str, before: str, after: str, **same: str) -> Edit:
    """Return an edit; a file's name is written with `__` for its dot."""
    named = {name.replace("__py", ".py"): text for name, text in same.items()}
    return Edit(part=part, before=before, after=after, same=named)


CONSTANTS = "import constants\n"
"""Part `pre` of an edit of constants.py."""
