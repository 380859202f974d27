"""The tables of the engine benchmark: runs as ratios, and what they say of the goals.

Makespan, submit and CPU are multiples of what the raw loop took for the same shape in the same
minute; the makespan of tasks that sleep is one of the ideal schedule. A column has the median of
the repeats; `least` compares the quickest of each. `> N` was ended at the limit of a run.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

import table
from runs import Results, Run
from shapes import shape

HEAD = ("shape", "engine", "makespan", "least", "submit", "worker CPU", "server CPU")
HEAD += ("commands/task", "reads/task")
ABSOLUTE = ("shape", "engine", "runs", "ms", "least ms", "tasks/s", "submit ms")
ABSOLUTE += ("worker us/task", "server us/task")
GROWTH = 12.0

Figure = Callable[[Run], float]


def cells(results: Results) -> list[tuple[str, str]]:
    """Return the pairs of shape and contestant, small things together, in the order of runs."""
    shapes = dict.fromkeys(run.group.shape for run in results.runs)
    names = dict.fromkeys(run.contestant for run in results.runs)
    return [(each, name) for each in shapes for name in names if results.of(name, each)]


def median(runs: Iterable[Run], figure: Figure) -> float | None:
    """Return the median of the runs that came to their end."""
    found = [figure(run) for run in runs if run.is_whole]
    return statistics.median(found) if found else None


def ratio(results: Results, name: str, each: str, figure: Figure) -> float | None:
    """Return the median of the ratios to the raw loop's run in the same group."""
    found = [
        figure(run) / figure(raw)
        for run, raw in results.pairs(name, each)
        if run.is_whole and figure(raw)
    ]
    return statistics.median(found) if found else None


def makespan(results: Results, name: str, each: str) -> float | None:
    """Return the ratio that the goals are about: to the ideal schedule where tasks sleep."""
    ideal_s = shape(each).ideal_s()
    if not ideal_s:
        return ratio(results, name, each, lambda run: run.makespan_s)
    spent = median(results.of(name, each), lambda run: run.makespan_s)
    return spent / ideal_s if spent else None


def least(results: Results, name: str, each: str) -> float | None:
    """Return the same for the quickest runs."""
    spans = [run.makespan_s for run in results.of(name, each) if run.is_whole]
    base = [run.makespan_s for run in results.of("raw", each)]
    base_s = shape(each).ideal_s() or min(base, default=0.0)
    return min(spans) / base_s if spans and base_s else None


def relative(results: Results) -> str:
    """Return the table of ratios, for docs/performance.md."""
    rows = []
    for each, name in cells(results):
        count = len(shape(each))
        figures = [
            makespan(results, name, each),
            least(results, name, each),
            ratio(results, name, each, lambda run: run.submit_s),
            ratio(results, name, each, lambda run: run.worker_cpu_s),
            ratio(results, name, each, lambda run: run.server_cpu_s),
        ]
        said = [f"{figure:.2f}" if figure is not None else "-" for figure in figures]
        said[0] = _unfinished(results, name, each) or said[0]
        runs = results.of(name, each)
        totals = (median(runs, lambda run: run.commands), median(runs, lambda run: run.reads))
        said += [f"{total / count:.2f}" if total else "-" for total in totals]
        rows.append((each, name, *said))
    return table.text(HEAD, rows)


def _unfinished(results: Results, name: str, each: str) -> str:
    """Say what a run was that didn't come to its end; '' when all did."""
    if any(run.failed for run in results.of(name, each)):
        return "failed"
    ideal_s = shape(each).ideal_s()
    over = [
        run.makespan_s / (ideal_s or raw.makespan_s)
        for run, raw in results.pairs(name, each)
        if run.is_over
    ]
    return f"> {min(over):.0f}" if over else ""


def absolute(results: Results) -> str:
    """Return the table of times, for whoever works on an engine on one machine."""
    rows = []
    for each, name in cells(results):
        runs = [run for run in results.of(name, each) if run.is_whole]
        if not runs:
            continue
        count = len(shape(each))
        span = statistics.median(run.makespan_s for run in runs)
        figures = [
            span * 1e3,
            min(run.makespan_s for run in runs) * 1e3,
            count / span,
            statistics.median(run.submit_s for run in runs) * 1e3,
            statistics.median(run.worker_cpu_s for run in runs) / count * 1e6,
            statistics.median(run.server_cpu_s for run in runs) / count * 1e6,
        ]
        rows.append((each, name, str(len(runs)), *(f"{figure:.0f}" for figure in figures)))
    return table.text(ABSOLUTE, rows)


def goals(results: Results) -> str:
    """Return what the runs say of each goal that they can say something of."""
    ours = [each for each, name in cells(results) if name == "rootward"]
    rows: list[Sequence[str]] = []
    for each in ours:
        limit, what = _goal(each)
        reached = makespan(results, "rootward", each)
        if reached is not None:
            rows.append((f"{each}: {what}", f"{limit:g}", f"{reached:.2f}", _said(reached, limit)))
        rows += _ahead(results, each)
    for each in ours:
        runs = results.of("rootward", each)
        reads = median(runs, lambda run: run.reads)
        if reads:
            per_task = reads / len(shape(each))
            said = (f"{each}: round trips a task", "1.2", f"{per_task:.2f}", _said(per_task, 1.2))
            rows.append(said)
        spent = ratio(results, "rootward", each, lambda run: run.server_cpu_s)
        if spent is not None:
            rows.append((f"{each}: server CPU", "3", f"{spent:.2f}", _said(spent, 3.0)))
    few, many = (
        median(results.of("rootward", each), lambda run: run.makespan_s)
        for each in ("flat-1000", "flat-10000")
    )
    if few and many:
        grown = many / few
        said = ("flat-10000 over flat-1000", f"{GROWTH:g}", f"{grown:.1f}", _said(grown, GROWTH))
        rows.append(said)
    return table.text(("what", "at most", "measured", "reached"), rows) if rows else ""


def _goal(each: str) -> tuple[float, str]:
    if shape(each).sleep_s:
        return 1.05, "makespan over the ideal"
    if each.startswith("chain"):
        return 4.0, "a level, over raw"
    return 3.0, "makespan over raw"


def _ahead(results: Results, each: str) -> list[Sequence[str]]:
    """Compare with the quickest peer, if any has run the shape to its end."""
    found = {
        name: makespan(results, name, each)
        for shape_, name in cells(results)
        if shape_ == each and name not in {"raw", "apart", "rootward"}
    }
    peers = {name: value for name, value in found.items() if value is not None}
    ours = makespan(results, "rootward", each)
    if not peers or ours is None:
        return []
    best = min(peers, key=lambda name: peers[name])
    said = ours / peers[best]
    return [(f"{each}: over the best peer ({best})", "1", f"{said:.2f}", _said(said, 1.0))]


def _said(value: float, limit: float) -> str:
    return "yes" if value <= limit else "**no**"
