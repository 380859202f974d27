"""What a caller keeps in lazyllm's globals is seen by what is served, call by call."""

from typing import Any

import lazyllm


class Seen(lazyllm.ModuleBase):
    def forward(self, text: str) -> str:
        return f"{text} {lazyllm.globals.get('user', 'nobody')}"


tree = lazyllm.ServerModule(Seen())


def answers() -> Any:
    found = [tree("a")]
    lazyllm.globals["user"] = "ann"
    found.append(tree("b"))
    lazyllm.globals["user"] = "bob"
    return [*found, tree("c")]
