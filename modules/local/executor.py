"""LocalExecutor: a tree's tasks in this process, and its served modules in processes below it.

Tasks run in the order of the walk, all of a kind before the next kind. Served modules are packed as
they are then, loaded into a template, and kept up until they are stopped or the program ends, by
whatever end: the processes notice. Everything about processes runs in one event loop in a thread of
its own; the table of endpoints is pushed to callers here and in replicas when it changes.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import sys
import threading
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .. import running
from ..code.packing import Code
from ..code.project import Project
from ..errors import TaskFailed
from ..lifecycle import KINDS
from ..processes.forkserver import Template
from ..processes.interrupt import interrupted
from ..rpc.endpoints import PushedRoutes
from ..runtime import attach
from ..state import entries, live_objects, state_log, trees
from ..state.exceptions import message_of, type_of
from ..tasks import has_work, run_tasks
from ..tree import Tree, default_name, walk
from .service import Home, LocalService, PackedTree, Table

if TYPE_CHECKING:
    from ..composite import Composite
    from ..server import ServerModule
    from ..state.entries import ModuleChange

T = TypeVar("T")

_executor: LocalExecutor | None = None
_creating = threading.Lock()


def local_executor() -> LocalExecutor:
    """Return this process's executor."""
    global _executor
    with _creating:
        if _executor is None:
            _executor = LocalExecutor()
        return _executor


class LocalExecutor:
    """Runs tasks here and serves modules from here; one in a process."""

    def __init__(self) -> None:
        """Start nothing: a tree that serves nothing needs no processes."""
        self._host: _ServiceHost | None = None
        self._lock = threading.RLock()

    def run(
        self,
        root: Composite,
        *,
        kinds: Iterable[str],
        recursive: bool = True,
        restart: bool = False,
        progress: bool = True,
    ) -> None:
        """Run the tasks of these kinds, children first; what they print is all there is to see.

        Raises TaskGetterError before anything has run, what a task raises, and ServeFailed. With
        train among the kinds, replicas that run are replaced; else what is up stays.
        """
        del progress
        asked = [kind for kind in KINDS if kind in set(kinds)]
        with self._lock:
            tree = Tree(root, default_name(root))
            paths = [node.path for node in (tree.nodes if recursive else tree.nodes[-1:])]
            work = {
                kind: [path for path in paths if has_work(tree.module_at(path), kind)]
                for kind in asked
            }
            if restart:
                self.stop(root)
            for kind in asked:
                if kind == "deploy":
                    self._deploy(tree, work[kind], replaces="train" in asked)
                    continue
                for path in work[kind]:
                    changed = _run_one(tree, path, kind)
                    # What is served is replaced after a training, and not changed meanwhile.
                    if kind != "train":
                        self._publish(changed)

    def stop(self, root: Composite) -> None:
        """End what `root` and all below it serve, parents first; return when it has ended."""
        with self._lock:
            if self._host is not None:
                self._host.stop(reversed(walk(root)))

    def wait(self, root: Composite) -> None:
        """Return when what `root` and all below it serve has ended."""
        if self._host is not None:
            self._host.wait(walk(root))

    def holds(self, module: Composite) -> bool:
        """Whether something of the tree of `module` is served from here."""
        host = self._host
        return host is not None and any(map(host.serves, walk(module)))

    def _deploy(self, tree: Tree, paths: list[str], *, replaces: bool) -> None:
        deployment: _Deployment | None = None
        for path in paths:
            module = tree.module_at(path)
            if not module.serves:
                self._publish(_run_one(tree, path, "deploy"))
                if deployment is not None:
                    # What it changed belongs into what is packed from here on.
                    deployment.is_stale = True
                continue
            if self._host is None:
                self._host = _ServiceHost()
            if deployment is None:
                deployment = self._host.deployment(tree)
            self._host.serve(deployment, path, replaces=replaces)

    def _publish(self, changed: Sequence[ModuleChange]) -> None:
        if self._host is not None and changed:
            self._host.publish(changed)


def _run_one(tree: Tree, path: str, kind: str) -> list[ModuleChange]:
    """Run the tasks of one module and return what they have changed."""
    recorder = state_log.Recorder(tree, path, None)
    try:
        task = running.RunningTask(deployment=tree.name, path=path)
        with running.within(task), recorder:
            run_tasks(recorder.module, kind)
    except Exception as error:
        error.add_note(f"in the {kind} task of {path}")
        raise
    except KeyboardInterrupt as error:
        raise interrupted(f"interrupted in the {kind} task of {path}") from error
    except BaseException as error:
        # A task that calls sys.exit() has failed; it doesn't end the program.
        told = f"{type_of(error)}: {message_of(error)}"
        raise TaskFailed(f"the {kind} task of {path} raised {told}") from error
    return recorder.changed


class _Deployment:
    """One tree as it is served: its routes, and the generation that its replicas load."""

    def __init__(self, tree: Tree, key: bytes) -> None:
        self.tree = tree
        self.routes = PushedRoutes(key)
        self.generation: PackedTree | None = None
        self.is_stale = False


