"""Modules that tests serve: small ones that every process can import quickly."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from rootward.modules import ModuleBase, ServerModule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class OddInputError(Exception):
    """What `Triple` raises; it can't be rebuilt from its message alone."""

    def __init__(self, value: Any, hint: str) -> None:
        super().__init__(f"odd input {value!r}: {hint}")
        self.value, self.hint = value, hint

    def __reduce__(self) -> Any:
        return type(self), (self.value, self.hint)


class Triple(ModuleBase):
    """Multiplies by what `setup` loaded."""

    def setup(self) -> None:
        self.factor = 3
        print("loaded the factor")

    def forward(self, value: Any) -> Any:
        if isinstance(value, str):
            raise OddInputError(value, hint="numbers only")
        return value * self.factor


class Counting(ModuleBase):
    """A stream of numbers, which may break."""

    def forward(self, until: int, break_at: int = -1) -> Iterator[int]:
        for number in range(until):
            if number == break_at:
                raise ValueError("broke")
            yield number


class AsyncCounting(ModuleBase):
    """The same as an async generator."""

    async def forward(self, until: int) -> AsyncIterator[int]:
        for number in range(until):
            yield number


class AsyncTriple(ModuleBase):
    """An async forward."""

    async def forward(self, value: int) -> int:
        return value * 3


class Pid(ModuleBase):
    """Tells which process it runs in."""

    def forward(self) -> int:
        return os.getpid()


class Fatal(ModuleBase):
    """Ends its process, or answers."""

    def forward(self, die: bool) -> str:
        if die:
            os._exit(3)
        return "alive"


class Above(ModuleBase):
    """Calls a served module below it."""

    def __init__(self) -> None:
        super().__init__()
        self.below = ServerModule(Pid())

    def forward(self) -> tuple[int, int]:
        return os.getpid(), self.below()


class Trained(ModuleBase):
    """Serves what its train task has made."""

    def _get_train_tasks(self) -> Any:
        def train() -> None:
            self.weights = [1, 2, 3]

        return train

    def forward(self) -> list[int]:
        return self.weights


class BadSetup(ModuleBase):
    """Can't be set up."""

    def setup(self) -> None:
        print("reading the weights")
        raise FileNotFoundError("weights.bin")

    def forward(self) -> None:
        """Is never reached."""


class HangingSetup(ModuleBase):
    """Is never set up."""

    def setup(self) -> None:
        print("waiting for a licence")
        threading.Event().wait()

    def forward(self) -> None:
        """Is never reached."""


class Parent(ModuleBase):
    """Starts a process of its own, in a session of its own."""

    def setup(self) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-c", "import threading; threading.Event().wait()"],
            start_new_session=True,
        )

    def forward(self) -> tuple[int, int]:
        return os.getpid(), self.child.pid
