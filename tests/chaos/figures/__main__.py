"""The figures of docs/reliability.md, each by command: `python -m tests.chaos.figures NAME COUNT`.

Times are those of a caller outside: a registry mirror as the gateway has it, the process table, the
answers themselves. Without a name it lists them. The exit code is 1 when a goal is missed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.chaos.figures.calls import calls_under_load
from tests.chaos.figures.deaths import dead_replica, dead_worker, processes_left
from tests.chaos.figures.staleness import partitioned_answers, stale_answers, stale_writes
from tests.chaos.figures.stores import keys_and_memory, lost_submits, redis_restart

if TYPE_CHECKING:
    from tests.chaos.figures.measured import Figure

FIGURES: dict[str, Figure] = {
    each.__name__: each
    for each in (
        dead_replica,
        dead_worker,
        processes_left,
        redis_restart,
        lost_submits,
        stale_writes,
        stale_answers,
        partitioned_answers,
        keys_and_memory,
        calls_under_load,
    )
}


def main(arguments: list[str]) -> int:
    """Measure one figure, and print it."""
    if not arguments:
        print("\n".join(f"{name}: {each.__doc__}" for name, each in FIGURES.items()))
        return 0
    name, count = arguments
    measured = FIGURES[name](int(count))
    print("\n".join(map(str, measured)), flush=True)
    return int(not all(each.is_met for each in measured))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
