"""What a task is, and which moves it may make. No I/O here."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.errors import Conflict


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
    status: str
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
        current = TaskStatus(self.status)
        if status != current and status not in MANUAL_MOVES[current]:
            raise Conflict(
                f"a task that is {current} cannot become {status}",
                code="illegal_move",
                details={"from": current, "to": status, "allowed": sorted(MANUAL_MOVES[current])},
            )
