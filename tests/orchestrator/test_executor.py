"""A caller's own tree, run on workers: left as a local run would have left it."""

from __future__ import annotations

import pytest

import orchestrator
from modules.module import ModuleBase
from orchestrator.errors import DeploymentFailed
from orchestrator.executor import DistributedExecutor
from tests.orchestrator.scripted import ScriptedWorker
from tests.support.waiting import wait_until


class Member(ModuleBase):
    """A module that learns something and says so."""

    def __init__(self, name, fails=False):
        super().__init__(name=name)
        self.fails = fails
        self.weights = None

    def _get_train_tasks(self):
        return self.train

    def train(self):
        print(f"{self.name} trains")
        if self.fails:
            raise ValueError("no")
        self.weights = [len(self.name)]


class Team(ModuleBase):
    """A module that chooses one of its members."""

    def __init__(self, *members):
        super().__init__(name="team")
        self.members = list(members)
        self.best = None

    def _get_train_tasks(self):
        return self.choose

    def _get_eval_tasks(self):
        return lambda: print(f"best is {self.best.name}")

    def choose(self):
        self.best = self.members[1]
        self.members[0].weights = "reset"
        print("team chose")


@pytest.fixture
def client(redis_url, prefix, secret):
    with orchestrator.connect(redis_url, secret=secret, prefix=prefix) as client:
        yield client
    client.close()


def test_update_leaves_the_callers_own_objects_changed(client, capsys):
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


def test_a_tree_keeps_its_name_and_suffix(client):
    """Each call is the next generation of the same deployment."""
    team = Team(Member("a"), Member("bb"))
    with ScriptedWorker(client):
        team.update()
        team.eval()
    (record,) = client.deployments()
    assert record.name.startswith("team-")
    assert (record.latest, record.current) == (2, 1)


def test_part_of_a_submitted_tree_runs_under_the_trees_name(client):
    """A child's evaluation finds what its tree serves."""
    team = Team(Member("a"), Member("bb"))
    with ScriptedWorker(client):
        team.update()
        team.members[0].update()
    (record,) = client.deployments()
    assert record.latest == 2
    tasks = client.deployment(record.name).status().tasks
    assert [task.id for task in tasks] == [f"train:{record.name}/a"]


def test_a_failed_run_says_why_and_keeps_what_succeeded(client):
    """The parts that did train are trained."""
    team = Team(Member("a"), Member("bb", fails=True))
    with ScriptedWorker(client), pytest.raises(DeploymentFailed, match="ValueError: no"):
        team.update()
    assert team.members[0].weights == [1]
    assert team.best is None


def test_a_tree_without_work_needs_no_worker(client):
    """Nothing is submitted for nothing."""
    ModuleBase(name="idle").update()
    assert client.deployments() == []


def test_what_a_program_made_ends_with_it(client):
    """Closing gives up the lease, and what it owned stops."""
    executor = DistributedExecutor(client)
    team = Team(Member("a"), Member("bb"))
    with ScriptedWorker(client):
        executor.run(team)
        name = client.deployments()[0].name
        assert executor.owns_anything
        executor.close()
        executor.close()
    state = wait_until(
        lambda: client.deployment(name).status().state == "ready", description="it has ended"
    )
    assert state
    assert not executor.owns_anything
