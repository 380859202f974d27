"""How generations take over, in the store: candidates judged, canaries promoted or rolled back.

Each step is one script that may be repeated. What callers have counted of a canary's calls is kept
beside it, one field a caller. Who decides, and by what, is the controller's or a person's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .part import StorePart

if TYPE_CHECKING:
    from .scripts import Value


class RolloutStore(StorePart):
    """Judges candidates, promotes canaries and rolls them back, and keeps their figures."""

    def judge(self, name: str, generation: int, *, is_met: bool, reason: str) -> bool:
        """Let a candidate that was evaluated take over, or fail it; False when it isn't one."""
        key = self._keys.generation(name, generation)
        return bool(self._scripts.run("judge", [key], [name, generation, int(is_met), reason]))

    def promote(self, name: str, generation: int, reason: str) -> bool | None:
        """Make the canary current; False when it is none, None while it lacks replicas."""
        answer = self._scripts.run("promote", [self._keys.name(name)], [name, generation, reason])
        return None if answer < 0 else bool(answer)

    def roll_back(self, name: str, generation: int, reason: str) -> bool:
        """Take the canary's share back and stop it; False when it is none."""
        key = self._keys.name(name)
        return bool(self._scripts.run("drop_canary", [key], [name, generation, reason]))

    def switch(self, name: str, generation: int, reason: str) -> bool:
        """Make a warm generation current again; False when it isn't warm, or isn't whole now."""
        key = self._keys.name(name)
        answer: int = self._scripts.run("switch", [key], [name, generation, reason])
        return answer > 0

    def put_figures(self, name: str, generation: int, reporter: str, counted: bytes) -> bool:
        """Store what one caller has counted since the canary began; False when it is none."""
        keys = [self._keys.generation(name, generation)]
        keys.append(self._keys.part(name, generation, "figures"))
        args: list[Value] = [name, generation, reporter, counted]
        return bool(self._scripts.run("put_figures", keys, args))

    def figures(self, name: str, generation: int) -> dict[str, bytes]:
        """Return what each caller has counted of a canary's calls."""
        found = self._client.hgetall(self._keys.part(name, generation, "figures"))
        return {caller.decode(errors="replace"): counted for caller, counted in found.items()}
