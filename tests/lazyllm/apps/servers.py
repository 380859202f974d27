"""A server in a server, with functions before and after, a method call, and a stream."""

from typing import Any

import lazyllm


class Inner(lazyllm.ModuleBase):
    def forward(self, text: str) -> str:
        return text.upper()

    def count(self, text: str, times: int = 1) -> int:
        return len(text) * times


class Outer(lazyllm.ModuleBase):
    def __init__(self, inner: Any) -> None:
        super().__init__(name="outer")
        self.inner = inner

    def forward(self, text: str) -> str:
        return f"<{self.inner(text)}>"


def stream(text: str) -> Any:
    yield from text


inner = lazyllm.ServerModule(Inner(), pre=lambda text: text + "!", num_replicas=1)
outer = lazyllm.ServerModule(Outer(inner), post=lambda result: result + ".")
letters = lazyllm.ServerModule(stream, stream=True)
tree = lazyllm.ActionModule(lazyllm.parallel(outer, letters).aslist)


def answers() -> Any:
    return [tree("ab"), inner("x"), inner._call("count", "abc", times=2)]
