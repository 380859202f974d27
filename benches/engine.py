"""Runs trees of tasks on rootward, its peers and the raw loops in turn, and prints the ratios.

    python benches/engine.py                                rootward and the raw loops
    python benches/engine.py --full --out results.json      what docs/performance.md tells
    python benches/engine.py --render results.json          its tables again
    python benches/engine.py --shapes S,S --contestants C,C --repeats N

Every run is checked from the trace that its tasks wrote: each node once, children before parents,
the root counted all. Each contestant runs a shape before the next shape begins, and all shapes are
run before the next repeat, so that other work on the machine slows all of them alike. Workers are
started before and are not measured; submitting is. Peers get environments of their own in
`--cache`, made when they are first needed. A run that isn't over after `--limit` seconds is ended.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import apart
import ours
import ratios
import raw
import runs
import server
import table
import traces
from contestants import Contestant, Place, TooLong, end_cleanly
from peers import catalogue
from runs import Group, Results, Run
from shapes import SLOTS, Shape, shape

SHAPES = (
    "flat-100,flat-1000,flat-3000,flat-10000,binary-1023,chain-200,ten-1111,random-10000,"
    "stages-1000,sleeping-63"
)
SMOKE = "flat-50,binary-31,chain-10,ten-31,random-50,stages-40,sleeping-7"
US = ("raw", "apart", "rootward")
QUEUES = ("dask", "taskiq", "dramatiq", "celery")
RQ = ("rq-2.12-simple", "rq-2.12-fork")

SETTLED = 0.15
"""What workers that have nothing to do use at most, of a core: Dask's use half of it."""
PAUSE_S, SETTLING_S = 0.6, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Contestants that run the same shapes in turn; none of another section runs beside them."""

    name: str
    contestants: Sequence[str]
    shapes: Sequence[str]
    repeats: int


FULL = (
    # Often, as each is short: what is near a goal is to be told from noise.
    Section(name="us", contestants=US, shapes=SHAPES.split(","), repeats=12),
    Section(
        name="queues",
        contestants=(*US, *QUEUES),
        shapes=("flat-1000", "binary-1023", "chain-200", "ten-1111", "sleeping-63", "stages-1000"),
        repeats=5,
    ),
    Section(
        name="large",
        contestants=(*US, *QUEUES),
        shapes=("random-10000", "flat-10000"),
        repeats=2,
    ),
    # Alone, as its 16 processes are many; larger flat trees take minutes and tell nothing else.
    Section(
        name="rq",
        contestants=("raw", *RQ),
        shapes=(
            *("flat-100", "flat-1000", "binary-1023", "chain-200", "ten-1111", "sleeping-63"),
            *("stages-1000", "random-10000"),
        ),
        repeats=1,
    ),
)


class Runner:
    """One contestant on its own server, started when it is needed and after it was lost."""

    def __init__(self, name: str, opening: Opening, root: Path, limit_s: float) -> None:
        self.name = name
        self._opening, self._root, self._limit_s = opening, root, limit_s
        self._stack = contextlib.ExitStack()
        self._contestant: Contestant | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._contestant = None
        self._stack.close()

    def run(self, group: Group) -> Run:
        """Run a shape and check it."""
        known = shape(group.shape)
        run = partial(Run, group=group, contestant=self.name)
        try:
            contestant = self._contestant or self._start()
            return run(**self._measured(contestant, known))
        except TooLong:
            self.__exit__()
            return run(makespan_s=self._limit_s, is_over=True)
        except Exception as error:
            # A peer that fails a shape is told of; rootward and the raw loops must not.
            if self.name in US:
                raise
            self.__exit__()
            print(f"{self.name}: {known.name}: {type(error).__name__}: {error}", file=sys.stderr)
            return run(failed=f"{type(error).__name__}: {error}"[:500])

    def _start(self) -> Contestant:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        url = self._stack.enter_context(server.private(self._folder))
        place = Place(url=url, folder=self._folder, limit_s=self._limit_s)
        self._contestant = self._stack.enter_context(self._opening(place))
        settle(self._contestant)
        self._measured(self._contestant, shape("flat-20"))
        settle(self._contestant)
        return self._contestant

    def _measured(self, contestant: Contestant, known: Shape) -> dict[str, float]:
        traces.clear(self._folder, known.name)
        before, cpu_s = contestant.served(), contestant.cpu_s()
        start = time.perf_counter()
        submit_s = contestant.run(known.name)
        makespan_s = time.perf_counter() - start
        used = contestant.served().since(before)
        worker_cpu_s = contestant.cpu_s() - cpu_s
        traces.check(self._folder, known)
        contestant.clear()
        return {
            "makespan_s": makespan_s,
            "submit_s": submit_s,
            "worker_cpu_s": worker_cpu_s,
            "server_cpu_s": used.cpu_s,
            "commands": used.commands,
            "reads": used.reads,
        }

    @property
    def _folder(self) -> Path:
        return self._root / self.name


def settle(contestant: Contestant) -> None:
    """Return when its workers have started: they use next to nothing then."""
    deadline = time.monotonic() + SETTLING_S
    used = -1.0
    while used < 0 or contestant.cpu_s() - used > SETTLED * PAUSE_S:
        if time.monotonic() > deadline:
            raise TimeoutError(f"its workers are still busy after {SETTLING_S:g} s")
        used = contestant.cpu_s()
        time.sleep(PAUSE_S)


Opening = Callable[[Place], AbstractContextManager[Contestant]]


def openings(cache: Path) -> dict[str, Opening]:
    """Return how to start each contestant."""
    known: dict[str, Opening] = {
        "raw": raw.running,
        "apart": apart.running,
        "rootward": ours.running,
    }
    known |= {name: partial(peer.running, cache=cache) for name, peer in catalogue.PEERS.items()}
    return known


def measure(section: Section, results: Results, known: dict[str, Opening], limit_s: float) -> None:
    """Add the runs of a section that `results` don't have yet."""
    with contextlib.ExitStack() as stack:
        make = partial(_runner, stack, limit_s=limit_s)
        runners = [make(name, known[name]) for name in section.contestants]
        # Where tasks sleep, the raw loop has a process for each slot that the others have.
        asleep = make("raw", partial(raw.running, processes=SLOTS))
        for repeat, each in itertools.product(range(section.repeats), section.shapes):
            group = Group(section=section.name, shape=each, repeat=repeat)
            if not results.begin(group, section.contestants):
                continue
            # No contestant is always the one that runs after the same other.
            turn = repeat % len(runners)
            for runner in [*runners[turn:], *runners[:turn]]:
                slept = runner.name == "raw" and shape(each).sleep_s
                results.add((asleep if slept else runner).run(group))
            print(".", end="", file=sys.stderr, flush=True)


