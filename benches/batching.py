"""Measures what batches gain: a module that takes 20 ms for one input or for 32 of them.

    python benches/batching.py [--seconds N] [--callers N] [--smoke]

The same module is served twice without Redis, with `max_batch=32` and without, where its calls take
turns as they do on one device. wrk calls both with as many connections as there are callers. The
rate of the batched one is to be at least 8 times that of the other, and its median at most the time
of a batch and the wait for others. `--smoke` is a short run that only looks whether batches come
together: at least 2 times.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import wrk

from rootward.modules import ModuleBase, ServerModule

BATCH_S, WAIT_MS, MOST = 0.02, 5.0, 32
LEAST, LEAST_SMOKE = 8.0, 2.0


class Device(ModuleBase):
    """Takes as long for many inputs as for one, and does one thing at a time."""

    local_attributes = ("turn",)

    def setup(self) -> None:
        self.turn = threading.Lock()

    def forward(self, value: int) -> int:
        with self.turn:
            time.sleep(BATCH_S)
        return value

    def forward_batch(self, inputs: list[int]) -> list[int]:
        time.sleep(BATCH_S)
        return inputs


def measure(seconds: int, callers: int) -> dict[str, wrk.Load]:
    """Return the load that each of both takes."""
    batched = ServerModule(Device(), name="batched", max_batch=MOST, batch_wait_ms=WAIT_MS)
    served = {"one by one": ServerModule(Device(), name="single"), "batched": batched}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "call.lua"
        script.write_text(wrk.SCRIPT)
        loads = {}
        for name, module in served.items():
            module.start()
            try:
                wrk.load(f"{module.url}/call", callers, 1, script)
                loads[name] = wrk.load(f"{module.url}/call", callers, seconds, script)
            finally:
                module.stop()
    return loads


def main() -> None:
    """Measure, print, and end with 1 when batches gain too little."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    wrk.require()
    loads = measure(1 if given.smoke else given.seconds, given.callers)
    for name, load in loads.items():
        print(
            f"{name:11} {load.rate:8,.0f} calls/s  p50 {load.p50 / 1e3:6.1f} ms  "
            f"p99 {load.p99 / 1e3:6.1f} ms"
        )
    ratio = loads["batched"].rate / loads["one by one"].rate
    limit_ms = BATCH_S * 1e3 + WAIT_MS
    print(f"{ratio:.1f} times as many; p50 is to be at most {limit_ms:.0f} ms")
    if ratio < (LEAST_SMOKE if given.smoke else LEAST):
        sys.exit("batches gain too little")
    if not given.smoke and loads["batched"].p50 / 1e3 > limit_ms:
        sys.exit("the median is above the time of a batch and the wait")


if __name__ == "__main__":
    main()
