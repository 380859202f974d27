"""The records that travel between Redis and the rest, each with its encoding beside it.

They are frozen and say what they hold; the store moves them. `encoding` is what all of them share.
"""

from __future__ import annotations

from .agents import AgentInfo, AgentRecord, Bell, RenewResult, Sweep
from .deployments import DeploymentRecord, GenerationRecord, Reservation, Submission
from .history import ERROR_FD, LogEntry
from .registry import Change, ReplicaRecord, Serving
from .retention import Retention
from .rollout import Rollout
from .scaling import LoadPlace, ScaleChange, Scaling
from .tasks import (
    Claim,
    Exchange,
    Finish,
    FinishResult,
    GenerationBlob,
    Output,
    TaskRecord,
    TaskSpec,
)

__all__ = [
    "ERROR_FD",
    "AgentInfo",
    "AgentRecord",
    "Bell",
    "Change",
    "Claim",
    "DeploymentRecord",
    "Exchange",
    "Finish",
    "FinishResult",
    "GenerationBlob",
    "GenerationRecord",
    "LoadPlace",
    "LogEntry",
    "Output",
    "RenewResult",
    "ReplicaRecord",
    "Reservation",
    "Retention",
    "Rollout",
    "ScaleChange",
    "Scaling",
    "Serving",
    "Submission",
    "Sweep",
    "TaskRecord",
    "TaskSpec",
]
