"""When a process that has ended comes back: at once or nearly so, then after growing pauses.

The one policy for replicas: of workers, of programs without Redis, and of the controller, which has
the lost ones started elsewhere. It counts failures in a row; a process that has lived for long
begins anew. Who starts processes asks it and waits.
"""

from __future__ import annotations

from typing import Final

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0
STEADY_S: Final = 30.0
GIVE_UP_AFTER: Final = 6


def pause_after(failures: int) -> float:
    """Return the seconds until the next start after so many failures in a row (1 or more)."""
    # Bounded before the shift: failures may go on for days.
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * (1 << min(failures - 1, 16)))


class RestartPolicy:
    """The pauses of one process; with `gives_up` it comes back GIVE_UP_AFTER - 1 times in a row."""

    def __init__(self, *, gives_up: bool) -> None:
        """Begin without a failure."""
        self.failures = 0
        self._gives_up = gives_up

    def failed(self, lived_s: float) -> float | None:
        """Count the end of a process that lived for `lived_s` seconds, 0 if it never got ready.

        Returns the pause until the next start in seconds; None when it is to be given up.
        """
        self.failures = 1 if lived_s > STEADY_S else self.failures + 1
        if self._gives_up and self.failures >= GIVE_UP_AFTER:
            return None
        return pause_after(self.failures)
