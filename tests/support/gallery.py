"""Trees for pictures and tests of the dashboard: small, sixty with a failure, a thousand.

Deployed as TARGETs of this file, by value. How long things take comes from GALLERY_PACE (seconds a
unit), whether the corpus fails from the file that GALLERY_CORPUS names: with "good" in it, it is
read.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from rootward import ModuleBase, ServerModule, progress


def spend(units: float) -> None:
    """Take a while."""
    threading.Event().wait(units * float(os.environ.get("GALLERY_PACE", "0.2")))


def say(text: str) -> None:
    print(text, flush=True)


class Part(ModuleBase):
    """Trains for as long as it is told."""

    def __init__(self, name: str, units: float = 1.0) -> None:
        super().__init__(name=name)
        self.units = units

    def train(self) -> None:
        say(f"reading for {self.name}")
        spend(self.units)
        say(f"{self.name} is trained")

    def _get_train_tasks(self) -> object:
        return self.train

    def forward(self, value: float = 0.0) -> float:
        """Return twice the value."""
        return value * 2


class Corpus(Part):
    """Fails in training until its data is good."""

    def train(self) -> None:
        say("reading 12 shards")
        spend(self.units / 2)
        say("shard-5.jsonl 41,208 rows")
        say("shard-6.jsonl 40,977 rows")
        sys.stderr.write("shard-7.jsonl WARN no 'text'\n")
        self.read("shard-7.jsonl")

    def read(self, name: str) -> None:
        path = os.environ.get("GALLERY_CORPUS", "")
        if not (path and Path(path).exists() and "good" in Path(path).read_text()):
            raise ValueError(f"no column 'text' in {name} (found: body, id)")


class Group(ModuleBase):
    """Holds others, and has a deploy task of its own when it `deploys`."""

    def __init__(self, name: str, parts: list[ModuleBase], *, deploys: bool = False) -> None:
        super().__init__(name=name)
        self.deploys = deploys
        self.parts = parts

    def _get_deploy_tasks(self) -> object:
        return self.publish if self.deploys else None

    def publish(self) -> None:
        say(f"{self.name} is published")

    def forward(self, value: float = 0.0) -> float:
        return value


class Classifier(Part):
    """Tells a digit."""

    def __init__(self, name: str, units: float) -> None:
        super().__init__(name, units)
        self.evalset([[0.0], [1.0, 2.0], [3.0]])

    def train(self) -> None:
        for step in range(10):
            say(f"step {step + 1} of 10")
            progress(step, 10)
            spend(self.units / 10)
        progress(10, 10)

    def forward(self, image: list[float]) -> int:
        """Return the digit that the image shows."""
        return int(sum(image)) % 10


class Vote(ModuleBase):
    """Asks its parts, and takes what most say."""

    def __init__(self) -> None:
        super().__init__()
        self.neighbours = ServerModule(Classifier("neighbours", 7))
        self.forest = ServerModule(Classifier("forest", 8))
        self.linear = ServerModule(Classifier("linear", 7))

    def forward(self, image: list[float]) -> int:
        """Return the digit that the image shows."""
        votes = [each(image) for each in (self.neighbours, self.forest, self.linear)]
        return max(set(votes), key=votes.count)


class Count(ModuleBase):
    """Counts, item by item."""

    def forward(self, n: int = 3) -> Iterator[int]:
        """Yield the numbers below n."""
        for number in range(n):
            spend(0.5)
            yield number


def digits() -> ModuleBase:
    return ServerModule(Vote(), name="digits", replicas=2)


def hello() -> ModuleBase:
    return ServerModule(Part("hello", 1))


def count() -> ModuleBase:
    return ServerModule(Count(), name="count")


def many(prefix: str, number: int, units: float = 0.5) -> list[ModuleBase]:
    return [Part(f"{prefix}-{i}", units * (1 + i % 4) / 2) for i in range(number)]


def atlas() -> ModuleBase:
    """Sixty modules, of which one fails."""
    bm25 = Group(
        "bm25", [Corpus("corpus", 4), Part("postings"), Part("stopwords", 0.3)], deploys=True
    )
    sparse = Group("sparse", [bm25, Part("tokenizer", 2), Part("synonyms", 0.6)], deploys=True)
    retriever = Group(
        "retriever",
        [Group("dense", many("encoder", 5), deploys=True), sparse, Part("fusion", 0.9)],
        deploys=True,
    )
    return Group(
        "atlas",
        [
            Group("ingest", many("source", 13), deploys=True),
            retriever,
            Group("ranker", many("feature", 10), deploys=True),
            Group("reader", many("span", 12), deploys=True),
            Group("guard", many("rule", 4), deploys=True),
        ],
        deploys=True,
    )


def thousand() -> ModuleBase:
    """A thousand modules in 51 groups."""
    groups: list[ModuleBase] = [Group(f"group-{i}", many(f"leaf-{i}", 19, 0.5)) for i in range(51)]
    return Group("thousand", [Group("top", groups)], deploys=True)


NAMES = [
    "<img src=x onerror=alert(1)>",
    "模型-训练-检索",
    "نموذج-التدريب",
    "long-" + "n" * 195,
    "a&b\"c'd",
]


def strange() -> ModuleBase:
    """Modules with names that tempt a page."""
    return Group("strange", [Part(name, 0.2) for name in NAMES])


class Hungry(ModuleBase):
    """Needs what no worker has."""

    def forward(self, value: int = 0) -> int:
        return value


def search() -> ModuleBase:
    return Group("search", [ServerModule(Hungry(), name="reindex", resources={"gpu": 1})])
