"""What a task is, and which moves it may make. No I/O here."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.errors import Conflict
from domain.runs.states import StateTable


class Mode(StrEnum):
    """The phase a workspace works in; it restricts which tools may run."""

    DISCOVER = "discover"
    DECIDE = "decide"
    BUILD = "build"
    LAUNCH = "launch"
    APPLY = "apply"


class TaskStatus(StrEnum):
    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED})
ACTIVE = frozenset({TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.AWAITING_APPROVAL})

TASKS = StateTable(
    of="a task",
    begins={TaskStatus.PENDING: "made"},
    moves={
        TaskStatus.PENDING: {
            TaskStatus.QUEUED: "its run began",
            TaskStatus.COMPLETED: "set by hand",
            TaskStatus.FAILED: "set by hand",
            TaskStatus.CANCELLED: "set by hand",
        },
        TaskStatus.QUEUED: {
            TaskStatus.RUNNING: "its run is worked on, or waits for the next try",
            TaskStatus.FAILED: "its run has failed",
            TaskStatus.CANCELLED: "its run was cancelled, or set by hand",
            TaskStatus.PENDING: "set by hand",
        },
        TaskStatus.RUNNING: {
            TaskStatus.QUEUED: "its run waits for the next segment",
            TaskStatus.AWAITING_APPROVAL: "its run waits for a person",
            TaskStatus.COMPLETED: "its run is completed",
            TaskStatus.FAILED: "its run has failed, is blocked or has used up its budget",
            TaskStatus.CANCELLED: "its run was cancelled, or set by hand",
        },
        TaskStatus.AWAITING_APPROVAL: {
            TaskStatus.QUEUED: "its run goes on",
            TaskStatus.CANCELLED: "its run was cancelled, or set by hand",
        },
        TaskStatus.COMPLETED: {
            TaskStatus.QUEUED: "its next run began",
            TaskStatus.PENDING: "set by hand",
        },
        TaskStatus.FAILED: {
            TaskStatus.QUEUED: "its next run began",
            TaskStatus.PENDING: "set by hand",
            TaskStatus.CANCELLED: "set by hand",
        },
        TaskStatus.CANCELLED: {
            TaskStatus.QUEUED: "its next run began",
            TaskStatus.PENDING: "set by hand",
        },
    },
)

# What a person may set. While a run is under way only cancelling is theirs: the rest follows the run.
MANUAL_MOVES: dict[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.PENDING: frozenset(TaskStatus) - {TaskStatus.RUNNING, TaskStatus.AWAITING_APPROVAL},
    TaskStatus.QUEUED: frozenset({TaskStatus.PENDING, TaskStatus.CANCELLED}),
    TaskStatus.RUNNING: frozenset({TaskStatus.CANCELLED}),
    TaskStatus.AWAITING_APPROVAL: frozenset({TaskStatus.CANCELLED}),
    TaskStatus.COMPLETED: frozenset({TaskStatus.PENDING, TaskStatus.QUEUED}),
    TaskStatus.FAILED: frozenset({TaskStatus.PENDING, TaskStatus.QUEUED, TaskStatus.CANCELLED}),
    TaskStatus.CANCELLED: frozenset({TaskStatus.PENDING, TaskStatus.QUEUED}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    id: str
    workspace_id: str
    operator_id: str | None
    parent_task_id: str | None
    title: str
    description: str
    mode: str
    status: TaskStatus
    priority: int
    metadata: dict[str, Any]
    created_by: str | None
    origin: str
    iteration_budget: int
    schedule: dict[str, Any] | None
    next_run_at: datetime | None
    paused: bool
    deadline_at: datetime | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    deleted_at: datetime | None

    def check_manual_move(self, status: TaskStatus) -> None:
        """Conflict when a person may not set `status` now."""
        current = self.status
        if status != current and status not in MANUAL_MOVES[current]:
            raise Conflict(
                f"a task that is {current} cannot become {status}",
                code="illegal_move",
                details={"from": current, "to": status, "allowed": sorted(MANUAL_MOVES[current])},
            )
