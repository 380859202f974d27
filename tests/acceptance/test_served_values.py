"""What passes between tasks, replicas and callers: later states, and what modules raise.

Each test runs a user's program (or the command line) against a server with workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rootward import orchestrator
from tests.acceptance.test_joints import command, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.acceptance.conftest import Network

CONSTANT = """
from rootward import ModuleBase, ServerModule

class Constant(ModuleBase):
    def __init__(self):
        super().__init__(name='constant')
        self.k, self.asked = 1, 0
    def forward(self, x):
        return [self.k, self.asked]

class Root(ModuleBase):
    def __init__(self):
        super().__init__(name='follow')
        self.constant = Constant()
        self.served = ServerModule(self.constant, name='served')
    def _get_deploy_tasks(self):
        return lambda: setattr(self.constant, 'asked', 3)
    def _get_eval_tasks(self):
        return lambda: setattr(self.constant, 'k', 5)

tree = Root()
"""


def test_what_later_tasks_change_is_in_replicas_that_were_published_before(
    network: Network,
) -> None:
    (network.folder / "follow.py").write_text(CONSTANT)
    network.worker("--name", "one")
    network.worker("--name", "two")
    command(network, "deploy", "follow.py:tree")
    with orchestrator.connect(network.url, secret=network.secret, prefix=network.prefix) as client:

        def ask() -> Any:
            return client.gateway.call("follow/served", 0)

        wait_until(lambda: ask() == [5, 3], description="the first replica has both changes")
        command(network, "scale", "follow/served", "3")
        wait_until(
            lambda: (
                len(client.gateway.endpoints("follow/served")) == 3
                and client.gateway.service("follow/served").state == "ready"
            ),
            description="three replicas",
            timeout=30,
        )
        assert [ask() for _ in range(30)] == [[5, 3]] * 30
    command(network, "stop", "follow")


API = """
import sys

class ApiError(Exception):
    def __init__(self, code, detail):
        super().__init__(f'{code}: {detail}')
        self.code, self.detail = code, detail

def forward(x):
    if x == 'leave':
        sys.exit(3)
    if x == 'group':
        raise ExceptionGroup('several', [ApiError(409, 'taken'), ValueError(x)])
    try:
        return {'known': 1}[x]
    except KeyError as error:
        raise ApiError(404, x) from error
"""

CALLER = """
from api import ApiError, forward
from rootward import ServerModule
from rootward.modules.errors import RemoteError

served = ServerModule(forward, name='table')
served.start()
print(served('known'))
try:
    served('missing')
except ApiError as error:
    print(error.code, error.detail, type(error.__cause__).__name__)
try:
    served('group')
except* ApiError as group:
    print(group.exceptions[0].code)
except* ValueError as group:
    print(group.exceptions[0])
try:
    served('leave')
except RemoteError as error:
    print(error)
print(served('known'))
"""


def test_an_exception_of_a_served_module_arrives_as_it_was_raised(network: Network) -> None:
    network.worker()
    (network.folder / "api.py").write_text(API)
    program = script(network, CALLER)
    assert program.stdout.splitlines() == [
        "1",
        "404 missing KeyError",
        "409",
        "group",
        "SystemExit: 3",
        "1",
    ]
