"""What a handle on a generation shows of it: its status, plan, timeline, and how it looks.

Everything is read from the store when it is asked for. Waiting for a change and changing anything
is left to `deployment`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..status.read_status import read_plan, read_status, read_timeline

if TYPE_CHECKING:
    from ..planning.plan import Plan
    from ..security.signing import Signer
    from ..status.status import Status
    from ..status.timeline import Timeline
    from ..store.records import GenerationRecord
    from ..store.store import Store


class DeploymentView:
    """Reads one generation; `name` and `generation` say which."""

    name: str
    generation: int
    _store: Store
    _signer: Signer | None

    def __repr__(self) -> str:
        try:
            state, done, total = self.counts()
        except Exception:
            # Without Redis, or when its history is over, its name has to do.
            return f"<Deployment {self.id}>"
        return f"<Deployment {self.id} {state} {done}/{total}>"

    def _repr_html_(self) -> str:
        return self.status()._repr_html_()

    @property
    def id(self) -> str:
        """`NAME@GENERATION`."""
        return f"{self.name}@{self.generation}"

    def counts(self) -> tuple[str, int, int]:
        """Return its state, how many of its tasks have ended, and how many there are.

        Warm-ups, one for each service, aren't counted.
        """
        record = self._record()
        total = record.total - len(record.services)
        return str(record.state), max(0, total - record.left), total

    def status(self) -> Status:
        """Return how the generation is at this moment."""
        return read_status(self._store, self._record(), self._signer)

    def plan(self) -> Plan | None:
        """Return the plan as it is stored; None without a secret to check it with."""
        if self._signer is None:
            return None
        return read_plan(self._store, self._signer, self.name, self.generation)

    def timeline(self) -> Timeline:
        """Return when each task waited and ran, and what decided how long it took."""
        return read_timeline(self._store, self._record(), self._signer)

    def dropped_logs(self) -> int:
        """Return how many pieces of output aren't kept any more, as too much was written."""
        return self._store.history.dropped_logs(self.name, self.generation)

    def _record(self) -> GenerationRecord:
        raise NotImplementedError