class _ServiceHost:
    """All services of this program, and the event loop that they live in."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._key = secrets.token_bytes(32)
        self._bare: Template | None = None
        self._services: dict[int, LocalService] = {}
        self._deployments: list[_Deployment] = []
        self._generations: set[PackedTree] = set()
        threading.Thread(target=self._loop.run_forever, name="rootward-local", daemon=True).start()
        atexit.register(self._end_all, os.getpid())

    def deployment(self, tree: Tree) -> _Deployment:
        """Make the routes of a tree and bind its modules to them."""
        deployment = _Deployment(tree, self._key)
        attach(tree, deployment.routes)
        self._do(self._adopt(deployment))
        return deployment

    def serve(self, deployment: _Deployment, path: str, *, replaces: bool) -> None:
        """Bring up the module at `path`; raises ServeFailed, NotPortable."""
        module: ServerModule = deployment.tree.module_at(path)  # type: ignore[assignment]
        service = self._services.get(id(module))
        if service is not None and not replaces:
            self._do(service.start())
            return
        if deployment.generation is None or deployment.is_stale:
            code = Code(Project.of_program())
            definition = trees.pack(
                deployment.tree, code.here(), known=live_objects.globals_of(code.project)
            )
            deployment.generation = self._do(self._generation(deployment.tree, definition))
            deployment.is_stale = False
        self._do(self._serve(deployment, path, module))

    def publish(self, changed: Sequence[ModuleChange]) -> None:
        """Write changes into the replicas that have loaded these modules; return when all have.

        Raises NotPortable for an attribute that can't travel.
        """
        for generation in list(self._generations):
            tree = generation.tree
            loaded = {
                id(tree.module_at(path))
                for service in self._services.values()
                if service.home.generation is generation
                for path in tree.loaded_by(service.home.path)
            }
            there = [change for change in changed if id(change.module) in loaded]
            if there:
                fresh = entries.encode(tree, there, sys.maxsize)
                self._do(self._follow(generation, fresh))

    def stop(self, modules: Iterable[Composite]) -> None:
        """Stop the services among `modules` in this order, and the templates nobody needs."""
        for module in modules:
            if (service := self._services.get(id(module))) is not None:
                self._do(self._stop(service))
        self._do(self._tidy())

    def wait(self, modules: Iterable[Composite]) -> None:
        """Return when the services among `modules` have ended."""
        services = [self._services[id(m)] for m in modules if id(m) in self._services]
        for service in services:
            self._do(service.ended.wait())

    def serves(self, module: Composite) -> bool:
        """Whether this module is served from here."""
        return id(module) in self._services

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop's thread and return its result."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def _adopt(self, deployment: _Deployment) -> None:
        self._deployments.append(deployment)
        self._push()

    async def _generation(self, tree: Tree, definition: bytes) -> PackedTree:
        generation = PackedTree(self._living_bare, tree, definition)
        self._generations.add(generation)
        return generation

    def _living_bare(self) -> Template:
        if self._bare is None or self._bare.ended.done():
            self._bare = Template.launch(self._loop)
        return self._bare

    async def _serve(self, deployment: _Deployment, path: str, module: ServerModule) -> None:
        assert deployment.generation is not None
        home = Home(
            path=path,
            generation=deployment.generation,
            call_key=self._key,
            table=lambda: self._table(deployment.tree),
        )
        service = self._services.get(id(module))
        try:
            if service is not None:
                await service.replace(home)
            else:
                service = self._services[id(module)] = LocalService(module, home, self._push)
                try:
                    await service.start()
                except BaseException:
                    await self._stop(service)
                    raise
        finally:
            await self._tidy()

    async def _follow(self, generation: PackedTree, fresh: list[bytes]) -> None:
        generation.log += fresh
        followers = [s for s in self._services.values() if s.home.generation is generation]
        await asyncio.gather(*(service.follow() for service in followers))

    async def _stop(self, service: LocalService) -> None:
        await service.stop()
        # Forgotten only now: a wait() that begins meanwhile still finds it.
        self._services.pop(id(service.module), None)
        runtime = service.module._runtime
        if runtime is not None:
            service.module._runtime = None
        self._push()

    async def _tidy(self) -> None:
        """Close the templates that no service needs; the bare one too when nothing is served."""
        needed = {service.home.generation for service in self._services.values()}
        for generation in self._generations - needed:
            self._generations.discard(generation)
            await generation.close()
        if not self._services:
            self._deployments.clear()
            if self._bare is not None:
                self._bare.close()
                await self._bare.ended
                self._bare = None

    def _table(self, tree: Tree) -> Table:
        return {
            node.path: service.endpoints
            for node in tree.nodes
            if (service := self._services.get(id(node.module))) is not None
        }

    def _push(self) -> None:
        for deployment in self._deployments:
            deployment.routes.update(self._table(deployment.tree))
        for service in self._services.values():
            service.push()

    def _end_all(self, pid: int) -> None:
        # A forked child inherits this exit handler, but none of the processes.
        if os.getpid() == pid and not self._loop.is_closed():
            self._do(self._kill_all())

    async def _kill_all(self) -> None:
        for service in list(self._services.values()):
            await service.stop(0)
        self._services.clear()
        await self._tidy()


def _forget() -> None:
    global _executor
    _executor = None


os.register_at_fork(after_in_child=_forget)
