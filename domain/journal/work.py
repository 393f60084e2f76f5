"""What is recorded of tasks, their runs, and the calls these make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.evidence.runs import end_facts, run_facts
from domain.evidence.steps import step_facts
from domain.journal.entry import ReceiptFields, Written
from domain.ledger.audit import AuditAction
from domain.ledger.events import Event, EventKind
from domain.policy.governance import Decision, ExternalDecision
from domain.receipts.receipt import Kind
from domain.runs.run import Run, RunState, Step, StepState, UncertainChoice
from domain.runs.task import Task, TaskStatus
from domain.tools.tool import Outcome, OutcomeStatus


def operator_of(task: Task) -> str:
    """Who works on a task, as a principal."""
    return f"operator:{task.operator_id or 'system'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfTask:
    kind = Kind.CHANGE

    actor: str
    task: Task

    @property
    def workspace_id(self) -> str:
        return self.task.workspace_id


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCreated(_OfTask):
    """Somebody, or an operator at work, made a task."""

    action = AuditAction.TASK_CREATED

    def written(self) -> Written:
        task = self.task
        return Written(
            target=task.id,
            details={"title": task.title[:200]},
            receipt=ReceiptFields(task_id=task.id, args={"title": task.title, "description": task.description}),
            event=Event(kind=EventKind.TASK_CREATED, ref=task.id, payload={"status": task.status.value}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskUpdated(_OfTask):
    """Fields of a task were changed."""

    action = AuditAction.TASK_UPDATED

    changed: Sequence[str]

    def written(self) -> Written:
        task, changed = self.task, {"changed": sorted(self.changed)}
        return Written(
            target=task.id,
            details=changed,
            receipt=ReceiptFields(task_id=task.id, args=changed),
            event=Event(kind=EventKind.TASK_UPDATED, ref=task.id, payload={"status": task.status.value}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatusSet(_OfTask):
    """A person set the status of a task by hand."""

    action = AuditAction.TASK_STATUS_UPDATED

    to: TaskStatus

    def written(self) -> Written:
        return Written(
            target=self.task.id,
            details={"from": self.task.status.value, "to": self.to.value},
            receipt=ReceiptFields(task_id=self.task.id),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDeleted(_OfTask):
    """A task was taken away."""

    action = AuditAction.TASK_DELETED

    def written(self) -> Written:
        return Written(
            target=self.task.id,
            receipt=ReceiptFields(task_id=self.task.id),
            event=Event(kind=EventKind.TASK_DELETED, ref=self.task.id),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorOutOfScope:
    """Somebody named an operator of another workspace for a task."""

    action = AuditAction.WORKSPACE_OPERATOR_SCOPE_REJECTED
    kind = Kind.CHANGE

    workspace_id: str
    actor: str
    operator_id: str

    def written(self) -> Written:
        return Written(
            target=self.operator_id,
            verdict="deny",
            reason="operator is not in this workspace",
            receipt=ReceiptFields(verdict="DENY", reason_code="TENANT_ISOLATION"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfRun:
    run: Run

    @property
    def workspace_id(self) -> str:
        return self.run.workspace_id


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegun(_OfRun):
    """A run of a task was queued."""

    action = AuditAction.TASK_RUN_DISPATCHED
    kind = Kind.CHANGE

    actor: str

    def written(self) -> Written:
        run = self.run
        return Written(
            target=run.task_id,
            details={"runId": run.id, "number": run.number, **run.lineage},
            receipt=ReceiptFields(task_id=run.task_id, run_id=run.id, args=run_facts(run), metadata=run.lineage),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCancelled(_OfRun):
    """Somebody cancelled a run, or its time was up; one at work ends before its next step."""

    action = AuditAction.RUN_CANCELLED
    kind = Kind.CHANGE

    actor: str
    reason: str

    def written(self) -> Written:
        run = self.run
        return Written(
            target=run.id,
            reason=self.reason,
            receipt=ReceiptFields(task_id=run.task_id, run_id=run.id, metadata=run.lineage),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(_OfRun):
    """A run has ended, in the state it has now."""

    action = AuditAction.RUN_FINISHED
    kind = Kind.OUTCOME

    actor: str

    def written(self) -> Written:
        run, state = self.run, self.run.state.value
        return Written(
            target=run.task_id,
            verdict="allow" if run.state is RunState.COMPLETED else "error",
            reason=run.error,
            details={"runId": run.id, "state": state, "costMicros": run.cost_micros},
            receipt=ReceiptFields(
                task_id=run.task_id,
                run_id=run.id,
                output=end_facts(run),
                status=state,
                metadata={"iterations": run.iterations_used, "cost_micros": run.cost_micros, **run.lineage},
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDecided(_OfRun):
    """The policy decided about a call, or it was refused before the policy was asked.

    `input` are the facts of the decision, for replay; `external` is the word of a decision point outside this process.
    """

    action = AuditAction.TOOL_DECIDED
    kind = Kind.DECISION

    task: Task
    step: Step
    decision: Decision
    input: Mapping[str, Any] | None
    external: ExternalDecision

    @property
    def actor(self) -> str:
        return operator_of(self.task)

    def written(self) -> Written:
        run, step, decision = self.run, self.step, self.decision
        return Written(
            target=step.tool,
            verdict=decision.verdict.value.lower(),
            reason=decision.reason or None,
            details={"runId": run.id, "stepId": step.id, "ruleId": decision.rule_id},
            receipt=ReceiptFields(
                verdict=decision.verdict.value,
                reason_code=decision.reason_code,
                decision_id=step.id,
                effect=step.effect,
                task_id=run.task_id,
                run_id=run.id,
                step_id=step.id,
                approval_id=step.approval_id,
                policy_hash=decision.policy_hash,
                args={
                    "tool": step.tool,
                    "input": step.args,
                    "facts": self.input,
                    "step": step_facts(step, reason=decision.reason),
                },
                status="decided",
                metadata={
                    "rule_id": decision.rule_id,
                    "tool": step.tool,
                    "call_digest": step.args_hash,
                    "grant_use": decision.grant_use,
                    **self.external.metadata,
                    **run.lineage,
                },
                attached=self.external.attached,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone(_OfRun):
    """A call was made, and this came of it: done or failed."""

    action = AuditAction.TOOL_EXECUTED
    kind = Kind.OUTCOME

    task: Task
    step: Step
    outcome: Outcome

    @property
    def actor(self) -> str:
        return operator_of(self.task)

    def written(self) -> Written:
        run, step, outcome = self.run, self.step, self.outcome
        done = outcome.status is OutcomeStatus.DONE
        return Written(
            target=step.tool,
            verdict="allow" if done else "error",
            reason=outcome.error[:500] or None,
            details={"runId": run.id, "stepId": step.id},
            receipt=ReceiptFields(
                decision_id=step.id,
                effect=step.effect,
                task_id=run.task_id,
                run_id=run.id,
                step_id=step.id,
                approval_id=step.approval_id,
                policy_hash=step.policy_hash or "",
                output={"status": outcome.status.value, "output": outcome.output, "error": outcome.error},
                status=(StepState.DONE if done else StepState.FAILED).value,
                metadata={"tool": step.tool, "decision_receipt": step.decision_receipt_id or "", **run.lineage},
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInterrupted(_OfRun):
    """A call was interrupted while it was under way, and may have happened."""

    action = AuditAction.RUN_INTERRUPTED
    kind = Kind.OUTCOME
    actor = "system"

    step: Step
    why: str

    def written(self) -> Written:
        run, step = self.run, self.step
        return Written(
            target=step.tool,
            verdict="error",
            reason=self.why,
            details={"runId": run.id, "stepId": step.id},
            receipt=ReceiptFields(
                decision_id=step.id,
                effect=step.effect,
                task_id=run.task_id,
                run_id=run.id,
                step_id=step.id,
                approval_id=step.approval_id,
                status=StepState.UNCERTAIN.value,
                args={"why": self.why},
                metadata=run.lineage,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectResolved(_OfRun):
    """A person said what became of a call that was interrupted; `via` is where they said it."""

    action = AuditAction.EFFECT_RESOLVED
    kind = Kind.OUTCOME

    actor: str
    step: Step
    choice: UncertainChoice
    via: str

    def written(self) -> Written:
        run, step = self.run, self.step
        return Written(
            target=step.id,
            details={"choice": self.choice.value, "via": self.via, "tool": step.tool},
            receipt=ReceiptFields(
                task_id=run.task_id,
                run_id=run.id,
                step_id=step.id,
                effect=step.effect,
                metadata={"choice": self.choice.value},
            ),
        )
