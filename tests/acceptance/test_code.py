"""The user's code on workers that can't see the project: what Python promises of a module holds.

Each situation is a module of one tree, which says in its training what it saw. A worker starts only
when the project is gone.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from rootward import orchestrator
from rootward.orchestrator.errors import DeploymentFailed
from tests.support.projects import UserProject, far_worker
from tests.support.situations import FILES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Network

HEAD = "from rootward import ModuleBase, ServerModule, ActionModule\n"


@pytest.fixture
def client(network: Network) -> Iterator[orchestrator.Client]:
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:
        yield client


def seen_by(client: orchestrator.Client, name: str) -> dict[str, object]:
    """Return what each module of a deployment saw, by its class."""
    deployment = client.deployment(name)
    text = "".join(entry.text for entry in deployment.logs(follow=False))
    lines = [line.removeprefix("SAW ") for line in text.splitlines() if line.startswith("SAW ")]
    return dict(map(json.loads, lines))


def test_what_python_promises_of_a_module_holds(
    network: Network, client: orchestrator.Client
) -> None:
    UserProject.of(network, FILES).submit("app.py:tree")
    far_worker(network, "far", "--slots", "2")
    client.deployment("app").wait(60)
    classes = "Cached Closures Globals Identity Imports Pickled Pool Raises Settings SideEffects"
    assert seen_by(client, "app") == {
        "Pool": [1, 4, 9],
        "Spawned": [1, 4, 9],
        "Pickled": [True] * 7,
        "Cached": [{"loaded": True}, 1],
        "SideEffects": ["yes", True, 52, "entered", [1]],
        "Globals": [True, 1, "set", 3, [[2]], 16, [True] * 4, True],
        "Closures": [True, "seen by all", 10, 1.5, "int"],
        "Subclasses": [*classes.split(), "Source", "Spawned", "Subclasses", "Version"],
        "Identity": [True] * 4,
        "Source": ["def square(x):\n    return x * x\n", "app", True, "app.py", True, "app", True],
        "Settings": [False, 5000, 7.0, "/"],
        "Version": ["1.5", ["first"]],
        "Imports": ["deep", "named", True, True],
        "Raises": [[7, "text"], 'raise Failure(7, "text")'],
    }


FAILS = (
    HEAD
    + """
class M(ModuleBase):
    def _get_train_tasks(self):
        return self.fit
    def fit(self):
        raise RuntimeError("no data")
tree = M()
"""
)


def test_an_error_is_told_with_the_users_own_file_and_line(
    network: Network, client: orchestrator.Client
) -> None:
    """In the command line, in Python's error, in the stored traceback."""
    project = UserProject.of(network, {"sub/app.py": FAILS})
    far_worker(network)
    done = project.rootward("deploy", "sub/app.py:tree", "--retries", "0")
    line = 'app.py:7 in fit: raise RuntimeError("no data")'
    assert done.process.returncode == 1
    assert f"at {line}" in done.stderr
    with pytest.raises(DeploymentFailed) as caught:
        client.deployment("app").wait(10)
    assert line in str(caught.value)
    assert 'File "app.py", line 7, in fit' in caught.value.failures[0].traceback


def test_a_module_that_a_worker_lacks_is_named_with_its_distribution(
    network: Network, client: orchestrator.Client, tmp_path: Path
) -> None:
    """The distribution and its version are those of the submitter."""
    site = tmp_path / "site"
    (site / "wheely-2.5.dist-info").mkdir(parents=True)
    (site / "wheely-2.5.dist-info" / "RECORD").write_text("wheel_lib/__init__.py,,\n")
    (site / "wheel_lib").mkdir()
    (site / "wheel_lib" / "__init__.py").write_text("VALUE = 1\n")
    project = UserProject.of(
        network, {"app.py": "import wheel_lib\n" + FAILS, "late.py": "import wheel_lib\n"}
    )
    project.more["PYTHONPATH"] = str(site)
    project.submit("app.py:tree")
    site.rename(tmp_path / "nowhere")
    far_worker(network, "poor")
    with pytest.raises(DeploymentFailed, match="worker poor has no module 'wheel_lib'") as caught:
        client.deployment("app").wait(60)
    assert "wheely 2.5" in str(caught.value)
    assert "install wheely==2.5" in str(caught.value)


