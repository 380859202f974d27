"""A caller's own tree, run on workers: left as a local run would have left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from rootward.modules.module import ModuleBase
from rootward.orchestrator.errors import DeploymentFailed
from tests.support.scripted import ScriptedWorker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootward.orchestrator.client.client import Client


class Member(ModuleBase):
    """A module that learns something and says so."""

    def __init__(self, name: str, fails: bool = False) -> None:
        super().__init__(name=name)
        self.fails = fails
        self.weights = None

    def _get_train_tasks(self) -> object:
        return self.train

    def train(self) -> None:
        print(f"{self.name} trains")
        if self.fails:
            raise ValueError("no")
        self.weights = [len(self.name)]


class Team(ModuleBase):
    """A module that chooses one of its members."""

    def __init__(self, *members: Member) -> None:
        super().__init__(name="team")
        self.members = list(members)
        self.best = None

    def _get_train_tasks(self) -> object:
        return self.choose

    def _get_eval_tasks(self) -> object:
        return lambda: print(f"best is {self.best.name}")

    def choose(self) -> None:
        self.best = self.members[1]
        self.members[0].weights = "reset"
        print("team chose")


@pytest.fixture
def client(redis_url: str, prefix: str, secret: str) -> Iterator[Client]:
    with orchestrator.connect(redis_url, secret=secret, prefix=prefix) as client:
        yield client
    client.close()


def test_update_leaves_the_callers_own_objects_changed(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """States are applied so that aliasing holds; output comes whole, in order of finish."""
    team = Team(Member("a"), Member("bb"))
    with ScriptedWorker(client):
        assert team.update() is team
    assert team.best is team.members[1]
    assert team.best.weights == [2]
    assert team.members[0].weights == "reset"
    lines = capsys.readouterr().out.splitlines()
    assert set(lines[:2]) == {"a trains", "bb trains"}
    assert lines[2:] == ["team chose", "best is bb"]


def test_a_tree_keeps_its_name_and_suffix(client: Client) -> None:
    """Each call is the next generation of the same deployment."""
    team = Team(Member("a"), Member("bb"))
    with ScriptedWorker(client):
        team.update()
        team.eval()
    (record,) = client.deployments()
    assert record.name.startswith("team-")
    assert (record.latest, record.current) == (2, 1)


def test_part_of_a_submitted_tree_runs_under_the_trees_name(client: Client) -> None:
    """A child's evaluation finds what its tree serves."""
    team = Team(Member("a"), Member("bb"))
    with ScriptedWorker(client):
        team.update()
        team.members[0].update()
    (record,) = client.deployments()
    assert record.latest == 2
    tasks = client.deployment(record.name).status().tasks
    assert [task.id for task in tasks] == [f"train:{record.name}/a"]


def test_a_failed_run_says_why_and_keeps_what_succeeded(client: Client) -> None:
    """The parts that did train are trained."""
    team = Team(Member("a"), Member("bb", fails=True))
    with ScriptedWorker(client), pytest.raises(DeploymentFailed, match="ValueError: no"):
        team.update()
    assert team.members[0].weights == [1]
    assert team.best is None


def test_a_tree_without_work_needs_no_worker(client: Client) -> None:
    """Nothing is submitted for nothing."""
    ModuleBase(name="idle").update()
    assert client.deployments() == []
