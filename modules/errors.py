"""The errors of the module layer, and the one root that every error of rootward has.

Each message says what happened, where, and what to do next; ids are attributes, so that a program
need not read them out of the text.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class RootwardError(Exception):
    """The root of every error that rootward raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel with message and attributes: the default would call __init__ with the message."""
        return _restored, (type(self), self.args, vars(self))


def _restored(
    cls: type[RootwardError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> RootwardError:
    error = cls.__new__(cls, *args)
    error.args = args
    vars(error).update(attributes)
    return error


class NestedDeployment(RootwardError):
    """Something deploys a tree from inside an import of a TARGET or from inside a worker."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"update(), start() and eval() can't run here: {reason}; move the call under "
            "if __name__ == '__main__':"
        )
        self.reason = reason


class CycleError(RootwardError):
    """A module holds itself, directly or through others; `modules` names the circle."""

    def __init__(self, modules: Sequence[str]) -> None:
        super().__init__(
            f"these modules hold each other in a circle: {' -> '.join(modules)}; "
            "take one of them out of its parent's attributes"
        )
        self.modules = tuple(modules)


class TaskGetterError(RootwardError):
    """A task getter returned something that can't be run."""


class NotServed(RootwardError):
    """A served module was called before it was started, or after it was stopped."""


class ServeFailed(RootwardError):
    """A served module's process did not get ready; `log_tail` are its last lines."""

    def __init__(self, path: str, reason: str, log_tail: str = "") -> None:
        tail = f"\nits last lines:\n{log_tail.rstrip()}" if log_tail.strip() else ""
        super().__init__(f"{path} could not be served: {reason}{tail}")
        self.path = path
        self.reason = reason
        self.log_tail = log_tail


class TaskFailed(RootwardError):
    """A task of a module raised; the cause is chained."""


class CallError(RootwardError):
    """A call of a served module failed on its way or there."""


class Unavailable(CallError):
    """No replica answered within the time that a call is held."""


class RemoteError(CallError):
    """Something was raised elsewhere whose class can't be had here, or that is no Exception.

    `type_name`, `message` and `remote_traceback` are those of what was raised: a SystemExit of a
    served module or of a flow's thread, say, which must not end the program of the caller.
    """

    def __init__(self, type_name: str, message: str, remote_traceback: str = "") -> None:
        super().__init__(f"{type_name}: {message}")
        self.type_name = type_name
        self.message = message
        self.remote_traceback = remote_traceback


class CodecError(RootwardError):
    """A value can't be encoded, or bytes can't be decoded."""


class SignatureError(RootwardError):
    """Data isn't signed, was changed, or was signed with another secret: nothing of it was used."""


class CodeMismatch(RootwardError):
    """The code, Python or format here differs from the submitter's."""


class BundleError(RootwardError):
    """The project's code can't be bundled, or what was stored of it can't be used."""


class NotPortable(RootwardError):
    """A module has an attribute that can't travel by value."""

    def __init__(self, path: str, attribute: str) -> None:
        super().__init__(
            f"{path}: its attribute {attribute} can't travel to another process; make it in "
            "setup() or in the call, name it in the class's local_attributes, or submit the tree "
            "by reference (package.module:attribute)"
        )
        self.path = path
        self.attribute = attribute

    @classmethod
    def of_global(cls, path: str, name: str, kind: str) -> NotPortable:
        """Return the error for a global of the main program that a module's code uses."""
        error = cls(path, name)
        message = (
            f"{path}: its code uses the global {name} of the main program, and a {kind} can't "
            "travel to another process; put what deploys under if __name__ == '__main__': so that "
            "workers import the file, or move the global into a module of its own"
        )
        error.args = (message,)
        return error

    @classmethod
    def of_evalset(cls, path: str, what: str) -> NotPortable:
        """Return the error for a part of a module's evaluation set."""
        error = cls(path, what)
        message = (
            f"{path}: {what} can't travel to another process; evaluate on what can be pickled, or "
            "give evalset() a function that makes the items"
        )
        error.args = (message,)
        return error


class ResultRefused(RootwardError):
    """What an item of an evaluation gave can't be brought to the process that collects."""


class EvaluationLost(RootwardError):
    """A part of an evaluation has ended without a result; `type_name` says of what."""

    def __init__(self, type_name: str, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.type_name = type_name
        self.traceback = traceback


class StateTooLarge(RootwardError):
    """What a task changed on one module is above the limit (ROOTWARD_STATE_LIMIT, bytes)."""

    def __init__(self, path: str, size: int, limit: int) -> None:
        super().__init__(
            f"{path}: a task changed {size:,} bytes of its state, the limit is {limit:,}; write it "
            "to shared storage and keep the path, or raise ROOTWARD_STATE_LIMIT"
        )
        self.path = path
        self.size = size
        self.limit = limit


class ForeignError(RootwardError):
    """A module of another framework can't be part of a tree."""


class TargetError(RootwardError):
    """A TARGET can't be imported, or is no module."""
