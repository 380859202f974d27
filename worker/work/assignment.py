"""One claimed job on its way through this agent: its claim, its output, how it ended.

An Assignment is made of a claim once its signature holds, and ends as exactly one Finish, or is
handed back. What runs it (a slot, a replica being deployed) feeds its output and returns an
Outcome; the agent sends it. Errors are made here, so that each carries its type, message,
traceback and the last lines that this very task printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rootward.modules.errors import StateTooLarge
from rootward.modules.state.exceptions import message_of
from rootward.orchestrator.security.sealing import NO_MARK
from rootward.orchestrator.security.signing import JOB_FUNCTION, mark_in_payload, payload
from rootward.orchestrator.states import TaskState
from rootward.orchestrator.store.connection import LARGEST_VALUE
from rootward.orchestrator.store.records import ERROR_FD, Finish
from rootward.orchestrator.store.rq_compat import Shard, shard_of

from ..devices.resources import Holder
from .memory_kills import MemoryKills
from .output import Output

if TYPE_CHECKING:
    from rootward.orchestrator.security.signing import Signer
    from rootward.orchestrator.store.records import Claim

    from ..devices.resources import Holding, Resources

Error = Mapping[str, str]
MOST_STATES_BYTES: Final = LARGEST_VALUE - (1 << 20)
"""Of all that one task changes, whatever ROOTWARD_STATE_LIMIT lets one module have."""

_memory_kills = MemoryKills()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a task ended: `states` are unsigned entries of the state log."""

    state: TaskState
    error: Error | None = None
    states: Sequence[bytes] = ()
    retryable: bool = True


class TaskLost(Exception):
    """The process of a task ended under it; the message says of what."""


class NotBegun(Exception):
    """A claimed task has found no slot in time: it goes back to its queue, uncounted."""


class Leaving(Exception):
    """A task has ended because its worker is leaving: it goes back to its queue, uncounted."""


@dataclass(slots=True, kw_only=True, eq=False)
class Assignment:
    """One attempt of a task; `needs_slot` is false for what the supervisor does.

    `ended_by` is the error that it is to fail with, once it was told to end; `lost` is the error
    of which its process ended, when it goes back to its queue for that; `is_leaving` says that it
    goes back because the worker is leaving; `is_late` says that its
    time is over; `trace` is the W3C context of its run; `mark` is that of the
    submission, once it is verified. `holding` are the resources that it was claimed with, until a
    process has them.
    """

    claim: Claim
    output: Output = field(default_factory=Output)
    flushes: int = 0
    needs_slot: bool = True
    ended_by: Error | None = None
    lost: Error | None = None
    is_late: bool = False
    is_leaving: bool = False
    trace: Mapping[str, str] = field(default_factory=dict)
    mark: bytes = NO_MARK
    holding: Holding | None = None
    _under_way: int = 0
    _on_flushed: Callable[[], None] | None = None

    @contextlib.contextmanager
    def flushing(self) -> Iterator[None]:
        """Say that some of its output is on its way to the store."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way and self._on_flushed is not None:
                self._on_flushed()

    def when_flushed(self, call: Callable[[], None]) -> None:
        """Call it once no output is on its way: what comes after the finish is refused."""
        if self._under_way:
            self._on_flushed = call
        else:
            call()

    def hold(self, resources: Resources) -> bool:
        """Hold what the queue that it was claimed from says; False when that isn't free.

        Another claim that was under way may have taken it.
        """
        needs, claim = resources.needs(self.claim.queue), self.claim
        if not needs:
            return True
        holder = Holder(
            deployment=claim.name,
            generation=claim.generation,
            module=claim.path or "",
            kind=claim.kind,
        )
        self.holding = resources.hold(needs, holder)
        return self.holding is not None

    def end_holding(self) -> None:
        """Give back what no process has taken over."""
        if (holding := self.pass_holding()) is not None:
            holding.end()

    def pass_holding(self) -> Holding | None:
        """Return the resources that it holds, which are another's to give back from now on."""
        holding, self.holding = self.holding, None
        return holding

    @property
    def place(self) -> tuple[str, int]:
        """Name and number of its generation."""
        return self.claim.name, self.claim.generation

    @property
    def shard(self) -> Shard | None:
        """Which part of an evaluation it is; None for a task."""
        return shard_of(self.claim.job_id)

    @property
    def evaluation(self) -> str | None:
        """Id of the job whose shard it is; None for a task."""
        shard = self.shard
        return None if shard is None else shard.evaluation

    def finish(self, outcome: Outcome, signer: Signer) -> Finish:
        """Return what is sent to the store; takes the output that is left.

        States that Redis would not take make it a failure: the connection would end over them.
        """
        claim = self.claim
        if (size := sum(map(len, outcome.states))) > MOST_STATES_BYTES:
            outcome = self.failed(_too_large(claim.path or claim.task, size), retryable=False)
        return Finish(
            job_id=claim.job_id,
            token=claim.token,
            state=outcome.state,
            error=outcome.error,
            states=[
                signer.seal_state(entry, claim.name, claim.generation, self.mark)
                for entry in outcome.states
            ],
            output=self.output.take(),
            retryable=outcome.retryable,
        )

    def failed(self, error: BaseException | Error, *, retryable: bool = True) -> Outcome:
        """Return the outcome of an error, with the last lines of the output."""
        described = dict(error) if isinstance(error, Mapping) else described_error(error)
        described.setdefault("traceback", "")
        described["log_tail"] = "\n".join(self.output.tail())
        self.output.add(ERROR_FD, _as_record(described, self.claim.attempt))
        return Outcome(state=TaskState.FAILED, error=described, retryable=retryable)


