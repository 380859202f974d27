"""The barrier that a queue without one is given, so that it can run trees of tasks.

One Lua script ends a task, tells its parent what it counted, and says which task that released; the
peer then enqueues it in its own way. Values and counts are in Redis, as they would be for anyone
who builds such a barrier by hand.
"""

from __future__ import annotations

import os
import time
from functools import cache
from typing import Any

import redis
from shapes import Shape, parents, shape
from traces import work

END = """
if redis.call('HSETNX', ARGV[1], 'value', ARGV[2]) == 0 then return false end
local next = redis.call('HGET', ARGV[1], 'next')
if next == '' then
  redis.call('RPUSH', 'bench:end', ARGV[2])
  return false
end
redis.call('RPUSH', next .. ':below', ARGV[2])
if redis.call('HINCRBY', next, 'wait', -1) == 0 then return next end
return false
"""


@cache
def client() -> redis.Redis:
    """Return this process's client."""
    return redis.Redis.from_url(os.environ["BENCH_URL"], socket_timeout=None)


@cache
def _end() -> Any:
    return client().register_script(END)


def run(node: str) -> str | None:
    """Be the task `SHAPE/NUMBER`; return the task that it released, if any."""
    name, _, number = node.partition("/")
    below = sum(map(int, client().lrange(f"bench:{node}:below", 0, -1)))
    value = work(int(number), below, shape(name).sleep_s, name)
    released = _end()(args=[f"bench:{node}", value])
    return released.decode().removeprefix("bench:") if released else None


def store(name: str) -> tuple[list[str], list[str]]:
    """Store a shape's barriers; return the tasks that wait for nothing, of each stage."""
    known = shape(name)
    above = parents(known.children)
    with client().pipeline(transaction=False) as pipeline:
        for node, below in enumerate(known.children):
            following = f"bench:{name}/{above[node]}" if above[node] >= 0 else ""
            fields = {"wait": len(below), "next": following}
            pipeline.hset(f"bench:{name}/{node}", mapping=fields)
        pipeline.execute()
    return known.leaves(0), known.leaves(1)


def wait_for_stage(known: Shape) -> None:
    """Return when all of the first stage has ended: its tasks are children of the root."""
    while client().llen(f"bench:{known.name}/{len(known) - 1}:below") < known.second:
        time.sleep(0.002)


def wait() -> None:
    """Return when the root has ended."""
    client().blpop(["bench:end"], timeout=0)


def forget(name: str) -> None:
    """Remove what a run has left."""
    keys = [f"bench:{name}/{node}" for node in range(len(shape(name)))]
    for start in range(0, len(keys), 1000):
        part = keys[start : start + 1000]
        client().delete(*part, *(f"{key}:below" for key in part))
