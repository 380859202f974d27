"""The raw loop with its tasks in processes of their own: what that alone costs.

An owner claims with the raw loop's script and gives each task to one of its slots, over a pair of
sockets. A slot is forked when a run needs it and ends with the run, as processes do that have
loaded the code of one tree. Nothing else is added: no records, leases, signatures or logs. What
this costs more than the raw loop is the price of isolation.

    python apart.py PREFIX      (a worker; ends by a signal)
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from functools import partial

import raw
import redis
from shapes import shape
from traces import work

SLOTS = 4
REST_S = 0.1
"""Seconds without a task after which another run begins; no task of a run sleeps as long."""


class Owner:
    """Claims as many tasks as it has slots, and gives one to each."""

    def __init__(self, prefix: str) -> None:
        self._client = redis.Redis.from_url(
            os.environ["BENCH_URL"], protocol=2, socket_timeout=None
        )
        self._step = self._client.register_script(raw.STEP)
        self._prefix, self._queue = prefix, prefix + "queue"
        self._bell = self._client.connection_pool.get_connection()
        self._is_listening = False
        self._idle: list[socket.socket] = []
        self._busy: dict[socket.socket, str] = {}
        self._busy_at = 0.0

    def serve(self) -> None:
        """Work for ever."""
        while True:
            if len(self._busy) < SLOTS and not self._is_listening:
                self._bell.send_command("BLPOP", self._queue, 0)
                self._is_listening = True
            bell = self._bell._sock
            readable, _, _ = select.select([bell, *self._busy], [], [])
            for sock in readable:
                if sock is bell:
                    self._is_listening = False
                    _, taken = self._bell.read_response()
                    self._go_on("", "", taken.decode())
                else:
                    self._ended(sock)

    def _ended(self, slot: socket.socket) -> None:
        value = slot.recv(64).decode()
        self._idle.append(slot)
        self._go_on(self._busy.pop(slot), value, "")

    def _go_on(self, ended: str, value: str, taken: str) -> None:
        """Tell what has ended, and give a slot what is next."""
        if taken and not self._busy and time.monotonic() - self._busy_at > REST_S:
            self._let_go()
        answer = self._step(args=[self._prefix, ended, value, taken])
        if not self._busy:
            self._busy_at = time.monotonic()
        if answer is None:
            return
        id_ = answer[0].decode()
        name, _, node = id_.partition("/")
        slot = self._idle.pop() if self._idle else fork()
        slot.send(b"%d %d %s" % (int(node), sum(map(int, answer[1])), name.encode()))
        self._busy[slot] = id_

    def _let_go(self) -> None:
        """End the slots of the last run: those of the next have another tree."""
        for slot in self._idle:
            slot.close()
            os.wait()
        self._idle.clear()


def fork() -> socket.socket:
    """Return the way to a new slot, which ends when that is closed."""
    mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        its.close()
        return mine
    # Also the ways to the slots before it, or they would never see their ends.
    os.closerange(3, its.fileno())
    while message := its.recv(64):
        node, below, name = message.split()
        known = shape(name.decode())
        its.send(b"%d" % work(int(node), int(below), known.sleep_s, known.name))
    os._exit(0)


running = partial(raw.running, program=__file__)


if __name__ == "__main__":
    Owner(sys.argv[1]).serve()
