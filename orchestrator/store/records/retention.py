"""What a generation leaves behind when another takes its place: history, and warm replicas."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What a submission asks to be kept.

    `keep` is how many generations that were current stay in the history of the deployment however
    old they are: 0 for none, None for what holds already. `warm` generations that this one and the
    next ones replace keep their replicas, unless theirs is `scarce`: it takes what there is only
    once, a port or a resource.
    """

    keep: int | None = None
    warm: int = 0
    is_scarce: bool = False

    def fields(self) -> dict[str, str]:
        """Return the fields of the generation's hash that are not empty."""
        found = {
            "keep": "" if self.keep is None else str(self.keep),
            "warm": str(self.warm) if self.warm > 0 else "",
            "scarce": "1" if self.is_scarce else "",
        }
        return {name: value for name, value in found.items() if value}