def test_a_file_that_stayed_behind_is_named(network: Network, client: orchestrator.Client) -> None:
    """Data goes along when it is asked for; the error says how."""
    source = FAILS.replace(
        'raise RuntimeError("no data")', "print(open(HERE / 'words.txt').read())"
    )
    source = "from pathlib import Path\nHERE = Path(__file__).parent\n" + source
    files = {"app.py": source, "words.txt": "these are the words"}
    UserProject.of(network, files, "without").submit("app.py:tree", name="without")
    UserProject.of(network, files, "with").submit("app.py:tree", "--include", "*.txt", name="with")
    far_worker(network)
    with pytest.raises(DeploymentFailed, match=r"add --include 'words\.txt'"):
        client.deployment("without").wait(60)
    deployment = client.deployment("with").wait(60)
    assert "these are the words" in "".join(e.text for e in deployment.logs(follow=False))


def test_an_unchanged_project_sends_no_code_again(
    network: Network, client: orchestrator.Client
) -> None:
    """Counted by the server; a changed line is a bundle of its own."""
    noise = random.Random(1).randbytes(150_000).hex()
    files = {"app.py": "import pkg\n" + FAILS, "pkg/__init__.py": "", "pkg/noise.txt": noise}
    project = UserProject.of(network, files)

    def sent() -> int:
        before = client.store.clients.scripts.info("stats")["total_net_input_bytes"]
        done = project.rootward("deploy", "app.py:tree", "--detach")
        assert done.process.returncode == 0, done.report()
        after = client.store.clients.scripts.info("stats")["total_net_input_bytes"]
        return int(after) - int(before)

    # The scripts themselves are sent once, too.
    first, second, third = sent(), sent(), sent()
    assert first > 150_000
    assert second < 50_000
    assert third < 50_000
    bundles = client.store.clients.scripts.keys(f"{client.keys.bundle('')}*[0-9a-f]")
    assert len(bundles) == 1
    project.write("app.py", "import pkg\n# changed\n" + FAILS)
    assert sent() > 150_000


def test_a_bundle_that_was_tampered_with_is_refused(
    network: Network, client: orchestrator.Client
) -> None:
    """Nothing of it is unpacked: who can write to Redis runs no code."""
    UserProject.of(network, {"app.py": FAILS}).submit("app.py:tree")
    redis = client.store.clients.scripts
    (key,) = redis.keys(f"{client.keys.bundle('')}*[0-9a-f]")
    redis.setrange(key, 200, b"rubbish")
    far_worker(network)
    with pytest.raises(DeploymentFailed, match="bundle: the signature does not match"):
        client.deployment("app").wait(60)


def test_a_damaged_file_of_a_workers_cache_is_fetched_anew(network: Network) -> None:
    source = FAILS.replace('raise RuntimeError("no data")', 'print("the file says fine")')
    project = UserProject.of(network, {"app.py": source})
    far_worker(network)
    assert project.rootward("deploy", "app.py:tree").process.returncode == 0
    (code,) = (network.folder / "machine-far" / "cache" / "bundles").glob("*/code/app.py")
    code.chmod(0o644)
    code.write_text("raise SystemExit('this was changed')\n")
    assert project.rootward("deploy", "app.py:tree").process.returncode == 0
    assert "fine" in code.read_text()


def test_numbers_drawn_at_random_differ_in_every_process(
    network: Network, client: orchestrator.Client
) -> None:
    """Three forests that train on workers are three forests."""
    pytest.importorskip("numpy")
    app = """
    import json, numpy
    from rootward import ModuleBase
    numpy.random.seed(1)
    class Draws(ModuleBase):
        def _get_train_tasks(self):
            return self.train
        def train(self):
            print("SAW", json.dumps([self.name, numpy.random.random()]), flush=True)
    class Whole(ModuleBase):
        def __init__(self):
            super().__init__()
            self.parts = [Draws(name=f"d{number}") for number in range(4)]
    tree = Whole()
    """
    UserProject.of(network, {"app.py": app}).submit("app.py:tree")
    far_worker(network, "far", "--slots", "4")
    client.deployment("app").wait(60)
    assert len(set(seen_by(client, "app").values())) == 4


