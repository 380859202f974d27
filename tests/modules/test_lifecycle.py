"""The twins for async code do what their namesakes do, and leave the event loop free meanwhile."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from rootward.modules import ModuleBase


class Waits(ModuleBase):
    """Its training waits for `free`, so that only a loop that goes on lets it end."""

    local_attributes = ("free",)

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.evalset([1, 2])

    def _get_train_tasks(self) -> Any:
        return self.train

    def train(self) -> None:
        assert self.free.wait(30)
        self.k = 3

    def forward(self, value: int) -> int:
        return value * getattr(self, "k", 1)


def test_a_tree_is_updated_while_the_loop_goes_on() -> None:
    async def main() -> Waits:
        module = Waits()
        asyncio.get_running_loop().call_later(0, module.free.set)
        return await module.aupdate()

    module = asyncio.run(main())
    assert (module.k, module.eval_result) == (3, [3, 6])


def test_the_twins_of_start_eval_and_stop() -> None:
    async def main() -> Any:
        module = await Waits().astart()
        assert await module.aeval() is module
        await module.astop()
        return module.eval_result

    assert asyncio.run(main()) == [1, 2]
