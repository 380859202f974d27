"""What a program owns: deployments that end with it, at exit or by lease when it was killed.

One Owner stands for one program. Its lease is renewed by a thread of its own for as long as it owns
anything; a program that dies without a word loses the lease, and the controller stops what it
owned. A forked child never renews and never stops what its parent owns.
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import threading
import uuid
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from ..store.store import Store

log = logging.getLogger(__name__)


class Owner:
    """The lease of a program over the deployments that it made; `lease_s` in seconds."""

    def __init__(self, store: Store, lease_s: float) -> None:
        host = socket.gethostname().split(".")[0]
        self.id = f"{host}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._store = store
        self._lease_s = lease_s
        self._pid = os.getpid()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def owns_anything(self) -> bool:
        """Whether something was made that ends with this program."""
        return self._thread is not None and not self._closing.is_set()

    def begin(self) -> None:
        """Hold the lease from now on; to be called when something was submitted.

        Until then a submission gives its owner a minute.
        """
        self._renew()
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep, name="rootward-owner", daemon=True)
            self._thread.start()
            atexit.register(self.close)

    def close(self) -> None:
        """Stop everything that is owned and give up the lease; twice is harmless."""
        if self._closing.is_set() or os.getpid() != self._pid:
            return
        self._closing.set()
        atexit.unregister(self.close)
        if self._thread is None:
            return
        self._thread.join(timeout=self._lease_s)
        try:
            self._store.agents.disown(self.id)
        except RedisError as error:
            # Redis is gone: when it is back the lease has run out, and the controller stops them.
            _tell_unreached(error)

    def _keep(self) -> None:
        while not self._closing.wait(self._lease_s / 3):
            try:
                self._renew()
            except RedisError as error:
                _tell_unreached(error)

    def _renew(self) -> None:
        self._store.agents.own(self.id, int(self._lease_s * 1000))


def _tell_unreached(error: RedisError) -> None:
    log.warning(
        "Redis isn't reached to say that what this program deployed is still wanted: %s",
        error,
        extra={"event": "owner.unreached"},
    )
