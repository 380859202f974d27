"""What is submitted: a tree, and how it travels.

A Definition is made from a live tree, from a TARGET, or from one that was loaded before. A package
target goes by reference unless told otherwise; a file target and a live tree go by value. Names are
checked here, so that no path, key or job id is ever made of one that can't be; signing and storing
are left to whoever submits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rootward.modules.executor import forbidden
from rootward.modules.module import ModuleBase
from rootward.modules.state.target import LoadedTarget, load_target
from rootward.modules.tree import Tree, default_name, root_part, slug

from ..errors import BadName, PlanError

Subject = ModuleBase | LoadedTarget | str | Callable[[], ModuleBase]
"""What a caller can submit: a module, a function that returns one, or a TARGET (also loaded)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A named tree; `target` is None for a live one, which can only go by value."""

    tree: Tree
    target: str | None = None
    by_value: bool = True
    search_path: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, subject: Subject, *, name: str | None = None, by_value: bool | None = None
    ) -> Definition:
        """Return the definition of what a caller gave.

        Raises TargetError, CycleError, BadName, and PlanError for a live tree by reference.
        """
        if isinstance(subject, str):
            subject = load_target(subject)
        if isinstance(subject, LoadedTarget):
            return cls(
                tree=Tree(subject.root, checked_name(name) or subject.default_name),
                target=subject.target,
                by_value=subject.by_value if by_value is None else by_value,
                search_path=subject.search_path,
            )
        if not isinstance(subject, (ModuleBase, type)) and callable(subject):
            # As a TARGET's attribute may be one.
            with forbidden(f"{getattr(subject, '__name__', subject)}() is making a tree"):
                subject = subject()
        if not isinstance(subject, ModuleBase):
            raise PlanError(
                f"{subject!r:.100} can't be deployed: give a module, a function without arguments "
                "that returns one, or a TARGET such as package.module:attribute"
            )
        if by_value is False:
            raise PlanError(
                "a live tree can't go by reference: submit the TARGET that names it "
                "(package.module:attribute) instead of the object"
            )
        return cls(tree=Tree(subject, checked_name(name) or default_name(subject)))

    def pack(self) -> bytes:
        """Return the bytes that a worker unpacks, unsigned.

        Raises NotPortable, which names the attribute that can't travel by value.
        """
        from rootward.modules.state import trees

        if self.by_value or self.target is None:
            path = self.search_path or trees.user_search_path()
            return trees.pack(self.tree, search_path=path)
        return trees.pack_reference(
            self.target, self.tree, name=self.tree.name, search_path=self.search_path
        )


def checked_name(name: str | None) -> str | None:
    """Return the name of a deployment, or None for none; BadName tells the nearest possible one.

    A reserved word gets its number, as any part of a path does.
    """
    if name is None:
        return None
    possible = slug(name)
    if not name or possible != name:
        raise BadName(
            f"{name!r} can't be a deployment's name (lower case letters, digits, '.', '_' and '-')"
            + (f": call it {possible!r}" if possible else "")
        )
    return root_part(name)
