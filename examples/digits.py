"""Three classifiers of handwritten digits, each in a process of its own, and a vote over them.

    rootward up examples/digits.py:tree --once

Every classifier trains as a task of its own, so they train at the same time when there is room.
The vote is deployed last, because it calls the others. Then each of them, and the vote, reads the
digits that nobody trained on; what it returns as its evaluation is the share that it read rightly.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from rootward import ModuleBase, ServerModule

Image = list[float]
"""The 64 pixels of an image, row by row, each from 0 (paper) to 16 (ink)."""


def split() -> tuple[list[Image], list[Image], list[int], list[int]]:
    """Return training images, held-out images, training labels and held-out labels."""
    digits = load_digits()
    parts = train_test_split(
        digits.data, digits.target, test_size=0.2, random_state=0, stratify=digits.target
    )
    images, held_out, labels, held_out_labels = (part.tolist() for part in parts)
    return images, held_out, labels, held_out_labels


def accuracy(labels: list[int], answers: list[int]) -> float:
    """Return the share of `answers` that equal their label."""
    return sum(map(int.__eq__, labels, answers)) / len(labels)


class Classifier(ModuleBase):
    """Reads one digit with a scikit-learn model, which it trains itself."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def _get_train_tasks(self) -> Any:
        return self.train

    def train(self) -> None:
        """Fit the model. What a task sets on its module is there in all later ones."""
        images, _, labels, _ = split()
        self.model = self.model.fit(images, labels)
        print(f"{type(self.model).__name__} learned from {len(images)} images")

    def forward(self, image: Image) -> int:
        """Return the digit that the image shows."""
        return int(self.model.predict([image])[0])


class Vote(ModuleBase):
    """Asks every member, and returns the digit that most of them see; the first one breaks ties."""

    def __init__(self, members: list[ModuleBase]) -> None:
        super().__init__()
        self.members = members

    def forward(self, image: Image) -> int:
        """Return the digit that the image shows."""
        counts = Counter(member(image) for member in self.members)
        return counts.most_common(1)[0][0]


def build() -> ModuleBase:
    """Return the tree: a served vote over three served classifiers, all with an evaluation set."""
    members: list[ModuleBase] = [
        ServerModule(Classifier(KNeighborsClassifier(5)), name="neighbours"),
        ServerModule(Classifier(ExtraTreesClassifier(25, random_state=0)), name="forest"),
        ServerModule(
            Classifier(SVC(kernel="linear", C=0.01)),
            name="linear",
        ),
    ]
    root = ServerModule(Vote(members), name="digits")
    _, held_out, _, labels = split()
    for served in [*members, root]:
        served.evalset(held_out, collect_f=partial(accuracy, labels))
    return root


tree = build()

if __name__ == "__main__":
    tree.update()
    print(f"the vote is right in {tree.eval_result:.1%} of the held-out images")
