"""The distributed executor: `update()`, `eval()`, `stop()` and their kin for a caller's tree.

The tree is submitted by value under a name of its own, and what it serves ends with the program.
While it runs, what tasks printed is repeated here; afterwards the caller's own objects are as a
local run would have left them: states applied, served modules callable. Which executor a call goes
to is decided by `rootward.modules.executor`.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rootward.modules.processes.interrupt import interrupted
from rootward.modules.runtime import attach
from rootward.modules.state import state_log
from rootward.modules.tree import Tree, default_name

from ..planning.collect import is_whole, plan_tree
from ..planning.definition import Definition
from ..planning.graph import ALL_KINDS, Kind
from ..planning.planner import parse_kinds
from ..planning.submission import Order
from ..scaling.by_hand import hold_none
from .log_echo import Echo
from .owner_lease import Owner
from .progress_line import REFRESH_S, progress_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rootward.modules.composite import Composite

    from ..planning.plan import Plan
    from .connected import Connected
    from .deployment import Deployment

STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A tree that this program has submitted, under the name that it keeps."""

    tree: Tree
    deployment: Deployment


class DistributedExecutor:
    """Runs the tasks of a caller's tree on the workers of one client's Redis."""

    def __init__(self, client: Connected) -> None:
        self._client = client
        self._owner = Owner(client.store, client.settings.lease_seconds)
        self._submitted: dict[int, Submitted] = {}

    @property
    def owns_anything(self) -> bool:
        """Whether something runs that ends with this program."""
        return self._owner.owns_anything

    def run(
        self,
        root: Composite,
        *,
        kinds: Iterable[str] = ALL_KINDS,
        recursive: bool = True,
        restart: bool = False,
        progress: bool = True,
    ) -> None:
        """Run the tasks of the kinds, and return when the tree is as a local run leaves it.

        Raises DeploymentFailed, DeploymentCancelled, and what `Client.submit` raises before
        anything is stored. An interrupt cancels what was submitted.
        """
        asked = parse_kinds(kinds)
        tree, part = self._tree_for(root, asked)
        plan = plan_tree(tree, asked, recursive=recursive, part=part)
        if not plan.steps:
            return
        if restart:
            self.stop(root)
        whole = is_whole(tree, recursive=recursive, part=part)
        deployment = self._submit(tree, plan, asked, makes_current=Kind.DEPLOY in asked and whole)
        self._submitted[id(tree.root)] = Submitted(tree=tree, deployment=deployment)
        try:
            self._follow(deployment, progress=progress)
        except KeyboardInterrupt as error:
            deployment.cancel("interrupted")
            raise interrupted(f"interrupted: {deployment.id} is cancelled") from error
        finally:
            self._leave_as_local(tree, deployment)

    def stop(self, root: Composite) -> None:
        """Stop what `root` and all below it serve, parents first; return when it is gone."""
        found = self._find(root)
        if found is None:
            return
        store, name = self._client.store, found.deployment.name
        if found.tree.root is root:
            store.deployments.stop(name)
            for deployment in self._serving(name):
                deployment.wait_stopped(STOP_TIMEOUT_S)
            for node in found.tree.nodes:
                # Nothing is on its way: a call says so at once instead of being held.
                node.module._runtime = None
        else:
            for deployment in self._serving(name):
                for path in reversed(_served_below(found.tree, root)):
                    hold_none(store, self._client.signer, name, deployment.generation, path)
                    deployment.wait_unserved([path], STOP_TIMEOUT_S)
            for path in _served_below(found.tree, root):
                found.tree.module_at(path)._runtime = None

    def wait(self, root: Composite) -> None:
        """Return when what `root` serves has ended."""
        found = self._find(root)
        if found is None:
            return
        for deployment in self._serving(found.deployment.name):
            if found.tree.root is root:
                deployment.wait_stopped()
            else:
                deployment.wait_unserved(_served_below(found.tree, root))

    def close(self) -> None:
        """Stop what ends with the program; twice is harmless."""
        self._owner.close()

    def _tree_for(self, root: Composite, kinds: frozenset[Kind]) -> tuple[Tree, str | None]:
        """Return the tree to submit, and the path of the part that is meant, None for the whole.

        A part of a tree that is deployed runs under the tree's own name, so that its calls find
        what is served. A part that serves is a deployment of its own: one part of a generation
        can't be replaced without the rest.
        """
        found = self._find(root)
        if found is None:
            return Tree(root, f"{default_name(root)}-{secrets.token_hex(3)}"), None
        name = found.deployment.name
        if found.tree.root is root:
            return Tree(root, name), None
        tree = Tree(found.tree.root, name)
        path = tree.path_of(root)
        serves = Kind.DEPLOY in kinds and bool(_served_below(tree, root))
        if path is None or serves:
            return Tree(root, f"{default_name(root)}-{secrets.token_hex(3)}"), None
        return tree, path

    def _submit(
        self, tree: Tree, plan: Plan, kinds: frozenset[Kind], *, makes_current: bool
    ) -> Deployment:
        order = Order(
            kinds=tuple(str(kind) for kind in ALL_KINDS if kind in kinds),
            makes_current=makes_current,
            owner=self._owner.id,
            history_s=self._client.settings.history_days * 86400,
        )
        deployment = self._client.store_definition(Definition(tree=tree), plan, order)
        self._owner.begin()
        return deployment

    def _follow(self, deployment: Deployment, *, progress: bool) -> None:
        echo = Echo(self._client.store, deployment.name, deployment.generation)
        shown_at = 0.0
        with progress_line(deployment.id, wanted=progress) as line:
            for event in deployment.progress():
                if event is not None:
                    echo.heard(event)
                if progress and time.monotonic() - shown_at > REFRESH_S:
                    line.show(*deployment.counts())
                    shown_at = time.monotonic()

    def _leave_as_local(self, tree: Tree, deployment: Deployment) -> None:
        """Apply the recorded states to the caller's objects, and let them call what is served."""
        name, generation = deployment.name, deployment.generation
        signer = self._client.signer
        for sealed in self._client.store.tasks.states(name, generation):
            state_log.apply(tree, signer.open_state(sealed, name, generation))
        record = self._client.store.deployments.get(name)
        current = None if record is None else record.current
        # The ready replicas of a first generation that failed stay, though it isn't current.
        serving = self._client.store.deployments.generation(name, current or generation)
        if serving is None or not serving.services:
            return
        routes = self._client.registry.routes(name, None if current else generation)
        attach(tree, routes)

    def _find(self, module: Composite) -> Submitted | None:
        own = self._submitted.get(id(module))
        if own is not None:
            return own
        for submitted in reversed(self._submitted.values()):
            if submitted.tree.path_of(module) is not None:
                return submitted
        return None

    def _serving(self, name: str) -> list[Deployment]:
        """Return the newest generation and the current one, which is what can serve."""
        record = self._client.store.deployments.get(name)
        if record is None:
            return []
        numbers = {record.latest, record.current} - {None}
        return [self._client.deployment(name, number) for number in numbers]


def _served_below(tree: Tree, module: Composite) -> Sequence[str]:
    """Return the paths of what the module and all below it serve, children first."""
    below: set[int] = set()
    stack = [module]
    while stack:
        each = stack.pop()
        if id(each) not in below:
            below.add(id(each))
            stack.extend(each.submodules)
    return [n.path for n in tree.nodes if n.module.serves and id(n.module) in below]
