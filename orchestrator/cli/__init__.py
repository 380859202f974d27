"""The command line `rootward`: from words to calls, and from outcomes to exit codes.

Each command lives in a file of its own that is imported when it is used, so `--help` stays instant.
Data go to standard output and nothing else does; an error is told in a few lines on standard error.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from ..terminal import heeds_hangup

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "run"]


def main() -> None:
    """Run the command line of this process and exit with its code."""
    # A shell starts what it puts into the background with SIGINT ignored; here it always counts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if heeds_hangup():
        signal.signal(signal.SIGHUP, _interrupt)
    sys.exit(run(sys.argv[1:]))


def _interrupt(number: int, frame: object) -> None:
    """Take the end of the terminal for a Ctrl-C, once: the shell tells it as the kernel does."""
    del number, frame
    signal.signal(signal.SIGHUP, lambda *_: None)
    raise KeyboardInterrupt


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code (0, 1, 2, 3 or 130)."""
    import warnings

    import click

    from .output import StdoutClosed, forget, is_unread, prepare_streams, warn
    from .root import cli

    prepare_streams()
    warnings.showwarning = warn
    # Our own settings warnings are for everybody; the rest keeps Python's own filters.
    warnings.filterwarnings("always", message="unknown setting", category=UserWarning)
    try:
        code = cli.main(list(arguments), prog_name="rootward", standalone_mode=False)
        sys.stdout.flush()
    except StdoutClosed:
        # The reader has what it wanted (`rootward events NAME | head`).
        forget(sys.stdout)
        return 0
    except (KeyboardInterrupt, click.Abort):
        return 130
    except Exception as error:
        if is_unread(error):
            forget(sys.stdout)
            return 0
        from .failures import present

        return present(error)
    return code if isinstance(code, int) else 0
