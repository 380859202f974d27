"""What `up` keeps running on this machine: a private server, a worker, and the deployment on them.

It starts them, restarts a worker that died, and stops everything in order: the deployment, parents
first, then the worker, then the server. Each of its processes is on a leash, so that a Machine that
is never closed leaves nothing behind either.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from dataclasses import replace
from pathlib import Path
from threading import Lock, Thread, main_thread
from typing import TYPE_CHECKING, Any, Self

from ..embedded.process import OwnedProcess
from ..embedded.runfolder import RunFolder, UpState
from ..embedded.server import EmbeddedServer
from ..settings import Secret, Settings
from .control import stop_all
from .output import tell
from .reload import Reloader, deploy_again, project_folder
from .up_gateway import UpGateway
from .worker import worker_command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..client.client import Client
    from ..client.deployment import Deployment
    from ..store.records.events import Event

STOP_TIMEOUT_S = 15.0
# A worker that dies as often as this within its window won't be helped by another start.
MAX_RESTARTS = 3
RESTART_WINDOW_S = 30.0
LOG_TAIL_LINES = 10
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Machine:
    """Server, worker and client of one `up`; a context manager that takes them away."""

    def __init__(
        self,
        settings: Settings,
        folder: RunFolder,
        server: EmbeddedServer | None,
        *,
        slots: int | None = None,
    ) -> None:
        self.settings = settings
        self._folder = folder
        self._server = server
        self._slots = slots
        self._worker: OwnedProcess | None = None
        self._gateway: UpGateway | None = None
        self._reloader: Reloader | None = None
        self._starting = Lock()
        self._is_closing = False
        self.has_given_up = False
        self._client: Client | None = None
        self._deployment: Deployment | None = None

    @classmethod
    def prepare(
        cls, redis_url: str | None, prefix: str | None, *, slots: int | None = None
    ) -> Machine:
        """Find or start a Redis. Raises NoRedis, NoServer and SettingsError."""
        settings = Settings.from_environment(redis_url=redis_url, prefix=prefix)
        if settings.redis_url is not None:
            from ..store.connection import check

            check(settings.redis_url)
        folder = RunFolder.create()
        server = None
        if settings.redis_url is None:
            try:
                server = EmbeddedServer(folder)
            except BaseException:
                folder.remove()
                raise
            settings = replace(settings, redis_url=server.url)
        if settings.secret is None:
            settings = replace(settings, secret=Secret(secrets.token_hex(32)))
        return cls(settings, folder, server, slots=slots)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            self._stop_in_order()
        except KeyboardInterrupt:
            tell("stopping at once")
        finally:
            # Whoever is impatient from here on has to wait for milliseconds only.
            for number in ENDING_SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            self._kill()

    def start_worker(self) -> None:
        """Start the worker, and start it again whenever it dies.

        When that doesn't help, `has_given_up` is set and the main thread is interrupted.
        """
        self._worker = self._new_worker()
        Thread(target=self._keep_worker, daemon=True).start()

    def start_gateway(self) -> None:
        """Start the gateway, which says by itself where the dashboard is."""
        self._gateway = UpGateway(self._environment(), self._folder.path)

    def reload(self, target: str, deployment: Deployment, order: Mapping[str, Any]) -> None:
        """Deploy again whenever a file of the project changes, until this machine is closed."""
        environment = self._environment()

        def deploy() -> int:
            return deploy_again(target, deployment.name, order, environment)

        self._reloader = Reloader(project_folder(target), deploy)
        self._reloader.start()

    def await_reload(self, deployment: Deployment) -> Deployment:
        """Return the generation of the first change that was deployed with success."""
        assert self._reloader is not None
        self._reloader.deployed.wait()
        return self.connect().deployment(deployment.name)

    def connect(self) -> Client:
        """Return the client of this machine; the same one each time."""
        from ..client.client import Client

        if self._client is None:
            self._client = Client(self.settings)
        return self._client

    def announce(self, deployment: Deployment) -> None:
        """Let the user's other commands find this machine."""
        assert self.settings.redis_url is not None
        assert self.settings.secret is not None
        self._deployment = deployment
        self._folder.announce(
            UpState(
                url=self.settings.redis_url,
                secret=self.settings.secret.reveal().decode(errors="surrogateescape"),
                prefix=self.settings.prefix,
                deployment=deployment.name,
                pid=os.getpid(),
                started_at=time.time(),
            )
        )

    def stay(self, deployment: Deployment) -> int:
        """Tell what happens until the deployment is stopped by someone; return the exit code.

        A newer generation, submitted from another terminal, takes the place of the one before.
        """
        after = "0"
        for event in deployment.events(follow=False):
            after = event.id
        while True:
            for event in deployment.events(follow=True, after=after):
                after = event.id
                if event.event.startswith(("replica.", "deployment.")):
                    tell(_news(event))
            newest = self.connect().deployment(deployment.name)
            if newest.generation == deployment.generation:
                tell(f"{deployment.id} has been stopped")
                return 0
            deployment = newest
            tell(f"{deployment.id} takes its place")

    def log_tail(self) -> str:
        """Return the last lines that the worker wrote."""
        try:
            lines = self._log_path.read_text(errors="replace").splitlines()
        except OSError:
            return "(it wrote nothing)"
        return "\n".join(lines[-LOG_TAIL_LINES:])

    @property
    def _log_path(self) -> Path:
        return self._folder.path / "worker.log"

    def _environment(self) -> dict[str, str]:
        settings = self.settings
        assert settings.redis_url is not None
        assert settings.secret is not None
        return {
            **os.environ,
            "REDIS_URL": settings.redis_url,
            "ROOTWARD_SECRET": settings.secret.reveal().decode(errors="surrogateescape"),
            "ROOTWARD_PREFIX": settings.prefix,
        }

    def _new_worker(self) -> OwnedProcess:
        """Start a worker process; what it writes goes to a file in the folder of this run."""
        log = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return OwnedProcess(
                worker_command(slots=self._slots), env=self._environment(), output=log
            )
        finally:
            os.close(log)

    def _keep_worker(self) -> None:
        """Start the worker again when it ends while nobody stops it; the body of a thread."""
        deaths: list[float] = []
        worker = self._worker
        while worker is not None:
            code = worker.wait()
            now = time.monotonic()
            deaths = [at for at in deaths if now - at < RESTART_WINDOW_S] + [now]
            with self._starting:
                if self._is_closing:
                    return
                if len(deaths) > MAX_RESTARTS:
                    self.has_given_up = True
                    tell(f"the worker keeps ending (exit code {code}); its last words:")
                    tell(self.log_tail())
                    # A signal, because the main thread may be in a blocking read.
                    signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)
                    return
                tell(f"the worker ended (exit code {code}) and is started again")
                self._worker = worker = self._new_worker()

    def _stop_in_order(self) -> None:
        self._folder.withdraw()
        if self._reloader is not None:
            self._reloader.close()
        with self._starting:
            self._is_closing = True
        deadline = time.monotonic() + STOP_TIMEOUT_S
        if self._deployment is not None and self._worker is not None:
            try:
                self._end_deployment(self._deployment, deadline)
            except Exception as error:
                tell(f"{self._deployment.id} did not stop in order: {error}")
        if self._worker is not None:
            self._worker.terminate()
            try:
                self._worker.wait(max(0.1, deadline - time.monotonic()))
            except TimeoutError:
                tell("the worker did not end by itself and is killed")

    def _end_deployment(self, deployment: Deployment, deadline: float) -> None:
        """Stop every generation of it: the current one can be newer than the one that we made."""
        stopping = stop_all(self.connect(), deployment.name)
        # Without a worker nobody is left who could stop anything.
        if self._worker is not None and self._worker.exit_code is None:
            for each in stopping:
                each.wait_stopped(max(0.1, deadline - time.monotonic()))

    def _kill(self) -> None:
        if self._gateway is not None:
            self._gateway.close()
        if self._worker is not None:
            self._worker.kill()
        if self._client is not None:
            self._client.close()
        if self._server is not None:
            self._server.stop()
        self._folder.remove()


def _news(event: Event) -> str:
    """Return an event as a sentence of few words."""
    what = event.path or f"{event.deployment}@{event.generation}"
    reason = f": {event.reason}" if event.reason else ""
    return f"{what} {event.event.replace('.', ' ')}{reason}"
