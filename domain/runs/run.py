"""Runs, their segments and steps: the state tables and values. No I/O here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.integrity import differs_field
from domain.runs.delegation import DELEGATE
from domain.runs.states import StateTable
from domain.runs.task import TaskStatus


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
    FAILED = "failed"
    CANCELLED = "cancelled"


# what a run that is at work waits for while a model is asked
THINKING = "model"

RUNS = StateTable(
    of="a run",
    begins={RunState.QUEUED: "begun"},
    moves={
        RunState.QUEUED: {
            RunState.RUNNING: "claimed by a segment",
            RunState.QUEUED: "queued again: the engine had lost its segment",
            RunState.WAITING: "could not be claimed, and is tried again later",
            RunState.FAILED: "could not be claimed, and is not tried again",
            RunState.CANCELLED: "cancelled, or past its deadline",
        },
        RunState.RUNNING: {
            RunState.RUNNING: "claimed again: the process that worked on it is gone",
            RunState.QUEUED: "handed over to the next segment, or lost by the engine and queued again",
            RunState.AWAITING_APPROVAL: "asked a person about its next call",
            RunState.WAITING: "waits for a time, for a sub-run, or for the next try",
            RunState.UNCERTAIN: "was interrupted in a call that may have happened",
            RunState.COMPLETED: "finished its work",
            RunState.BLOCKED: "cannot go on",
            RunState.BUDGET_EXHAUSTED: "used up its steps or its money",
            RunState.FAILED: "failed, and is not tried again",
            RunState.CANCELLED: "cancelled while it was at work",
        },
        RunState.AWAITING_APPROVAL: {
            RunState.QUEUED: "the question was answered, or nobody answered it in time",
            RunState.WAITING: "approved, and the approval can still be taken back",
            RunState.CANCELLED: "cancelled, or past its deadline",
        },
        RunState.WAITING: {
            RunState.QUEUED: "its time has come, its sub-run has ended, or the approval was taken back",
            RunState.CANCELLED: "cancelled, or past its deadline",
        },
        RunState.UNCERTAIN: {
            RunState.QUEUED: "a person said what became of the call",
            RunState.CANCELLED: "cancelled, or past its deadline",
        },
        RunState.COMPLETED: {},
        RunState.BLOCKED: {},
        RunState.BUDGET_EXHAUSTED: {},
        RunState.FAILED: {},
        RunState.CANCELLED: {},
    },
)
RUN_ENDED = RUNS.ended
RUN_PARKED = frozenset({RunState.AWAITING_APPROVAL, RunState.WAITING, RunState.UNCERTAIN})

TASK_STATUS_OF: dict[RunState, TaskStatus] = {
    RunState.QUEUED: TaskStatus.QUEUED,
    RunState.RUNNING: TaskStatus.RUNNING,
    RunState.AWAITING_APPROVAL: TaskStatus.AWAITING_APPROVAL,
    RunState.WAITING: TaskStatus.RUNNING,
    RunState.UNCERTAIN: TaskStatus.AWAITING_APPROVAL,
    RunState.COMPLETED: TaskStatus.COMPLETED,
    RunState.BLOCKED: TaskStatus.FAILED,
    RunState.BUDGET_EXHAUSTED: TaskStatus.FAILED,
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


STEPS = StateTable(
    of="a step",
    begins={
        StepState.INTENT: "allowed",
        StepState.AWAITING_APPROVAL: "a person has to be asked",
        StepState.DENIED: "denied by the policy",
        StepState.FAILED: "not a call that can be made",
    },
    moves={
        StepState.AWAITING_APPROVAL: {
            StepState.APPROVED: "approved",
            StepState.REJECTED: "rejected, or nobody answered in time",
            StepState.CHANGES_REQUESTED: "a person asked for changes",
            StepState.CANCELLED: "its run has ended",
        },
        StepState.APPROVED: {
            StepState.INTENT: "allowed by the policy of now, too",
            StepState.DENIED: "denied by the policy of now",
            StepState.AWAITING_APPROVAL: "what had allowed it is used up or gone, and a person has to be asked",
            StepState.REJECTED: "the approval was taken back",
            StepState.FAILED: "its tool is gone",
            StepState.CANCELLED: "its run has ended",
        },
        StepState.INTENT: {
            StepState.DONE: "the call succeeded",
            StepState.FAILED: "the call failed",
            StepState.UNCERTAIN: "interrupted, and the call may have happened",
            StepState.DENIED: "interrupted, and no receipt lets it be made again",
            StepState.CANCELLED: "its run has ended",
        },
        StepState.UNCERTAIN: {
            StepState.APPROVED: "a person said to make the call again",
            StepState.DONE: "a person said that it happened",
            StepState.SKIPPED: "a person said to go on without it",
            StepState.CANCELLED: "its run has ended",
        },
        StepState.DENIED: {},
        StepState.REJECTED: {},
        StepState.CHANGES_REQUESTED: {},
        StepState.DONE: {},
        StepState.FAILED: {},
        StepState.SKIPPED: {},
        StepState.CANCELLED: {},
    },
)
STEP_ENDED = STEPS.ended


class EffectState(StrEnum):
    """What is known of a call that left the process."""

    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    SETTLED = "settled"


EFFECTS = StateTable(
    of="a call",
    begins={EffectState.INTENT: "about to be made"},
    moves={
        EffectState.INTENT: {
            EffectState.DONE: "it succeeded",
            EffectState.FAILED: "it failed",
            EffectState.UNCERTAIN: "interrupted, and it may have happened",
        },
        EffectState.UNCERTAIN: {EffectState.SETTLED: "a person said what became of it"},
        EffectState.SETTLED: {
            EffectState.INTENT: "about to be made again",
            EffectState.FAILED: "to be made again, and its tool is gone",
        },
        EffectState.DONE: {},
        EffectState.FAILED: {},
    },
)


class UncertainChoice(StrEnum):
    """What a person may say of a call that was interrupted while it was under way."""

    RETRY = "retry"
    SKIP = "skip"
    MARK_DONE = "mark_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    id: str
    workspace_id: str
    task_id: str
    number: int
    state: RunState
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
        return self.state in RUN_ENDED

    def is_due(self, now: datetime) -> bool:
        """Whether it waits for a time that has come."""
        return self.state is RunState.WAITING and self.wake_at is not None and self.wake_at <= now

    def is_late(self, now: datetime) -> bool:
        """Whether its deadline has passed and nobody has ended it yet."""
        open_still = not self.ended and not self.cancel_requested
        return open_still and self.deadline_at is not None and self.deadline_at <= now

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
        return self.state is RunState.RUNNING and self.wait_reason == THINKING


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEffect:
    """A call that left the process, by the key that is the same however often it is made."""

    id: str
    workspace_id: str
    run_id: str
    step_id: str
    idempotency_key: str
    tool: str
    state: EffectState
    attempts: int
    resolved_by: str | None
    resolution: str | None
    created_at: datetime
    finished_at: datetime | None


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
    state: StepState
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
        return self.state in STEP_ENDED

    @property
    def child_run_id(self) -> str | None:
        """The run a step that delegates waits for, or waited for."""
        if self.tool != DELEGATE or not isinstance(self.output, dict):
            return None
        found = self.output.get("runId")
        return found if isinstance(found, str) else None
