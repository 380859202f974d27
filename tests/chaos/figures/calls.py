"""What callers notice of drains and of new generations, under steady load."""

from __future__ import annotations

import signal
import threading

from tests.chaos.figures.measured import Measured, none_of
from tests.chaos.figures.places import joined, ready, serve, town

CALLERS = 3
LONG_S = 0.1


def calls_under_load(count: int) -> list[Measured]:
    """Failed calls, which may not be repeated, over drains of workers and new generations."""
    tried: list[int] = []
    failed: list[Exception] = []
    ending = threading.Event()
    with town(2) as place:
        serve(place, "once")

        def call() -> None:
            while not ending.is_set():
                tried.append(1)
                try:
                    # Every other one takes a while: it is under way when its replica is to go.
                    place.client.gateway.call("one", 1, LONG_S * (len(tried) % 2))
                except Exception as error:
                    failed.append(error)
                    print(f"failed: {error!r}", flush=True)

        threads = [threading.Thread(target=call) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        for number in range(count):
            if number % 2:
                serve(place, "once")
            else:
                place.workers[0].stop(signal.SIGTERM)
                place.keep_workers(2)
                joined(place, 2)
            ready(place)
        ending.set()
        for thread in threads:
            thread.join()
    return [none_of(f"failed calls over {count} drains and generations", len(failed), len(tried))]
