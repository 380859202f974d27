"""A way to Redis that a test can close: a TCP relay in a thread of its own.

It also gives a TCP address to a server that listens on a unix socket.
"""

from __future__ import annotations

import asyncio
import threading


class Tap:
    """A way to Redis that can be closed; a TCP relay in a thread."""

    def __init__(self, url: str) -> None:
        self._path = url.partition("://")[2].partition("?")[0]
        self._is_unix = url.startswith("unix:")
        self._writers: list[asyncio.StreamWriter] = []
        self.is_open = True
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        started = asyncio.run_coroutine_threadsafe(self._start(), self._loop)
        self.url = f"redis://127.0.0.1:{started.result(10)}/0"

    async def _start(self) -> int:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        if not self.is_open:
            writer.transport.abort()
            return
        if self._is_unix:
            there, back = await asyncio.open_unix_connection(self._path)
        else:
            host, _, port = self._path.partition("/")[0].partition(":")
            there, back = await asyncio.open_connection(host, int(port))
        self._writers.append(back)
        await asyncio.gather(_pump(reader, back), _pump(there, writer))

    def close(self) -> None:
        """Cut every connection, and take no new one."""
        self.is_open = False
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def end(self) -> None:
        self.close()
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._cut()
        await asyncio.sleep(0)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
