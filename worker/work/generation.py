"""One generation on an agent: its template, plan, states and routes.

It is loaded once, from the signed tree in the store, into a template process of its own; its slots
and replicas are forked from there. Of the tree, which may hold hundreds of MiB, nothing is kept
here once its template has it. It keeps the state log as far as this agent has seen it, so that each
child is sent only what it lacks. The agent itself never imports what is in the tree. A failed load
fails those who asked and is tried again for the next: the cause may be mended meanwhile. Which
generations there are is `generations`'s.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from rootward.modules.processes.forkserver import Template
from rootward.modules.rpc.endpoints import ASLEEP, WHOLE
from rootward.modules.state import trees
from rootward.orchestrator.planning.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rootward.modules.processes.forkserver import Child, Template
    from rootward.orchestrator.planning.graph import Service
    from rootward.orchestrator.security.signing import Signer
    from rootward.orchestrator.store.records import Claim, GenerationBlob
    from rootward.orchestrator.store.store import Store
    from rootward.orchestrator.store.watch import RegistryMirror, Table

    from ..agent.store_client import StoreClient
    from .bundle_cache import Lease
    from .code_folders import CodeFolders
    from .output import Output

Place = tuple[str, int]

_KEPT_BYTES = 1 << 20


class GenerationGone(Exception):
    """The store knows nothing of the generation any more; the message says which."""


class GenerationHome(Protocol):
    """What the generations of one agent share; `worker` is its name in errors."""

    store: Store
    signer: Signer
    link: StoreClient
    mirror: RegistryMirror
    code: CodeFolders
    worker: str | None
    on_demand: Callable[[], None]
    on_asleep: Callable[[tuple[str, int | None], str], None]

    def fork(self) -> Template:
        """Return a new template for one generation."""


class Generation:
    """One generation on this agent; `uses` counts the tasks and replicas that need it now."""

    def __init__(self, place: Place, home: GenerationHome, mark: bytes | None = None) -> None:
        """Load nothing yet; `mark` is that of its submission, None while nobody has told it."""
        self.name, self.number = place
        self.mark = mark
        self.log: list[bytes] = []
        self.plan: Plan | None = None
        # What it takes to bring it back into a store that has lost its data.
        self.origin: GenerationBlob | None = None
        self.routes_of: tuple[str, int | None] = place
        self.table: Table = {}
        self.uses = 0
        self.used_at = time.monotonic()
        self.children: set[Child] = set()
        self._held: dict[tuple[Child, str], int] = {}
        self._home = home
        self._template: asyncio.Task[tuple[Template, bool]] | None = None
        self._opening: asyncio.Task[GenerationBlob] | None = None
        self._unread: GenerationBlob | None = None
        self._reading: asyncio.Task[None] | None = None
        self._templates: set[Template] = set()
        self._code: Lease | None = None
        self._is_closed = False

    @property
    def place(self) -> Place:
        """Name and number."""
        return self.name, self.number

    @property
    def templates(self) -> tuple[Template, ...]:
        """The template processes that it has now."""
        return tuple(self._templates)

    def learn(self, claim: Claim) -> None:
        """Take the states that came with a claim; SignatureError for one that isn't ours."""
        known = len(self.log) - (claim.offset - len(claim.states))
        for entry in claim.states[max(known, 0) :]:
            signer = self._home.signer
            self.log.append(signer.open_state(entry, self.name, self.number, self.mark))

    async def catch_up(self) -> None:
        """Read what was added to the state log in the store."""
        home, offset = self._home, len(self.log)
        states = home.store.tasks.states
        entries = await home.link.insist(states, self.name, self.number, offset)
        # A claim may have brought some of them meanwhile.
        for entry in entries[len(self.log) - offset :]:
            self.log.append(home.signer.open_state(entry, self.name, self.number))

    async def service(self, path: str) -> Service:
        """Return what the plan says about the served module at `path`."""
        await self.known()
        service = self.plan.service(path) if self.plan is not None else None
        if service is None:
            raise GenerationGone(f"{self.name}@{self.number} has no service {path!r}")
        return service

    async def serves(self, path: str | None) -> bool:
        """Whether the module at `path` is served: its deploy makes replicas."""
        await self.known()
        assert self.plan is not None
        return path is not None and self.plan.service(path) is not None

    @property
    def was_served(self) -> bool:
        """Whether it is not known to have waited for its turn when the registry was last read."""
        if self.origin is None:
            return False
        last_current = self._home.mirror.last_current(self.name)
        return last_current in {None, self.number} or not self.origin.makes_current

    @property
    def restored(self) -> GenerationBlob | None:
        """What brings it back into a store that has lost its data; None before its plan is here."""
        if self.origin is None or self.plan is None:
            return None
        wanted = {each.path: each.wanted for each in self.plan.services}
        last = self._home.mirror.last_wanted(self.name, self.number)
        return replace(self.origin, services=wanted | dict(last))

    async def succeeds_another(self) -> bool:
        """Whether another generation of its deployment is current, which it is to replace."""
        home = self._home
        record = await home.link.insist(home.store.deployments.get, self.name)
        return record is not None and record.current not in {None, self.number}

    async def known(self) -> None:
        """Return when plan and routes are here."""
        if self.plan is not None:
            return
        # One reading for all who ask; the next one tries again after an error.
        if self._reading is None or self._reading.done():
            self._reading = asyncio.ensure_future(self._read_plan())
            self._reading.add_done_callback(self._has_read)
        await asyncio.shield(self._reading)

    def _has_read(self, reading: asyncio.Task[None]) -> None:
        _look_at(reading)
        # An error keeps what was read when it was raised.
        if self._reading is reading:
            self._reading = None

    def greet(self, child: Child) -> None:
        """Tell a new child whom to call, now and whenever that changes."""
        self.children.add(child)
        child.send(self._routes_message())

    def follows(self, routes_of: tuple[str, int | None]) -> bool:
        """Whether the processes of this generation call those endpoints."""
        return self.plan is not None and self.routes_of == routes_of

    def hold(self, child: Child | None, path: str, count: int) -> None:
        """Take how many calls of a service a process holds; wake the service when it sleeps."""
        if child is None:
            return
        if count:
            self._held[child, path] = count
        else:
            self._held.pop((child, path), None)
        if count and [path] in self.table.get(ASLEEP, ()):
            self._home.on_asleep(self.routes_of, path)
        self.on_demand()

    @property
    def held(self) -> Counter[str]:
        """How many calls the processes here hold, by the service that they wait for."""
        held: Counter[str] = Counter()
        for (child, path), count in list(self._held.items()):
            if child in self.children:
                held[path] += count
            else:
                # It has ended, and what it held with it.
                del self._held[child, path]
        return held

    def on_demand(self) -> None:
        """Let the home look at the calls under way and held here."""
        self._home.on_demand()

    def push(self, table: Table) -> None:
        """Tell all children whom to call from now on."""
        self.table = table
        message = self._routes_message()
        for child in self.children:
            child.send(message)

    def _routes_message(self) -> dict[str, object]:
        key = self._home.signer.call_key(self.name)
        return {"op": "routes", "table": self.table, "key": key}

    async def ready(self, output: Output, env: Mapping[str, str] | None = None) -> Template:
        """Return what `template` does, when plan and routes are here, too.

        The tree is asked for first: it is read while its process loads.
        """
        loading = asyncio.ensure_future(self.template(output, env))
        loading.add_done_callback(_look_at)
        try:
            # What was asked first is read first.
            await asyncio.sleep(0)
            await self.known()
            return await loading
        finally:
            loading.cancel()

    async def template(self, output: Output, env: Mapping[str, str] | None = None) -> Template:
        """Return a loaded template from which one more child can be started.

        What the tree prints while it is imported goes to the `output` of whoever came first. Where
        forking a loaded one isn't safe, each child gets a template of its own; so does one that
        needs an environment (`env`) that the user's imports see, too. Raises LoadFailed with the
        user's error, SignatureError, GenerationGone.
        """
        if env:
            template, _ = await self._load(output, env)
            return template
        loading = self._template
        if loading is None:
            loading = self._template = asyncio.ensure_future(self._load(output))
        try:
            template, forks = await asyncio.shield(loading)
        except BaseException:
            if loading.done() and self._template is loading:
                self._template = None
            raise
        if not forks:
            if self._template is not loading:
                # Somebody else has turned it into his child already.
                return await self.template(output)
            self._template = None
        return template

    def close(self) -> None:
        """End its templates with all that was forked from them."""
        self._is_closed = True
        self._release_code()
        if self._template is not None:
            self._template.cancel()
            self._template = None
        for template in list(self._templates):
            template.close()

    async def _load(
        self, output: Output, env: Mapping[str, str] | None = None
    ) -> tuple[Template, bool]:
        home, definition = self._home, await self._definition()
        template = home.fork()
        self._templates.add(template)
        template.on_exit = self._ended
        try:
            folder = await self._code_folder(trees.bundle_of(definition))
            loading = template.load(definition, folder=folder, worker=home.worker, env=env)
            del definition
            info = await loading
        except BaseException:
            template.close()
            raise
        for fd, data in info.output:
            output.feed(fd, data)
        return template, info.fork_safe

    async def _definition(self) -> bytes:
        opening, self._unread = self._unread or await self._open(), None
        return self._home.signer.open_tree(opening.tree, self.name, self.number, self.mark)

    async def _code_folder(self, digest: str | None) -> str | None:
        if digest is None:
            return None
        if self._code is None:
            self._code = await self._home.code.lease(digest)
            self._release_code()
        return self._code.folder

    def _release_code(self) -> None:
        # Not before the last process that may import from it has ended.
        if self._is_closed and self._code is not None and not self._templates:
            self._code.close()

    def _ended(self, template: Template) -> None:
        self._templates.discard(template)
        self._release_code()
        loading = self._template
        if loading is None or not loading.done() or loading.cancelled() or loading.exception():
            return
        if loading.result()[0] is template:
            self._template = None

    async def _open(self) -> GenerationBlob:
        """Read tree and plan together, and once for all who ask meanwhile."""
        if self._opening is None or self._opening.done():
            self._opening = asyncio.ensure_future(self._read())
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    def _opened(self, opening: asyncio.Task[GenerationBlob]) -> None:
        _look_at(opening)
        # The task keeps what it returned.
        if self._opening is opening:
            self._opening = None

    async def _read(self) -> GenerationBlob:
        home = self._home
        opening = await home.link.insist(home.store.tasks.opening, self.name, self.number)
        if opening is None:
            raise GenerationGone(f"the store has no {self.name}@{self.number} any more")
        return opening

    async def _read_plan(self) -> None:
        home, is_loading = self._home, self._template is not None
        opening = await self._open()
        plan = Plan.from_bytes(
            home.signer.open_plan(opening.plan, self.name, self.number, self.mark)
        )
        if not is_loading and len(opening.tree) <= _KEPT_BYTES:
            # For the template, which comes next; a large one is read again then.
            self._unread = opening
        self.origin = opening = replace(opening, tree=b"", plan=b"")
        # What becomes current calls its own services; anything else calls the current ones.
        self.routes_of = (self.name, self.number if opening.makes_current else None)
        # From here on changes are pushed, so that none falls between this reading and them.
        self.plan = plan
        if opening.makes_current and not plan.services:
            self.push({WHOLE: []})
        else:
            self.push(await home.link.insist(home.mirror.table, *self.routes_of))


def _look_at(done: asyncio.Task[Any]) -> None:
    """Take note of an error, so that the loop doesn't report it as never looked at."""
    if not done.cancelled():
        done.exception()