def test_calls_see_what_the_top_of_the_file_has_set(
    network: Network, client: orchestrator.Client
) -> None:
    """Plain functions run in threads, coroutines on a loop, and both within its context."""
    app = """
    import asyncio, contextvars, decimal, threading
    from rootward import ActionModule, ModuleBase, ServerModule
    decimal.getcontext().prec = 50
    VAR = contextvars.ContextVar("VAR", default="unset")
    VAR.set("set at the top")
    LOCK, ALOCK = threading.Lock(), asyncio.Lock()
    class Plain(ModuleBase):
        def forward(self, x):
            with LOCK:
                return [len(str(decimal.Decimal(1) / 3)), VAR.get()]
    class Async(ModuleBase):
        async def forward(self, x):
            async with ALOCK:
                return [len(str(decimal.Decimal(1) / 3)), VAR.get()]
    tree = ActionModule(ServerModule(Plain(), name="plain"), ServerModule(Async(), name="async"))
    """
    UserProject.of(network, {"app.py": app}).submit("app.py:tree")
    far_worker(network)
    client.deployment("app").wait(60)
    for service in ("app/plain", "app/async"):
        assert client.gateway.call(service, 0) == [52, "set at the top"]


def test_workers_that_have_the_code_installed_use_theirs_or_say_that_it_differs(
    network: Network, client: orchestrator.Client, tmp_path: Path
) -> None:
    package = {"installed/__init__.py": "", "installed/serve.py": FAILS}
    package["installed/serve.py"] = FAILS.replace('raise RuntimeError("no data")', "print('same')")
    same = UserProject.of(network, package, "same")
    same.submit("installed.serve:tree", "--no-bundle", name="first")
    assert not client.store.clients.scripts.keys(f"{client.keys.bundle('')}*")
    again = UserProject.of(network, package, "again")
    network.more["PYTHONPATH"] = str(again.folder)
    far_worker(network, "equal")
    client.deployment("first").wait(60)
    network.workers.pop().stop()
    again.write("installed/serve.py", FAILS)
    again.more["PYTHONPATH"] = None
    again.submit("installed.serve:tree", "--no-bundle", name="second")
    (tmp_path / "old" / "installed").mkdir(parents=True)
    for path, text in package.items():
        (tmp_path / "old" / path).write_text(text)
    network.more["PYTHONPATH"] = str(tmp_path / "old")
    far_worker(network, "different")
    with pytest.raises(DeploymentFailed, match="differs from the submitter's"):
        client.deployment("second").wait(60)


def test_the_limit_and_the_list_of_a_projects_code(
    network: Network, client: orchestrator.Client
) -> None:
    """`plan --bundle` needs no Redis; what is too large names its files, and nothing is stored."""
    noise = "x" * 40_000
    files = {"app.py": "import pkg\n" + FAILS, "pkg/__init__.py": "", "pkg/noise.txt": noise}
    project = UserProject.of(network, files)
    project.more["REDIS_URL"] = None
    shown = project.rootward("plan", "app.py:tree", "--bundle")
    assert [line.split()[0] for line in shown.stdout.splitlines()[1:4]] == sorted(files)
    assert "3 files of" in shown.stdout
    listed = project.rootward("plan", "app.py:tree", "--bundle", "--json", "--exclude", "*.txt")
    document = json.loads(listed.stdout)
    assert [file["path"] for file in document["files"]] == ["app.py", "pkg/__init__.py"]
    assert document["size"] == sum(file["size"] for file in document["files"])
    project.more |= {"REDIS_URL": network.url, "ROOTWARD_BUNDLE_LIMIT": "10KiB"}
    refused = project.rootward("deploy", "app.py:tree", "--detach")
    assert refused.process.returncode == 2
    assert "pkg/noise.txt" in refused.stderr
    assert client.deployments() == []
