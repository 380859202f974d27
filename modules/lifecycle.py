"""Lifecycle: the calls that train, deploy, evaluate and stop a tree.

Each passes the tree on to whoever runs tasks now, which `executor` knows: this process, or workers.
An interrupt within one of them comes as one sentence.
"""

from __future__ import annotations

from .composite import Composite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, Self, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")


KINDS = ("train", "deploy", "eval")
"""The kinds of work in the order in which `update` does them."""


class Lifecycle(Composite):
    """What users tell a module and everything below it to do."""

    __slots__ = ()

    def update(self, recursive: bool = True, *, progress: bool = True) -> Self:
        """Run all train tasks, then all deploy tasks, then all eval tasks; children first.

        While workers do it, a line shows how far they are, unless `progress` is false.
        """
        return self._run(KINDS, recursive, progress=progress)

    def start(self, recursive: bool = True) -> Self:
        """Run the deploy tasks: bring up what isn't up."""
        return self._run(("deploy",), recursive)

    def update_server(self, recursive: bool = True) -> Self:
        """Do what `start` does."""
        return self.start(recursive)

    def restart(self, recursive: bool = True) -> Self:
        """Stop what is served here and below, then start it."""
        return self._run(("deploy",), recursive, restart=True)

    def eval(self, recursive: bool = True) -> Self:
        """Run the eval tasks; `eval_result` holds what came out."""
        return self._run(("eval",), recursive)

    def wait(self) -> None:
        """Return when what this module serves has ended."""
        from . import executor
        from .processes.interrupt import in_one_sentence

        with in_one_sentence("wait"):
            executor.resolve_for(self).wait(self)

    def stop(self) -> None:
        """Stop what this module and everything below it serves, parents first."""
        from . import executor
        from .processes.interrupt import in_one_sentence

        with in_one_sentence("stop"):
            executor.resolve_for(self).stop(self)

    async def aupdate(self, recursive: bool = True, *, progress: bool = True) -> Self:
        """Do what `update` does, from async code: a thread does the waiting."""
        return await _in_thread(self.update, recursive, progress=progress)

    async def astart(self, recursive: bool = True) -> Self:
        """Do what `start` does, from async code."""
        return await _in_thread(self.start, recursive)

    async def aeval(self, recursive: bool = True) -> Self:
        """Do what `eval` does, from async code."""
        return await _in_thread(self.eval, recursive)

    async def astop(self) -> None:
        """Do what `stop` does, from async code."""
        await _in_thread(self.stop)

    def _run(
        self,
        kinds: tuple[str, ...],
        recursive: bool,
        *,
        restart: bool = False,
        progress: bool = True,
    ) -> Self:
        from . import executor
        from .processes.interrupt import in_one_sentence

        with in_one_sentence(kinds[0] if len(kinds) == 1 else "update"):
            executor.resolve().run(
                self, kinds=kinds, recursive=recursive, restart=restart, progress=progress
            )
        return self


async def _in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    import asyncio

    return await asyncio.to_thread(function, *args, **kwargs)
