"""An owner of templates for tests: an event loop, and what its children have said so far."""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import TYPE_CHECKING, Any, Self

from rootward.modules.code.packing import Code
from rootward.modules.code.project import Project
from rootward.modules.processes.forkserver import Child, ReplicaSpec, Template, listen
from rootward.modules.state import trees
from rootward.modules.tree import Tree, default_name

if TYPE_CHECKING:
    from rootward.modules import ModuleBase

TIMEOUT_S = 20.0
KEY = b"k" * 32


class Heard:
    """What one child has said, printed, and how it ended."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        # How many calls it has and holds, which it says whenever that changes.
        self.demand: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.output = {1: b"", 2: b""}
        self._numbers = itertools.count()
        self.exit: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        child.on_message = lambda _, message: self._heard(message)
        child.on_output = self._printed
        child.on_exit = lambda _, status: self.exit.set_result(status)

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(TIMEOUT_S):
            return await self.messages.get()

    async def ended(self) -> int | None:
        async with asyncio.timeout(TIMEOUT_S):
            return await self.exit

    async def run(self, path: str, kind: str, states: list[bytes] | None = None) -> dict[str, Any]:
        """Let a slot run one task and return how that ended."""
        self.begin(path, kind, states or [])
        return await self.next()

    def begin(self, path: str, kind: str, states: list[bytes]) -> int:
        """Send a slot one task and let it begin; return its number."""
        number = next(self._numbers)
        task = {"number": number, "kind": kind, "path": path, "limit": 1 << 20}
        task |= {"deployment": "loud", "attempt": 1}
        self.child.lane.send({"op": "run", "tasks": [task], "states": states})
        self.child.lane.allow([number])
        return number

    def go_on(self) -> None:
        """Let a slot whose task has printed take the next."""
        self.child.drain_output()
        self.child.lane.send({"op": "go"})

    def _heard(self, message: dict[str, Any]) -> None:
        if "wish" in message:
            self.child.lane.send({"op": "answer", "kept": True})
        elif message.get("event") in {"load", "held"}:
            self.demand.put_nowait(message)
        else:
            self.messages.put_nowait(message)

    def _printed(self, child: Child, fd: int, data: bytes) -> None:
        self.output[fd] += data


class Owner:
    """An async context manager with a bare template, which ends with it."""

    async def __aenter__(self) -> Self:
        self.bare = Template.launch(asyncio.get_running_loop())
        return self

    async def __aexit__(self, *error: object) -> None:
        self.bare.close()
        async with asyncio.timeout(TIMEOUT_S):
            await self.bare.ended

    async def load(self, root: ModuleBase) -> Template:
        tree = Tree(root, default_name(root))
        template = self.bare.fork()
        definition = trees.pack(tree, Code(Project.of_program()).here())
        async with asyncio.timeout(TIMEOUT_S):
            self.info = await template.load(definition)
        return template

    def slot(self, template: Template) -> Heard:
        return Heard(template.slot("slot"))

    def replica(self, template: Template, path: str, **options: Any) -> tuple[Heard, ReplicaSpec]:
        spec = ReplicaSpec(path=path, token=os.urandom(8).hex(), call_key=KEY, **options)
        with listen(spec.host, None) as sock:
            self.port = sock.getsockname()[1]
            return Heard(template.replica("replica", spec, sock)), spec
