"""Runs, their segments and steps: the state tables and values. No I/O here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.delegation import DELEGATE
from domain.errors import Conflict
from domain.integrity import differs_field
from domain.tasks import TaskStatus


class RunState(StrEnum):
    """Where a run is. Parked states are rows that wait; no coroutine waits with them."""

    QUEUED = "queued"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    WAITING = "waiting"
    UNCERTAIN = "uncertain"
    COMPLETED = "completed"
    BLOCKED = "blocked"
    BUDGET_EXHAUSTED = "budget_exhausted"
    STALLED = "stalled"
    FAILED = "failed"
    CANCELLED = "cancelled"


# what a run that is at work waits for while a model is asked
THINKING = "model"

RUN_ENDED = frozenset(
    {
        RunState.COMPLETED,
        RunState.BLOCKED,
        RunState.BUDGET_EXHAUSTED,
        RunState.STALLED,
        RunState.FAILED,
        RunState.CANCELLED,
    }
)
RUN_PARKED = frozenset({RunState.AWAITING_APPROVAL, RunState.WAITING, RunState.UNCERTAIN})

RUN_MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLED, RunState.STALLED, RunState.FAILED}),
    RunState.RUNNING: frozenset(RunState),
    RunState.AWAITING_APPROVAL: frozenset({RunState.QUEUED, RunState.CANCELLED, RunState.STALLED}),
    RunState.WAITING: frozenset({RunState.QUEUED, RunState.CANCELLED, RunState.STALLED}),
    RunState.UNCERTAIN: frozenset({RunState.QUEUED, RunState.CANCELLED, RunState.STALLED}),
    **{state: frozenset[RunState]() for state in RUN_ENDED},
}

TASK_STATUS_OF: dict[RunState, TaskStatus] = {
    RunState.QUEUED: TaskStatus.QUEUED,
    RunState.RUNNING: TaskStatus.RUNNING,
    RunState.AWAITING_APPROVAL: TaskStatus.AWAITING_APPROVAL,
    RunState.WAITING: TaskStatus.RUNNING,
    RunState.UNCERTAIN: TaskStatus.AWAITING_APPROVAL,
    RunState.COMPLETED: TaskStatus.COMPLETED,
    RunState.BLOCKED: TaskStatus.FAILED,
    RunState.BUDGET_EXHAUSTED: TaskStatus.FAILED,
    RunState.STALLED: TaskStatus.FAILED,
    RunState.FAILED: TaskStatus.FAILED,
    RunState.CANCELLED: TaskStatus.CANCELLED,
}


class StepState(StrEnum):
    """Where one call is. `intent` = the call may be under way; only an outcome or a person ends it."""

    DENIED = "denied"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    CHANGES_REQUESTED = "changes_requested"
    INTENT = "intent"
    UNCERTAIN = "uncertain"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


STEP_ENDED = frozenset(
    {
        StepState.DENIED,
        StepState.REJECTED,
        StepState.CHANGES_REQUESTED,
        StepState.DONE,
        StepState.FAILED,
        StepState.SKIPPED,
        StepState.CANCELLED,
    }
)

STEP_MOVES: dict[StepState, frozenset[StepState]] = {
    StepState.AWAITING_APPROVAL: frozenset(
        {StepState.APPROVED, StepState.REJECTED, StepState.CHANGES_REQUESTED, StepState.CANCELLED}
    ),
    StepState.APPROVED: frozenset(
        {StepState.INTENT, StepState.DENIED, StepState.CANCELLED, StepState.AWAITING_APPROVAL}
    ),
    StepState.INTENT: frozenset({StepState.DONE, StepState.FAILED, StepState.UNCERTAIN, StepState.CANCELLED}),
    StepState.UNCERTAIN: frozenset(
        {StepState.INTENT, StepState.APPROVED, StepState.DONE, StepState.SKIPPED, StepState.CANCELLED}
    ),
    **{state: frozenset[StepState]() for state in STEP_ENDED},
}


class UncertainChoice(StrEnum):
    """What a person may say of a call that was interrupted while it was under way."""

    RETRY = "retry"
    SKIP = "skip"
    MARK_DONE = "mark_done"


def check_run_move(current: str, to: RunState) -> None:
    """Conflict when the table forbids the move."""
    if to not in RUN_MOVES[RunState(current)]:
        raise Conflict(f"a run that is {current} cannot become {to}", code="illegal_move")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    id: str
    workspace_id: str
    task_id: str
    number: int
    state: str
    segment: int
    epoch: int
    wake_at: datetime | None
    wait_reason: str | None
    cancel_requested: bool
    attempts: int
    iterations_used: int
    iteration_budget: int
    model: str
    tokens_in: int
    tokens_out: int
    cost_micros: int
    history: Any
    history_steps: int
    context: str
    started_by: str | None
    origin: dict[str, Any]
    summary: str | None
    error: str | None
    error_code: str | None
    parent_run_id: str | None
    root_run_id: str | None
    budget_micros: int | None
    reserved_micros: int
    reserved_installation_micros: int
    partial_text: str | None
    priority: int
    deadline_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    completed_at: datetime | None
    differs: tuple[str, ...] = differs_field()

    @property
    def ended(self) -> bool:
        return RunState(self.state) in RUN_ENDED

    @property
    def bounds(self) -> Sequence[str] | None:
        """The only tools a sub-run may use, as its parent said; None for all."""
        return self.origin.get("tools") if self.parent_run_id is not None else None

    @property
    def lineage(self) -> dict[str, str]:
        """Where a sub-run belongs, as receipts say it; empty for a run of its own."""
        if self.parent_run_id is None:
            return {}
        return {"parent_run": self.parent_run_id, "root_run": self.root_run_id or ""}

    @property
    def thinking(self) -> bool:
        """Whether a model is being asked at this moment."""
        return self.state == RunState.RUNNING and self.wait_reason == THINKING


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    id: str
    workspace_id: str
    run_id: str
    task_id: str
    seq: int
    tool: str
    effect: int
    call_id: str
    args: dict[str, Any] | None
    args_hash: str
    version: int
    state: str
    verdict: str | None
    reason_code: str | None
    rule_id: str | None
    reason: str | None
    policy_hash: str | None
    decision_receipt_id: str | None
    outcome_receipt_id: str | None
    approval_id: str | None
    output: Any
    output_hash: str | None
    error: str | None
    model: str
    tokens_in: int
    tokens_out: int
    cost_micros: int
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    differs: tuple[str, ...] = differs_field()

    @property
    def ended(self) -> bool:
        return StepState(self.state) in STEP_ENDED

    @property
    def child_run_id(self) -> str | None:
        """The run a step that delegates waits for, or waited for."""
        if self.tool != DELEGATE or not isinstance(self.output, dict):
            return None
        found = self.output.get("runId")
        return found if isinstance(found, str) else None
