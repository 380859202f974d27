"""Programs that update, start, stop and call their own trees, with and without Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rootward.modules import ModuleBase, ServerModule
from rootward.modules.errors import NotServed
from rootward.orchestrator import DeploymentFailed, connect

if TYPE_CHECKING:
    from collections.abc import Iterator


class Echo(ModuleBase):
    def forward(self, value: Any) -> Any:
        return value


@pytest.fixture(params=["local", "distributed"])
def where(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both ways to run a program; it looks the same from inside."""
    if request.param == "distributed":
        url, secret, prefix = request.getfixturevalue("environ").values()
        with connect(url, secret=secret, prefix=prefix) as client:
            yield request.param
        client.close()
    else:
        yield request.param


def test_a_stopped_submodule_says_that_it_isnt_served(where: str) -> None:
    root: Any = ModuleBase(name="root")
    root.a, root.b = ServerModule(Echo()), ServerModule(Echo())
    root.start()
    root.a.stop()
    with pytest.raises(NotServed):
        root.a(1)
    assert root.b(2) == 2
    assert root.a.start()(3) == 3
    root.stop()


def test_a_failed_evaluation_tells_what_its_items_raised(
    environ: dict[str, str | None],
) -> None:
    class Picky(ModuleBase):
        def forward(self, value: int) -> int:
            raise ValueError(f"{value} is too small")

    url, secret, prefix = environ.values()
    module = Picky()
    module.evalset([1, 2])
    with connect(url, secret=secret, prefix=prefix) as client:
        with pytest.raises(DeploymentFailed, match="the first: ValueError: 1 is too small"):
            module.eval()
        client.close()
