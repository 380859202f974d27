"""The versions of what a project uses beside its own code: third-party packages count by them."""

from __future__ import annotations

import sys
from typing import Final

from ..code.distributions import distributions_of
from ..code.project import is_rootward

_NO_VERSION: Final = "-"


class Packages:
    """Finds the version of a top-level module's distribution, as this process has it, once."""

    def __init__(self) -> None:
        self._versions: dict[str, str] = {}

    def version(self, top: str) -> str | None:
        """Return the version; None for what comes with Python, and `-` where none is known."""
        if top in sys.stdlib_module_names or not top:
            return None
        if top not in self._versions:
            self._versions[top] = _version(top)
        return self._versions[top]


def _version(top: str) -> str:
    if is_rootward(top):
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("rootward")
        except PackageNotFoundError:
            return _NO_VERSION
    module = sys.modules.get(top)
    found = {} if module is None else distributions_of([(top, module)], {top})
    if top in found:
        return found[top][1]
    told: object = getattr(module, "__version__", None)
    return told if isinstance(told, str) else _NO_VERSION
