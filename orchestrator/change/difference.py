"""What a deploy would change against the current generation.

The record that is stored with that generation is compared with that of the tree at hand; nothing
is decided here, and nothing written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rootward.modules.identity.changes import Mark, ModuleDifference, TreeChanges, changes
from rootward.modules.identity.record import TreeIdentity

if TYPE_CHECKING:
    from ..security.signing import Signer
    from ..store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What would become of the modules of `name`, whose current generation is `generation`.

    None stands for no current generation: everything is added.
    """

    name: str
    generation: int | None
    modules: tuple[ModuleDifference, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return all(each.mark is Mark.UNCHANGED for each in self.modules)

    @property
    def added(self) -> tuple[str, ...]:
        """The paths of modules that the current generation doesn't have."""
        return self._paths(Mark.ADDED)

    @property
    def removed(self) -> tuple[str, ...]:
        """The paths of modules that only the current generation has."""
        return self._paths(Mark.REMOVED)

    @property
    def changed(self) -> tuple[str, ...]:
        """The paths of modules that differ, or load one that does."""
        return self._paths(Mark.CHANGED)

    @property
    def unchanged(self) -> tuple[str, ...]:
        """The paths of modules that are as they are in the current generation."""
        return self._paths(Mark.UNCHANGED)

    def of(self, path: str) -> ModuleDifference | None:
        """Return what would become of one module; None for a path that neither tree has."""
        return next((each for each in self.modules if each.path == path), None)

    def to_json(self) -> dict[str, Any]:
        """Return the document that `diff --json` prints."""
        return {
            "deployment": self.name,
            "generation": self.generation,
            "modules": [each.to_json() for each in self.modules],
        }

    def _paths(self, mark: Mark) -> tuple[str, ...]:
        return tuple(each.path for each in self.modules if each.mark is mark)


def current_identity(
    store: Store, signer: Signer, name: str
) -> tuple[int | None, TreeIdentity | None]:
    """Return the current generation of a name, and the record of what it is made of.

    Either is None where there is none. Raises SignatureError, and CodecError for the record of
    another version.
    """
    record = store.deployments.get(name)
    if record is None or record.current is None:
        return None, None
    sealed = store.deployments.identity(name, record.current)
    if sealed is None:
        return record.current, None
    opened = signer.open_identity(sealed, name, record.current)
    return record.current, TreeIdentity.from_bytes(opened)


def compare(store: Store, signer: Signer, name: str, new: TreeIdentity) -> Difference:
    """Return what a tree would change of what is current under a name.

    Raises what `current_identity` raises.
    """
    generation, old = current_identity(store, signer, name)
    return difference(name, generation, old, new)


def difference(
    name: str, generation: int | None, old: TreeIdentity | None, new: TreeIdentity
) -> Difference:
    """Return what the new tree changes; without a record of the old one, everything."""
    if old is not None:
        found = changes(old, new)
    else:
        mark = Mark.ADDED if generation is None else Mark.CHANGED
        why = () if generation is None else (f"{name}@{generation} has no record to compare with",)
        found = TreeChanges(
            modules=tuple(
                ModuleDifference(path=path, mark=mark, reasons=why) for path in new.modules
            )
        )
    return Difference(name=name, generation=generation, modules=found.modules)
