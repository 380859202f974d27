"""Module classes with training, evaluation and a child: nothing served."""

from typing import Any

import lazyllm


class Word(lazyllm.ModuleBase):
    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.weight = 0

    def _get_train_tasks(self) -> Any:
        def train() -> None:
            self.weight = len(self.name) * 10

        return lazyllm.pipeline(train)

    def forward(self, text: str) -> str:
        return f"{self.name}:{text}:{self.weight}"


class Both(lazyllm.ModuleBase):
    def __init__(self) -> None:
        super().__init__(name="both")
        self.left, self.right = Word("left"), Word("upright")

    def forward(self, text: str) -> list[str]:
        return [self.left(text), self.right(text)]


tree = Both()
tree.evalset(["x", "y"])
tree.left.evalset([{"text": "k"}])


def answers() -> Any:
    return [tree("q"), tree.eval_result, tree.left.eval_result, tree.left.weight]
