"""What the parts of a client need of it: the store, the keys, the registry, and submitting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..planning.definition import Packable
    from ..planning.plan import Plan
    from ..planning.submission import Order
    from ..security.signing import Signer
    from ..settings import Settings
    from ..store.store import Store
    from ..store.watch import RegistryMirror
    from .deployment import Deployment


class Connected(Protocol):
    """A client that has reached its Redis."""

    settings: Settings
    store: Store

    @property
    def signer(self) -> Signer:
        """The keys derived from the secret."""

    @property
    def registry(self) -> RegistryMirror:
        """The local copy of the registry."""

    def store_definition(self, definition: Packable, plan: Plan, order: Order) -> Deployment:
        """Store a tree and its plan as the next generation."""

    def deployment(self, name: str, generation: int | None = None) -> Deployment:
        """Return a handle on a generation, by default the newest."""
