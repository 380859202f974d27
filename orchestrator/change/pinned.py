"""A plan that is held to: what was planned, and the world that it was planned for.

It is written by `plan --out` and read by `deploy --plan`, which refuses when the current generation
or the tree is another by then. The file is plain JSON that anybody can read; it holds no secret and
nothing of it is executed.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rootward.modules.errors import CodecError
from rootward.modules.identity.changes import changes
from rootward.modules.identity.record import TreeIdentity

from ..errors import PlanError

if TYPE_CHECKING:
    from pathlib import Path

    from ..planning.plan import Plan

FORMAT: Final = "rootward plan 1"
_LARGEST: Final = 256 << 20
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedPlan:
    """What was planned for TARGET, when `generation` was current (None: none was).

    `tasks` are the tasks as `plan --json` prints them; `identity` is what the tree was made of, and
    `current` the digest of what the current generation was made of, or empty.
    """

    target: str
    name: str
    kinds: tuple[str, ...]
    recursive: bool
    generation: int | None
    current: str
    identity: TreeIdentity
    tasks: tuple[dict[str, Any], ...]

    def write(self, path: Path) -> None:
        """Write it to a file; raises PlanError."""
        document = {
            "format": FORMAT,
            "target": self.target,
            "deployment": self.name,
            "kinds": list(self.kinds),
            "recursive": self.recursive,
            "generation": self.generation,
            "current": self.current,
            "tasks": list(self.tasks),
            "identity": base64.b64encode(self.identity.to_bytes()).decode(),
        }
        try:
            path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        except OSError as error:
            raise PlanError(f"{path} can't be written: {error.strerror}") from error

    def check(
        self, plan: Plan, identity: TreeIdentity, generation: int | None, current: str
    ) -> None:
        """Raise PlanError, which says what has moved, when the world isn't as it was planned for.

        `identity` is what the tree is made of now, `generation` and `current` what is current now.
        """
        if plan.deployment != self.name:
            raise PlanError(
                f"the plan is one of {self.name}, and this would be {plan.deployment}: plan anew"
            )
        if generation != self.generation:
            raise PlanError(
                f"the plan was made when {self._named(self.generation)} was current, and now "
                f"{self._named(generation)} is: plan anew"
            )
        if current != self.current:
            raise PlanError(
                f"what is stored of {self._named(generation)} is another than when the plan was "
                "made: plan anew"
            )
        moved = changes(self.identity, identity).modules
        found = [each for each in moved if each.mark != "unchanged"]
        if found:
            told = "; ".join(
                f"{each.path} {each.mark}{': ' if each.reasons else ''}{', '.join(each.reasons)}"
                for each in found[:_SHOWN]
            )
            raise PlanError(f"the tree is another than when the plan was made ({told}): plan anew")
        if [task.to_json() for task in plan.tasks] != list(self.tasks):
            raise PlanError("the tasks are others than when the plan was made: plan anew")

    def _named(self, generation: int | None) -> str:
        return "nothing" if generation is None else f"{self.name}@{generation}"


def read_pinned(path: Path) -> PinnedPlan:
    """Read a plan from a file; raises PlanError for anything else than what `write` wrote."""
    try:
        if path.stat().st_size > _LARGEST:
            raise PlanError(f"{path} is too large to be a plan")
        found = json.loads(path.read_text())
        if found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']!r:.40}")
        generation = found["generation"]
        return PinnedPlan(
            target=str(found["target"]),
            name=str(found["deployment"]),
            kinds=tuple(map(str, found["kinds"])),
            recursive=bool(found["recursive"]),
            generation=None if generation is None else int(generation),
            current=str(found["current"]),
            identity=TreeIdentity.from_bytes(base64.b64decode(found["identity"])),
            tasks=tuple(found["tasks"]),
        )
    except OSError as error:
        raise PlanError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error, CodecError) as error:
        raise PlanError(
            f"{path} is no plan that `rootward plan TARGET --out` of this version wrote"
        ) from error
