"""The raw limit: the smallest Python loop with redis-py and one Lua script that keeps the barrier.

One script finishes a task, tells its dependants what it counted, releases those that wait for
nothing more, and claims the next task: one round trip a task. No leases, no signatures, no retries,
no history, no tools: what is slower than this is the price of those, or a flaw.

    python raw.py PREFIX SHAPE      (a worker; ends by a signal)
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator

import redis
import server
from contestants import Crew, Place, crew, python
from shapes import Shape, parents, shape
from traces import work

# ARGV: prefix, task that ended or '', its value, task that a blocking read took or ''.
STEP = """
local p, ended, value, taken = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if ended ~= '' and redis.call('HSETNX', p .. ended, 'value', value) == 1 then
  local next = redis.call('HGET', p .. ended, 'next')
  if next == '' then
    redis.call('RPUSH', p .. 'end', value)
  else
    redis.call('RPUSH', p .. next .. ':below', value)
    if redis.call('HINCRBY', p .. next, 'wait', -1) == 0 then
      redis.call('RPUSH', p .. 'queue', next)
    end
  end
end
local id = taken ~= '' and taken or redis.call('LPOP', p .. 'queue')
if not id then return nil end
return { id, redis.call('LRANGE', p .. id .. ':below', 0, -1) }
"""


def serve(prefix: str) -> None:
    """Work for ever."""
    client = redis.Redis.from_url(os.environ["BENCH_URL"], protocol=2, socket_timeout=None)
    step = client.register_script(STEP)
    ended = value = taken = ""
    shapes: dict[str, Shape] = {}
    while True:
        answer = step(args=[prefix, ended, value, taken])
        ended = value = taken = ""
        if answer is None:
            found = client.blpop([prefix + "queue"], timeout=0)
            taken = found[1].decode()
            continue
        ended = answer[0].decode()
        name, _, node = ended.partition("/")
        known = shapes.get(name) or shapes.setdefault(name, shape(name))
        value = str(work(int(node), sum(map(int, answer[1])), known.sleep_s, name))


class Raw:
    """The loop in `processes` processes."""

    def __init__(self, place: Place, crew_: Crew) -> None:
        self._client = redis.Redis.from_url(place.url, protocol=2, socket_timeout=None)
        self._crew = crew_

    def run(self, shape_name: str) -> float:
        """Submit and wait; two stages are two submissions."""
        known = shape(shape_name)
        above = parents(known.children)
        start = time.perf_counter()
        waits = [len(below) for below in known.children]
        nexts = [f"{shape_name}/{node}" if node >= 0 else "" for node in above]
        with self._client.pipeline(transaction=False) as pipeline:
            for node in range(len(known)):
                fields = {"wait": waits[node], "next": nexts[node]}
                pipeline.hset(f"raw:{shape_name}/{node}", mapping=fields)
            pipeline.rpush("raw:queue", *known.leaves(0))
            pipeline.execute()
        submitted = time.perf_counter() - start
        if later := known.leaves(1):
            self._after_stage(known, shape_name, later)
        self._client.blpop(["raw:end"], timeout=0)
        return submitted

    def _after_stage(self, known: Shape, name: str, later: list[str]) -> None:
        """Release the leaves of the second stage when the first has ended."""
        while self._client.llen(f"raw:{name}/{len(known) - 1}:below") < known.second:
            time.sleep(0.0005)
        self._client.rpush("raw:queue", *later)

    def clear(self) -> None:
        """Forget the last run."""
        self._client.flushdb()

    def cpu_s(self) -> float:
        """Return what its workers have used."""
        return self._crew.cpu_s()

    def served(self) -> server.Usage:
        """Return what Redis has used."""
        return server.usage(self._client)


@contextlib.contextmanager
def running(place: Place, processes: int = 2, program: str = __file__) -> Iterator[Raw]:
    """Run the loop's workers, or those of another program that does the same."""
    commands = [python(program, "raw:")] * processes
    with crew(commands, place.environ, place.folder / "raw.log") as workers:
        yield Raw(place, workers)


if __name__ == "__main__":
    serve(sys.argv[1])
