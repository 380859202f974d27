"""The client: plan a tree, submit it, find what is deployed.

`connect` gives a Client that has reached Redis; inside a `with` block the calls `update()`,
`start()` and `eval()` of any tree go through it too. A client keeps connections and, once it looks
up services, a local copy of the registry; it decides nothing that a plan or the controller decides.
Nothing is stored before the whole plan has been made, checked and packed.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Self, Unpack

from rootward.modules.code.collection import Wishes

from ..errors import (
    MissingSecret,
    NoRedis,
    other_secret,
)
from ..planning.collect import plan_tree
from ..planning.definition import Definition, Packable, Subject
from ..planning.graph import ALL_KINDS
from ..planning.planner import parse_kinds
from ..settings import Settings
from ..status.history import HistoryEntry, read_history
from ..store.connection import Clients, check
from ..store.keys import Keys
from ..store.store import Store
from .deployment import Deployment
from .unknown import deployment_named, generation_named, unknown_service

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    from ..change.difference import Difference
    from ..change.pinned import PinnedPlan
    from ..planning.plan import Plan
    from ..planning.rollouts import Takeover
    from ..planning.submission import Order
    from ..scaling.by_hand import Wish
    from ..security.signing import Signer
    from ..store.records import AgentRecord, DeploymentRecord
    from ..store.watch import RegistryMirror
    from .executor import DistributedExecutor
    from .gateway import Gateway


def connect(
    url: str | None = None, *, secret: str | bytes | None = None, prefix: str | None = None
) -> Client:
    """Return a client of the Redis at `url` (default `REDIS_URL`), to be used in a `with` block.

    `secret` and `prefix` default to `ROOTWARD_SECRET` and `ROOTWARD_PREFIX`. Raises NoRedis within
    a second when none is given or it isn't reached, SettingsError for a bad value.
    """
    return Client(Settings.from_environment(redis_url=url, secret=secret, prefix=prefix))


def plan(
    subject: Subject,
    kinds: Iterable[str] = ALL_KINDS,
    *,
    name: str | None = None,
    recursive: bool = True,
) -> Plan:
    """Return the plan of a tree or TARGET without any Redis; raises what `Client.submit` raises."""
    return plan_tree(Definition.of(subject, name=name).tree, kinds, recursive=recursive)


class Client:
    """A connection to one rootward: its deployments, workers and services."""

    def __init__(self, settings: Settings) -> None:
        if settings.redis_url is None:
            raise NoRedis(
                "no Redis is given: set REDIS_URL (redis://127.0.0.1:6379/0) or pass its URL; "
                "`rootward up` needs none"
            )
        check(settings.redis_url)
        self.settings = settings
        self.keys = Keys(settings.prefix)
        self._clients = Clients(settings.redis_url, name="client")
        self.store = Store(self._clients, self.keys)
        self._executor: DistributedExecutor | None = None

    def __enter__(self) -> Self:
        from rootward.modules import executor

        from .executor import DistributedExecutor

        if self._executor is None:
            self._executor = DistributedExecutor(self)
        executor.enter(self._executor)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from rootward.modules import executor

        if self._executor is not None:
            executor.leave(self._executor)
        # What a program deployed ends with the program, not with this block: its lease and its
        # routes need the connections until then.
        if self._executor is None or not self._executor.owns_anything:
            self.close()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    async def asubmit(self, tree_or_target: Subject, **options: Any) -> Deployment:
        """Do what `submit` does, from async code; await the Deployment to wait for it."""
        import asyncio

        return await asyncio.to_thread(self.submit, tree_or_target, **options)

    def close(self) -> None:
        """Close every connection, and stop what this client's programs own; twice is harmless."""
        if self._executor is not None:
            self._executor.close()
        if "gateway" in self.__dict__:
            self.gateway.close()
        if "registry" in self.__dict__:
            self.registry.close()
        self._clients.close()

    @cached_property
    def signer(self) -> Signer:
        """The keys derived from the secret; MissingSecret when none was given."""
        from ..security.signing import Signer

        if self.settings.secret is None:
            raise MissingSecret(
                "no secret is given: set ROOTWARD_SECRET to the one that the workers have (make "
                "one with `python -c 'import secrets; print(secrets.token_hex(32))'`)"
            )
        signer = Signer(self.settings.secret.reveal(), prefix=self.keys.prefix)
        signer.find_store = self.store.agents.store_id
        signer.enter(signer.find_store())
        return signer

    def check_secret(self) -> None:
        """Raise WrongSecret when the workers that live here have another secret than this one."""
        if self.store.agents.agreed() not in {None, *self.signer.fingerprints(self.keys.prefix)}:
            raise other_secret(self._clients.address)

    @cached_property
    def registry(self) -> RegistryMirror:
        """The local copy of the registry, kept up to date from its first use on."""
        from ..store.watch import RegistryMirror

        return RegistryMirror(self.store, self.signer)

    @cached_property
    def gateway(self) -> Gateway:
        """The services of the current generations."""
        from .gateway import Gateway

        return Gateway(self)

    def plan(
        self,
        tree: Subject,
        kinds: Iterable[str] = ALL_KINDS,
        *,
        name: str | None = None,
        recursive: bool = True,
    ) -> Plan:
        """Return the plan of a tree or TARGET; nothing is stored and nothing is read from Redis."""
        return plan(tree, kinds, name=name, recursive=recursive)

    def diff(
        self,
        tree: Subject,
        *,
        name: str | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
    ) -> Difference:
        """Return what submitting a tree or TARGET would change against the current generation.

        Raises what `submit` raises before anything is stored.
        """
        from ..change.difference import compare

        wishes = Wishes(include=tuple(include), exclude=tuple(exclude))
        definition = Definition.of(tree, name=name, wishes=wishes)
        identity = definition.identify(self.settings.bundle_limit)
        return compare(self.store, self.signer, definition.tree.name, identity)

    def submit(
        self,
        tree_or_target: Subject,
        *,
        name: str | None = None,
        kinds: Iterable[str] = ALL_KINDS,
        recursive: bool = True,
        timeout: float | None = None,
        retries: int = 0,
        by_value: bool | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        bundle: bool = True,
        keep: int | None = None,
        changed: bool = False,
        pinned: PinnedPlan | None = None,
        **takeover: Unpack[Takeover],
    ) -> Deployment:
        """Store the plan of a tree as the next generation of its deployment, and return at once.

        `timeout` (seconds) is the deployment's own deadline; `retries` counts exceptions of a
        task. `by_value=False` has workers make the tree of a TARGET again instead of sending it.
        The code of the project goes along: `include` and `exclude` are patterns of files to add and
        to leave out, `bundle=False` says that workers have it installed. The last `keep` that were
        current stay in the history however old they are.
        `changed` runs only what differs from the current generation, and returns that one when
        nothing does; a `pinned` plan is refused when the tree or what is current has moved since.
        `require` are requirements (`PATH >= 0.9`, `PATH >= current - 0.01`) to be met before it
        becomes current; `canary` is the percentage of the calls that it gets until it is promoted:
        by itself after `bake` seconds without a breach (of `max_error_rate`), which takes it back.
        Raises, before anything is stored, TargetError, CycleError, TaskGetterError, NotPortable,
        BundleError, BadName, MissingSecret, WrongSecret, PlanError (also for untrained modules).
        """
        from .submitting.beginning import begin

        asked = parse_kinds(kinds)
        wishes = Wishes(include=tuple(include), exclude=tuple(exclude), goes_along=bundle)
        definition = Definition.of(tree_or_target, name=name, by_value=by_value, wishes=wishes)
        begun = begin(self, definition, asked, recursive=recursive, changed=changed, pinned=pinned)
        if begun.stays is not None:
            return self._deployment(begun.plan.deployment, begun.stays).reusing(begun.reuse)
        order = begun.order(self, takeover, retries=retries, timeout=timeout, keep=keep)
        return self.store_definition(begun.packed, begun.plan, order).reusing(begun.reuse)

    def store_definition(self, definition: Packable, plan: Plan, order: Order) -> Deployment:
        """Pack, sign and store a plan that was checked; all or nothing becomes visible."""
        from .submitting.sending import send

        sent = send(self, definition, plan, order)
        if sent.scaled:
            from ..scaling import by_hand

            by_hand.keep(self.store, self.signer, plan, sent.generation, sent.scaled)
        deployment = self._deployment(plan.deployment, sent.generation)
        deployment.span = sent.span
        return deployment

    def deployment(self, name: str, generation: int | None = None) -> Deployment:
        """Return a deployment by its name (or NAME@GENERATION); the latest generation by default.

        Raises UnknownDeployment, which tells near names.
        """
        return self._deployment(*generation_named(self.store, name, generation))

    def deployments(self) -> list[DeploymentRecord]:
        """Return what is deployed or kept as history, newest first."""
        return list(self.store.deployments.all())

    def history(self, name: str) -> list[HistoryEntry]:
        """Return the generations of a deployment that are kept, newest first.

        Raises UnknownDeployment, which tells near names.
        """
        record = deployment_named(self.store, name)
        return read_history(self.store, record, self._signer_if_any())

    def promote(self, name: str) -> Deployment:
        """Make the canary of a deployment current; what was current stops. Returns the canary.

        Raises UnknownDeployment, and PlanError when there is none or it lacks replicas.
        """
        wanted = self.deployment(name)
        record = self.store.deployments.get(wanted.name)
        canary = None if record is None else record.canary
        if "@" not in name and canary is not None:
            wanted = self._deployment(wanted.name, canary)
        return wanted.promote()

    def rollback(self, name: str, to: int | None = None) -> Deployment:
        """Make an earlier generation current again, without training; return what is to be current.

        By default it is the one that was current before; a canary is rolled back to the current
        one. What serves goes on until the other is ready, and when that fails. Raises
        UnknownDeployment, and PlanError when there is no such generation or something of it is
        gone, before anything is changed.
        """
        from .submitting.rollback import roll_back

        return roll_back(self, deployment_named(self.store, name), to)

    def workers(self) -> list[AgentRecord]:
        """Return the workers whose lease holds, newest first."""
        return list(self.store.agents.all())

    def scale(self, name: str, path: str, replicas: Wish) -> int:
        """Set how many replicas `name` keeps of the service at `path`, in later generations too.

        A range (`"1..8"` or `(1, 8)`) lets their number follow its calls; None or `"auto"` gives
        the service back to what its tree says. `path` is whole, or what follows the deployment's
        name. Returns the number that is wanted first. Raises UnknownDeployment, UnknownService and
        PlanError.
        """
        from rootward.modules.rpc.bounds import ReplicaBounds

        from ..scaling import by_hand

        record = deployment_named(self.store, name)
        # A range holds only as far as its signature does.
        is_range = isinstance(by_hand.read_wish(replicas), ReplicaBounds)
        signer = self.signer if is_range else self._signer_if_any()
        served = self.store.deployments.generation(name, record.current or record.latest)
        known = list(served.services) if served is not None else []
        full = path if path in known else f"{name}/{path}"
        if served is None or full not in known:
            raise unknown_service(path, known)
        wanted = by_hand.scale(self.store, signer, served, full, replicas)
        newest = record.newest
        if newest is not None and by_hand.follows(newest, served, full):
            # Its submission had read what was asked for before.
            by_hand.scale(self.store, signer, newest, full, replicas)
        return wanted

    def _deployment(self, name: str, generation: int) -> Deployment:
        signer = self._signer_if_any()
        return Deployment(self.store, name, generation, signer=signer, settled=self._catch_up)

    def _catch_up(self, name: str) -> None:
        # Who has waited for a deployment calls what it serves now, not what was served before.
        if "registry" in self.__dict__:
            self.registry.refresh(name)

    def _signer_if_any(self) -> Signer | None:
        return self.signer if self.settings.secret is not None else None


@cache
def executor_from_environment() -> DistributedExecutor:
    """Return the executor of `REDIS_URL`; made once, and closed with the program."""
    from .executor import DistributedExecutor

    return DistributedExecutor(connect())