def _too_large(path: str, size: int) -> Error:
    return {
        "type": StateTooLarge.__name__,
        "message": f"{path}: a task changed {size:,} bytes of state, and Redis takes "
        f"{MOST_STATES_BYTES:,} at once; write them to shared storage and keep the path",
    }


def _as_record(error: Error, attempt: int) -> str:
    """Return an error as the log of its task keeps it."""
    kind, message = error.get("type", ""), error.get("message", "")
    head = f"failed in attempt {attempt}: {kind}: {message}"
    traceback = error.get("traceback", "").rstrip()
    return f"{head}\n{traceback}\n" if traceback else f"{head}\n"


class Workload(set[Assignment]):
    """The assignments that an agent has now; what is removed has ended or was handed back."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self._has_less = asyncio.Event()

    def remove(self, assignment: Assignment) -> None:
        """Forget one; KeyError when it isn't here."""
        super().remove(assignment)
        self._has_less.set()

    async def until_done(self) -> None:
        """Return when nothing is left."""
        while self:
            self._has_less.clear()
            await self._has_less.wait()


def described_error(error: BaseException) -> dict[str, str]:
    """Return type, message and an empty traceback: ours would say nothing of the user's code."""
    return {
        "type": type(error).__name__,
        "message": message_of(error) or type(error).__name__,
        "traceback": "",
    }


def verify(claim: Claim, signer: Signer) -> bytes:
    """Return the mark of the submission that the job was made for, with this very task.

    Raises SignatureError for a wrong signature, ValueError for a payload that is none.
    """
    mark = mark_in_payload(claim.data)
    wanted = payload(signer, claim.name, claim.generation, claim.task, claim.job_id, mark)
    if hmac.compare_digest(claim.data, wanted):
        return mark
    # It carries a trace, RQ has saved it anew, it was signed with an older secret, or it is wrong.
    from rootward.orchestrator.store.rq_compat import Serializer

    try:
        function, instance, args, kwargs = Serializer.loads(claim.data)
        (signature,) = args
        if not isinstance(signature, bytes):
            raise TypeError("its signature isn't one")
        trace = {str(key): str(value) for key, value in dict(kwargs.get("trace", {})).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"the job {claim.job_id} has no payload of ours: {error}") from error
    if function != JOB_FUNCTION or instance is not None or set(kwargs) - {"trace"}:
        raise ValueError(f"the job {claim.job_id} names {function!r}, which workers don't run")
    said = (claim.name, claim.generation, claim.task, claim.job_id)
    return signer.verify_job(said, signature, trace)


def how_it_ended(waitstatus: int | None) -> str:
    """Say how a process ended, by its wait status; None when nobody could tell."""
    import os

    if waitstatus is None:
        return "its process ended"
    if os.WIFSIGNALED(waitstatus):
        number = os.WTERMSIG(waitstatus)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        memory = number == signal.SIGKILL and _memory_kills.have_risen()
        why = ": memory had run out, says the kernel" if memory else ""
        return f"its process was killed by {name}{why}"
    return f"its process exited with code {os.waitstatus_to_exitcode(waitstatus)}"