def _runner(stack: contextlib.ExitStack, name: str, opening: Opening, *, limit_s: float) -> Runner:
    root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
    return stack.enter_context(Runner(name, opening, root, limit_s))


def report(results: Results, plot: Path | None) -> None:
    """Print the tables and save the picture."""
    print(json.dumps(results.measured))
    for told in (ratios.absolute(results), ratios.relative(results), ratios.goals(results)):
        print(f"\n{told}")
    if plot is not None:
        bars = [
            (f"{each} {name}", value)
            for each, name in ratios.cells(results)
            if (value := ratios.makespan(results, name, each)) is not None
        ]
        table.plot(plot, "Makespan of trees of tasks, over that of the raw loop", bars, "x")


def arguments() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="all that is told of in the docs")
    parser.add_argument("--shapes", default=SHAPES, help="KIND-COUNT, comma between")
    parser.add_argument("--contestants", default=",".join(US), help="or `all`")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that a run may take")
    parser.add_argument("--out", type=Path, help="keep the runs in this file, and go on with it")
    parser.add_argument("--render", type=Path, metavar="FILE", help="print the tables of a file")
    parser.add_argument("--plot", type=Path, help="save a picture (SVG)")
    parser.add_argument("--smoke", action="store_true", help="small shapes once: is it right?")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "rootward-bench")
    return parser


def main() -> int:
    parser = arguments()
    options = parser.parse_args()
    if options.render:
        report(Results.read(options.render), options.plot)
        return 0
    end_cleanly()
    known = openings(options.cache)
    names = list(known) if options.contestants == "all" else options.contestants.split(",")
    if unknown := set(names) - set(known):
        parser.error(f"no contestants: {', '.join(unknown)}; there are {', '.join(known)}")
    shapes = (SMOKE if options.smoke else options.shapes).split(",")
    repeats = 1 if options.smoke else options.repeats
    chosen = Section(name="chosen", contestants=names, shapes=shapes, repeats=repeats)
    peers = {name: peer.requirements for name, peer in catalogue.PEERS.items()}
    try:
        results = Results(runs.measured(options.limit, peers), options.out)
    except runs.WrongFile as error:
        parser.error(str(error))
    is_whole = False
    # What was measured before it was interrupted is told all the same.
    with contextlib.suppress(KeyboardInterrupt):
        for section in FULL if options.full else (chosen,):
            measure(section, results, known, options.limit)
        is_whole = True
    print(file=sys.stderr)
    report(results, options.plot)
    if not is_whole:
        return 130
    return int(options.smoke and any(not run.is_whole for run in results.runs))


if __name__ == "__main__":
    sys.exit(main())
