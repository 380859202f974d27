"""A chat: an engine that lazyllm starts by its command, behind a server that streams."""

from collections.abc import Iterator
from typing import Any

import lazyllm

llm = lazyllm.TrainableModule("stub", stream=True, trust_remote_code=False).deploy_method(
    lazyllm.deploy.vllm
)
polite = llm.share(prompt="Be polite: {input}")


class Chat(lazyllm.ModuleBase):
    def __init__(self) -> None:
        super().__init__()
        self.llm = polite

    def forward(self, text: str) -> Iterator[str]:
        for piece in lazyllm.StreamCallHelper(self.llm, interval=0.01)(text, stream_output=True):
            yield piece["delta"] if isinstance(piece, dict) else piece


METHOD = "start"
tree = lazyllm.ServerModule(Chat(), stream=True)


def answers() -> Any:
    return [tree("hello"), llm("a word")]
