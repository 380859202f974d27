"""What is submitted: a tree, how it travels, and the code that goes along.

A Definition is made from a live tree, from a TARGET, or from one that was loaded before. The tree
goes by value unless a TARGET is to be imported again; its project's code goes along as a bundle
unless workers have it. Names are checked here, so that no path, key or job id is ever made of one
that can't be; signing and storing are left to whoever submits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

from rootward.modules.code.collection import Wishes
from rootward.modules.code.project import Project
from rootward.modules.executor import forbidden
from rootward.modules.module import ModuleBase
from rootward.modules.state.target import LoadedTarget, as_module, is_maker, load_target
from rootward.modules.tree import Tree, default_name, root_part, slug

from ..errors import BadName, PlanError

if TYPE_CHECKING:
    from rootward.modules.code.bundle import Bundle
    from rootward.modules.code.packing import Code
    from rootward.modules.identity.record import TreeIdentity

log = logging.getLogger(__name__)

Subject = ModuleBase | LoadedTarget | str | Callable[[], ModuleBase]
"""What a caller can submit: a module, a function that returns one, or a TARGET (also loaded)."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A tree as workers unpack it, unsigned, and the bundle of code that it needs, if any.

    `stored_bundle` is in its place the digest of one that is stored already. `read_identity` makes
    the record of what the modules are made of, or something empty where it can't be made.
    """

    tree: bytes
    bundle: Bundle | None = None
    stored_bundle: str = ""
    read_identity: Callable[[], bytes] = bytes

    @cached_property
    def identity(self) -> bytes:
        """The record of what the modules are made of; read when it is first asked for."""
        return self.read_identity()

    @property
    def bundle_digest(self) -> str:
        """The digest of its code, or empty."""
        return self.stored_bundle if self.bundle is None else self.bundle.digest

    def pack(self, limit: int) -> Packed:
        """Return itself: it is packed already."""
        del limit
        return self


class Packable(Protocol):
    """What is submitted: a tree that can be packed for its way to the workers."""

    def pack(self, limit: int) -> Packed:
        """Return tree and code; `limit` is the most bytes of code that may go along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A named tree; `target` is None for a live one, which can only go by value.

    `is_identified` says that the record of what its modules are made of goes along.
    """

    tree: Tree
    target: LoadedTarget | None = None
    by_value: bool = True
    wishes: Wishes = field(default_factory=Wishes)
    is_identified: bool = False

    @classmethod
    def of(
        cls,
        subject: Subject,
        *,
        name: str | None = None,
        by_value: bool | None = None,
        wishes: Wishes | None = None,
    ) -> Definition:
        """Return the definition of what a caller gave.

        Raises TargetError, CycleError, BadName, and PlanError for what can't go by reference.
        """
        wishes = Wishes() if wishes is None else wishes
        if isinstance(subject, str):
            subject = load_target(subject)
        if isinstance(subject, LoadedTarget):
            if by_value is False:
                _check_reference(subject)
            return cls(
                tree=Tree(subject.root, checked_name(name) or subject.default_name),
                target=subject,
                by_value=by_value is not False,
                wishes=wishes,
                is_identified=True,
            )
        if is_maker(subject):
            # As a TARGET's attribute may be one.
            with forbidden(f"{getattr(subject, '__name__', subject)}() is making a tree"):
                subject = subject()
        root = as_module(subject)
        if root is None:
            raise PlanError(
                f"{subject!r:.100} can't be deployed: give a module, a flow, a function without "
                "arguments that returns one, or a TARGET such as package.module:attribute"
            )
        if by_value is False:
            raise PlanError(
                "a live tree can't go by reference: submit the TARGET that names it "
                "(package.module:attribute) instead of the object"
            )
        tree = Tree(root, checked_name(name) or default_name(root))
        return cls(tree=tree, wishes=wishes, is_identified=True)

    def code(self) -> Code:
        """Return the code of the tree: of its TARGET's project, else of the running program's."""
        from rootward.modules.code.packing import Code

        if self.target is None:
            return Code(Project.of_program(), wishes=self.wishes)
        return Code(self.target.project, target=self.target.module, wishes=self.wishes)

    def pack(self, limit: int) -> Packed:
        """Return what a worker unpacks; `limit` is the most bytes of code that may go along.

        Raises NotPortable, which names the attribute that can't travel by value, TargetError and
        BundleError.
        """
        from rootward.modules.state import live_objects, trees

        code = self.code()
        bundle, origin = code.pack(limit)
        is_elsewhere = bundle is None and self.target is not None
        code_digest = trees.digest(self.tree) if is_elsewhere else None
        if self.by_value or self.target is None:
            known = live_objects.globals_of(code.project)
            tree = trees.pack(self.tree, origin, known=known, code_digest=code_digest)
        else:
            tree = trees.pack_reference(
                self.target.target if is_elsewhere else self.target.reference,
                self.tree,
                origin,
                name=self.tree.name,
                code_digest=code_digest,
            )
        if not self.is_identified:
            return Packed(tree=tree, bundle=bundle)
        return Packed(tree=tree, bundle=bundle, read_identity=partial(self._record, code, bundle))

    def identify(self, limit: int) -> TreeIdentity:
        """Return what the modules are made of; raises TargetError and BundleError."""
        code = self.code()
        bundle, _ = code.pack(limit)
        return self._identify(code, bundle)

    def _record(self, code: Code, bundle: Bundle | None) -> bytes:
        """Return the record of what the modules are made of, empty when it can't be made.

        A deploy doesn't fail for want of what only the next one would compare with.
        """
        try:
            return self._identify(code, bundle).to_bytes()
        except Exception as error:
            log.warning(
                "what the modules of %s are made of can't be read (%s: %s): the next deploy can't "
                "tell what changed",
                self.tree.name,
                type(error).__name__,
                error,
                extra={"event": "identity.unreadable", "deployment": self.tree.name},
                exc_info=log.isEnabledFor(logging.DEBUG),
            )
            return b""

    def _identify(self, code: Code, bundle: Bundle | None) -> TreeIdentity:
        from rootward.modules.identity.reading import identify

        contents = code.contents() if bundle is None else bundle.contents
        return identify(self.tree, code.project, contents)


def _check_reference(target: LoadedTarget) -> None:
    place = target.target.rpartition(":")[0]
    if target.is_file and not place.startswith("/"):
        raise PlanError(
            f"{target.target!r} can't go by reference: a path is relative to the folder of whoever "
            "reads it, and workers run in other ones; name it as a module "
            "(package.module:attribute), or leave out --by-reference and let the code go along"
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
