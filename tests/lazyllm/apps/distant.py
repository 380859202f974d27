"""An engine that runs on a worker at another address."""

from typing import Any
from urllib.parse import urlsplit

from engines import llm

tree = llm
METHOD = "start"


def answers() -> Any:
    return [urlsplit(llm._url).hostname, llm("again")]
