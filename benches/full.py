"""Runs all benchmarks that docs/performance.md tells of, in turn, and keeps what they say.

    python benches/full.py FOLDER [--only NAME,NAME]

FOLDER gets NAME.md, what a benchmark printed, and NAME.svg, its picture; engine.json and scale.json
hold their figures, written as they come. A benchmark that FOLDER has a NAME.md of isn't run again,
and the engine's goes on in the middle, so that a run that was interrupted is started again by the
same command. The machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from contestants import end_cleanly

HERE = Path(__file__).parent
BENCHES: dict[str, tuple[str, ...]] = {
    "engine": ("--full", "--out", "{folder}/engine.json", "--plot", "{folder}/engine.svg"),
    "scale": ("--out", "{folder}/scale.json", "--plot", "{folder}/scale.svg"),
    "start": ("--plot", "{folder}/start.svg"),
    "call": ("--plot", "{folder}/call.svg"),
    "gateway": ("--plot", "{folder}/gateway.svg"),
    "startup": (),
}


def run(name: str, folder: Path) -> bool:
    """Run one benchmark, unless it has been; return whether it came to its end."""
    told = folder / f"{name}.md"
    if told.exists():
        return True
    began = time.monotonic()
    print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
    options = [option.format(folder=folder) for option in BENCHES[name]]
    command = [sys.executable, str(HERE / f"{name}.py"), *options]
    beside = folder / f"{name}.md.new"
    with beside.open("w") as output:
        code = watched(subprocess.Popen(command, stdout=output))
    if code == 0:
        beside.replace(told)
    said = "done" if code == 0 else f"ended with {code}"
    print(f"{said} after {time.monotonic() - began:.0f} s", file=sys.stderr)
    return code == 0


def watched(process: subprocess.Popen[bytes]) -> int:
    """Return how a process ended; an interrupt is passed on, and it is given its time to end."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default=",".join(BENCHES), help="comma between")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := set(names) - set(BENCHES):
        parser.error(f"no benchmarks: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"the machine isn't quiet: its load is {load:.1f}", file=sys.stderr)
    end_cleanly()
    try:
        done = [name for name in names if run(name, folder)]
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        return 130
    for name in done:
        print(f"\n## {name}\n\n{(folder / f'{name}.md').read_text()}")
    return int(done != names)


if __name__ == "__main__":
    sys.exit(main())
