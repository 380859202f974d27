"""What a task has left running when it is over: it ends with the task.

Its children, zombies too, end with the slot, which is replaced then. Orphans (a daemon that
detached itself, say) are the template's children by now: those in the slot's session are killed
here, and the template is asked to look for those in sessions of their own. A task that started no
process costs two calls of the kernel.
"""

from __future__ import annotations

import os
import resource
import signal

from . import process_tree


class Leftovers:
    """Looks after what the tasks of this process leave behind."""

    def __init__(self) -> None:
        """Take note of the processes that have been waited for until now."""
        self._waited_for = _waited_for()

    def end(self) -> bool:
        """End the orphans of the last task; whether this process itself has children left."""
        if process_tree.has_children():
            return True
        before, self._waited_for = self._waited_for, _waited_for()
        if self._waited_for != before:
            template = os.getppid()
            process_tree.kill_orphans_of_session(template)
            os.kill(template, signal.SIGCHLD)
        return False


def _waited_for() -> int:
    """Return a number that grows with each child that was waited for: no process has no faults."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
