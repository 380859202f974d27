"""Run a script or a module with lazyllm's modules put through rootward.

python -m rootward.lazyllm script.py ARGS
python -m rootward.lazyllm -m package.module ARGS
"""

from __future__ import annotations

import os
import runpy
import sys


def main() -> None:
    """Run what the command line names, as Python itself would; exit code 2 for wrong usage."""
    import rootward.lazyllm  # noqa: F401 - its import is what is wanted

    args = sys.argv[1:]
    if args[:1] == ["-m"] and len(args) > 1:
        sys.argv = args[1:]
        sys.path[0] = os.getcwd()  # noqa: PTH109 - as Python does
        runpy.run_module(args[1], run_name="__main__", alter_sys=True)
    elif args and not args[0].startswith("-"):
        sys.argv = args
        sys.path[0] = os.path.dirname(os.path.abspath(args[0]))  # noqa: PTH100, PTH120 - as Python does
        runpy.run_path(args[0], run_name="__main__")
    else:
        print(__doc__, file=sys.stderr)  # noqa: T201 - the usage
        sys.exit(2)


if __name__ == "__main__":
    main()
