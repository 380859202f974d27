"""The served tree as one would write it by hand: uvicorn around each node, aiohttp between them.

    python handmade.py PORT [CHILD_PORT ...]

A node gets a number, asks its children at once over connections that it keeps, and answers the sum.
There is no registry, no signature, no retry and no limit: it is the floor that a served tree is
compared with.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import bare
import psutil


class Node:
    """One node of the tree as an ASGI application."""

    def __init__(self, children: list[int]) -> None:
        self.urls = [f"http://127.0.0.1:{port}/" for port in children]
        self.session = None

    async def ask(self, url: str, body: bytes) -> int:
        import aiohttp

        if self.session is None:
            self.session = aiohttp.ClientSession()
        async with self.session.post(url, data=body) as answer:
            return json.loads(await answer.read())["result"]

    async def __call__(self, scope, receive, send) -> None:  # noqa: ANN001  # as ASGI has it
        """Answer the number that came and what the children make of it."""
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        value = json.loads(body or b"0")
        below = await asyncio.gather(*(self.ask(url, body) for url in self.urls))
        answer = json.dumps({"result": value + sum(below)}).encode()
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


class Tree:
    """The running processes of a hand-made tree."""

    def __init__(self, port: int, processes: list[subprocess.Popen[bytes]]) -> None:
        self.port = port
        self._processes = [psutil.Process(process.pid) for process in processes]

    def cpu_s(self) -> float:
        """Return the CPU seconds that all of its processes have used."""
        times = [process.cpu_times() for process in self._processes]
        return sum(each.user + each.system for each in times)

    def call(self) -> Callable[[int], int]:
        """Return a call of the root, over one kept connection a thread."""
        kept = threading.local()

        def call(value: int) -> int:
            if not hasattr(kept, "connection"):
                kept.connection = http.client.HTTPConnection("127.0.0.1", self.port)
            kept.connection.request("POST", "/", json.dumps(value))
            return json.loads(kept.connection.getresponse().read())["result"]

        return call


@contextlib.contextmanager
def tree() -> Iterator[Tree]:
    """Run a binary tree of 7 nodes."""
    ports = bare.free_ports(7)
    commands = [
        [sys.executable, __file__, *map(str, [port, *ports[2 * index + 1 : 2 * index + 3]])]
        for index, port in enumerate(ports)
    ]
    with bare.running(commands) as processes:
        whole = Tree(ports[0], processes)
        # A child that doesn't listen yet is an error of its parent.
        bare.await_answer(lambda: whole.call()(1), not_yet=(OSError, ValueError), pause_s=0.05)
        assert whole.call()(1) == 7
        yield whole


if __name__ == "__main__":
    import uvicorn

    os.environ.pop("REDIS_URL", None)
    own, *below = map(int, sys.argv[1:])
    uvicorn.run(Node(below), port=own, log_level="critical", lifespan="off")
