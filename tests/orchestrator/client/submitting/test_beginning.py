"""What a submission begins with where it is to be compared with what is current."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.support.programs import run

if TYPE_CHECKING:
    from pathlib import Path


HOSTILE = """
from rootward import ModuleBase


class Hostile(type):
    def __getattribute__(cls, name):
        if name == "__module__":
            raise RuntimeError(name)
        return super().__getattribute__(name)


class Unreadable(metaclass=Hostile):
    pass


class Reaches(ModuleBase):
    def _get_train_tasks(self):
        return lambda: Unreadable

"""
DEPLOYS = """
import rootward
from hostile import Reaches

with rootward.connect() as client:
    print(client.submit(Reaches(name="hostile")).id)
    try:
        client.submit(Reaches(name="hostile"), changed=True)
    except rootward.orchestrator.errors.PlanError as error:
        print(error)
"""


def test_what_cannot_be_compared_is_refused_only_where_it_has_to_be_compared(
    redis_url: str, prefix: str, secret: str, tmp_path: Path
) -> None:
    """In a process of its own: such a class spoils the comparison of all that is imported."""
    (tmp_path / "hostile.py").write_text(HOSTILE)
    (tmp_path / "deploys.py").write_text(DEPLOYS)
    settings = {"REDIS_URL": redis_url, "ROOTWARD_PREFIX": prefix, "ROOTWARD_SECRET": secret}
    done = run([sys.executable, "deploys.py"], folder=tmp_path, environ=settings)
    first, refused = done.stdout.splitlines() or (done.report(), "")
    assert first == "hostile@1"
    assert "are made of can't be read: deploy all of it" in refused
    assert "the next deploy can't tell what changed" in done.stderr
