"""Search in the documentation of Python's own library: `rootward up examples/search/app.py:tree`.

The training keeps in its workspace what it has embedded, and goes on there when it is tried again.
The search calls two served modules, and is evaluated on the first sentences of what it is to find.
"""

import ast
import shutil
import sysconfig
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from rootward import ModuleBase, ServerModule, progress, workspace

COUNT, BATCH = 400, 50
coarse = HashingVectorizer(n_features=1024, stop_words="english")
fine = HashingVectorizer(n_features=2**16, stop_words="english", ngram_range=(1, 2))


def corpus() -> Iterator[tuple[str, str]]:
    """Yield texts, each with its first sentence, which isn't part of the text."""
    for file in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                first, _, rest = (ast.get_docstring(node) or "").partition("\n\n")
                if len(rest) > 200 and len(first) > 30:
                    yield rest, f"{node.name}: {first}"


class Index(ModuleBase):
    def _get_train_tasks(self) -> object:
        return self.train

    def train(self) -> None:
        self.texts, parts = [text for text, _ in islice(corpus(), COUNT)], []
        for at in range(0, COUNT, BATCH):
            part = workspace() / f"{at}.npy"
            if not part.exists():
                np.save(part, coarse.transform(self.texts[at : at + BATCH]).toarray())
            parts.append(np.load(part))
            progress(at + BATCH, COUNT, "embedded")
        self.vectors = np.concatenate(parts)
        shutil.rmtree(workspace())

    def forward(self, query: str, count: int) -> list[int]:
        order = np.argsort(-(self.vectors @ coarse.transform([query]).toarray()[0]))
        return [int(i) for i in order[:count]]


class Ranker(ModuleBase):
    def forward(self, query: str, texts: list[str]) -> list[int]:
        scores = (fine.transform(texts) @ fine.transform([query]).T).toarray().ravel()
        return [int(i) for i in np.argsort(-scores)]


class Search(ModuleBase):
    def __init__(self) -> None:
        super().__init__()
        self.index = Index(name="index")
        self.retriever = ServerModule(self.index, name="retriever")
        self.ranker = ServerModule(Ranker(), name="ranker")

    def forward(self, query: str) -> list[int]:
        found = self.retriever(query, 50)
        return [found[i] for i in self.ranker(query, [self.index.texts[i] for i in found])[:5]]


def recall(wanted: Sequence[int], answers: list[list[int]]) -> float:
    return sum(text in found for text, found in zip(wanted, answers, strict=True)) / len(wanted)


tree = ServerModule(Search(), name="search")
queries = [query for _, query in islice(corpus(), 0, COUNT, 8)]
tree.evalset(queries, collect_f=partial(recall, range(0, COUNT, 8)))
