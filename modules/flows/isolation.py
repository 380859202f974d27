"""Branches of a flow in processes of their own: another interpreter, started for one branch.

The branch travels there with the running calls around it, so that what is bound to their values
finds them, and its result or exception travels back. The process ends with its work, and with this
program by whatever end: it watches the pipe that its work came through. It belongs to nobody's
deployment and knows no Redis.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from ..errors import CallError, CodecError, RemoteError
from .frames import running

if TYPE_CHECKING:
    from collections.abc import Callable


def isolated(branch: Callable[[], Any]) -> Callable[[], Any]:
    """Return a function that runs `branch` in another process and returns what it returned."""

    def run() -> Any:
        return _unpacked(_run_there(_packed((running.get(), branch), "a branch")))

    return run


def _packed(value: Any, what: str) -> bytes:
    import cloudpickle

    try:
        packed: bytes = cloudpickle.dumps(value)
    except Exception as error:
        # Whatever refuses to be pickled names itself.
        raise CodecError(
            f"{what} of a flow with processes=True can't travel to another process: {error}"
        ) from error
    return packed


def _run_there(work: bytes) -> bytes:
    ours, theirs = os.pipe()
    command = [sys.executable, "-P", "-m", __name__, str(theirs)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[theirs])
    os.close(theirs)
    assert process.stdin is not None
    try:
        process.stdin.write(pickle.dumps((list(sys.path), work)))
        process.stdin.flush()
        # Left open: its end says that this program is gone.
        with open(ours, "rb") as answers:
            answer = answers.read()
    except BrokenPipeError:
        answer = b""
    finally:
        process.stdin.close()
        code = process.wait()
    if not answer:
        raise CallError(f"the process of a branch ended with code {code} and no answer")
    return answer


def _unpacked(answer: bytes) -> Any:
    succeeded, value = pickle.loads(answer)  # noqa: S301 - our own child's, through our own pipe
    if succeeded:
        return value
    raise value


def main() -> None:
    """Run the branch that standard input brings; answer on the descriptor that is the argument."""
    import threading

    paths, work = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent's, through its pipe
    sys.path[:] = paths
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        frame, branch = pickle.loads(work)  # noqa: S301 - as above
        running.set(frame)
        answer = _packed((True, branch()), "the result of a branch")
    except BaseException as error:  # it is raised in the parent
        answer = _packed_error(error)
    with open(int(sys.argv[1]), "wb") as answers:
        answers.write(answer)


def _packed_error(error: BaseException) -> bytes:
    import traceback

    text = "".join(traceback.format_exception(error))
    try:
        error.add_note(f"in a process of its own:\n{text}")
        return _packed((False, error), "the exception of a branch")
    except CodecError:
        return _packed((False, RemoteError(type(error).__name__, str(error), text)), "an error")


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
