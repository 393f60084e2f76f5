"""What whoever watches a workspace live is told of: the names of its events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.approvals.approval import ApprovalStatus
from domain.runs.run import RunState


class EventKind(StrEnum):
    """`noun.what happened`; pages look again at what an event's noun names."""

    TASK_CREATED = "task.created"
    TASK_UPDATED = "task.updated"
    TASK_SCHEDULED = "task.scheduled"
    TASK_DELETED = "task.deleted"
    RUN_QUEUED = "run.queued"
    RUN_STARTED = "run.started"
    RUN_THINKING = "run.thinking"
    RUN_AWAITING_APPROVAL = "run.awaiting_approval"
    RUN_WAITING = "run.waiting"
    RUN_UNCERTAIN = "run.uncertain"
    RUN_COMPLETED = "run.completed"
    RUN_BLOCKED = "run.blocked"
    RUN_BUDGET_EXHAUSTED = "run.budget_exhausted"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    STEP_INTENT = "step.intent"
    STEP_DENIED = "step.denied"
    STEP_DONE = "step.done"
    STEP_FAILED = "step.failed"
    APPROVAL_REQUESTED = "approval.requested"
    APPROVAL_PENDING = "approval.pending"
    APPROVAL_APPROVED = "approval.approved"
    APPROVAL_REJECTED = "approval.rejected"
    APPROVAL_CHANGES_REQUESTED = "approval.changes_requested"
    APPROVAL_EXPIRED = "approval.expired"
    APPROVAL_CANCELLED = "approval.cancelled"
    SETTINGS_UPDATED = "settings.updated"
    WORKSPACE_MODE = "workspace.mode"

    @property
    def noun(self) -> str:
        """What it is about."""
        return self.value.partition(".")[0]


# how a run says that it has come into a state; that it is at work is told when it starts
OF_RUN: Mapping[RunState, EventKind] = {
    RunState.QUEUED: EventKind.RUN_QUEUED,
    RunState.RUNNING: EventKind.RUN_STARTED,
    RunState.AWAITING_APPROVAL: EventKind.RUN_AWAITING_APPROVAL,
    RunState.WAITING: EventKind.RUN_WAITING,
    RunState.UNCERTAIN: EventKind.RUN_UNCERTAIN,
    RunState.COMPLETED: EventKind.RUN_COMPLETED,
    RunState.BLOCKED: EventKind.RUN_BLOCKED,
    RunState.BUDGET_EXHAUSTED: EventKind.RUN_BUDGET_EXHAUSTED,
    RunState.FAILED: EventKind.RUN_FAILED,
    RunState.CANCELLED: EventKind.RUN_CANCELLED,
}

# what an approval says while it has a status; that it was asked is told apart
OF_APPROVAL: Mapping[ApprovalStatus, EventKind] = {
    ApprovalStatus.PENDING: EventKind.APPROVAL_PENDING,
    ApprovalStatus.APPROVED: EventKind.APPROVAL_APPROVED,
    ApprovalStatus.REJECTED: EventKind.APPROVAL_REJECTED,
    ApprovalStatus.CHANGES_REQUESTED: EventKind.APPROVAL_CHANGES_REQUESTED,
    ApprovalStatus.EXPIRED: EventKind.APPROVAL_EXPIRED,
    ApprovalStatus.CANCELLED: EventKind.APPROVAL_CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event: what it is about by its id, and what is told with it."""

    kind: EventKind
    ref: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """`kind` is `<noun>.<verb>`, `ref` the id of the thing, `payload` small JSON without secrets."""

    workspace_id: str
    seq: int
    kind: str
    ref: str
    payload: dict[str, Any]
    created_at: datetime
