"""lazyllm's WebModule: a web page that a replica serves, with what is behind it in its process.

The page itself (gradio's) is made anew in the replica: it holds closures, threads and locks, which
don't travel. It knows the path under which the gateway has it, and is whole at its own address too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import lazyllm

from ..command import CommandModule
from ..errors import ForeignError
from ..processes.child import listen
from .nodes import ForeignNode

if TYPE_CHECKING:
    from collections.abc import Sequence

COMPONENTS: Final = "_rootward_components"
_MADE_ANEW: Final = frozenset({"demo", "pool"})


class PageNode(ForeignNode, CommandModule):
    """A WebModule as a served module: its page is opened in the replica's own process."""

    serves = True
    command: Sequence[str] = ()  # type: ignore[assignment]
    health_path = "/"
    replicas = 1
    env: dict[str, str] = {}  # noqa: RUF012 - read only
    resources: dict[str, float] = {}  # noqa: RUF012 - read only
    cwd = None
    startup_timeout = 300.0
    stop_signal = "SIGTERM"
    stop_timeout = 5.0
    repeatable = False
    exclusive = False

    @property
    def port(self) -> int | None:  # type: ignore[override]
        """The port that the user has fixed; None where it is to be one of several."""
        asked = vars(self)["port"]
        return asked if isinstance(asked, int) else None

    @property
    def local_attributes(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is made anew in the replica, and lazyllm's own structure."""
        return (*super().local_attributes, *_MADE_ANEW)

    def open_server(self, host: str, port: int) -> int:
        """Serve the page, on the first free port of several; raises what gradio raises."""
        page = self.foreign
        if self.port is None:
            port = next((each for each in vars(self)["port"] if _is_free(host, each)), port)
        page.pool = lazyllm.ThreadPoolExecutor(max_workers=50)
        page.demo = page.init_web(vars(self).get(COMPONENTS, []))
        page.demo.queue().launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            root_path=f"/services/{self._path()}",
            quiet=True,
        )
        return port

    def close_server(self) -> None:
        """Close the page."""
        self.foreign.demo.close()

    def __getstate__(self) -> dict[str, Any]:
        """Return all attributes but what is made anew, and what makes the object again."""
        held = vars(self)
        if held.get("ckeys") and COMPONENTS not in held:
            raise ForeignError(
                "the components of a WebModule are known only when rootward.lazyllm is imported "
                "before it is made: put `import rootward.lazyllm` first"
            )
        state = super().__getstate__()
        attributes = {k: v for k, v in state["attributes"].items() if k not in _MADE_ANEW}
        return {**state, "attributes": attributes}


def _is_free(host: str, port: int) -> bool:
    try:
        listen(host, port).close()
    except OSError:
        return False
    return True
