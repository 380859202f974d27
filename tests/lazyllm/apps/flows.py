"""Flows with bound inputs and outputs, served as a whole and in parts, called more than once."""

from typing import Any

import lazyllm
from lazyllm import _0, bind, package, parallel, pipeline, switch

with pipeline() as ppl:
    ppl.words = lambda text: package(text, text + text)
    ppl.both = parallel(lambda a, b: a + "1", lambda a, b: b + "2")
    ppl.join = bind(lambda *parts: "-".join(parts), _0, ppl.output("words", unpack=True), ppl.input)
    with switch() as ppl.kind:
        ppl.kind.case[lambda text: len(text) > 12, lambda text: text + " long"]
        ppl.kind.case["default", lambda text: text + " short"]

tree = lazyllm.ServerModule(ppl)


def answers() -> Any:
    return [tree("a"), tree("abc"), tree("a")]
