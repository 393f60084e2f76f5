"""Asking for approval, and taking the question back. How it is answered is in `approvals`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain.approvals.approval import Approval, ApprovalStatus, Via, digest_of_call
from domain.clock import Now
from domain.journal.approvals import ApprovalAsked, ApprovalWithdrawn
from domain.journal.work import operator_of
from domain.policy.governance import Decision
from domain.runs.run import Run, Step
from domain.runs.task import Task
from domain.tools.tool import REDACTED, ToolSpec
from services.ledger.recorder import Recorder
from services.lifecycle.moves import Superseded, enter, move
from services.outbox.notifications import Notifications
from services.policy.service import PolicyService
from storage.approvals import approval_rows
from storage.transaction import Tx


def redact_args(args: Any, redactions: tuple[str, ...]) -> Any:
    """The arguments as a card may show them: what the tool declares secret is hidden."""
    if not isinstance(args, dict):
        return args
    return {k: REDACTED if k in redactions else v for k, v in args.items()}


def restore_redacted(
    args: dict[str, Any], before: dict[str, Any] | None, redactions: tuple[str, ...]
) -> dict[str, Any]:
    """Changed arguments of a call as they are to run: what still shows as hidden is what it was before."""
    known = before or {}
    kept = {k for k in redactions if args.get(k) == REDACTED and k in known}
    return {k: known[k] if k in kept else v for k, v in args.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody outside wants leave for. `args` is exactly what would be done; `title` a line for the card."""

    action: str
    args: Any
    reason: str
    title: str = ""
    effect: int = 3


@dataclass(frozen=True, slots=True)
class ApprovalRequests:
    """Writes approvals and withdraws them, always in the caller's transaction."""

    policy_service: PolicyService
    recorder: Recorder
    notifications: Notifications
    now: Now

    def ask(self, tx: Tx, *, task: Task, run: Run, step: Step, spec: ToolSpec, decision: Decision) -> Approval:
        """The question about one step: what was shown is bound by its digest."""
        rules = self.policy_service.approval_rules(tx, task.workspace_id)
        effect = self.policy_service.effect_of(tx, task, spec)
        now = self.now()
        assert step.approval_id is not None
        approval = Approval(
            id=step.approval_id,
            workspace_id=task.workspace_id,
            task_id=task.id,
            run_id=run.id,
            step_id=step.id,
            action=step.tool,
            action_input=redact_args(step.args, spec.redactions),
            action_hash=step.args_hash,
            effect=effect,
            policy_version=decision.policy_hash,
            approval_context={
                "taskTitle": task.title,
                "toolSummary": spec.summary,
                "reversible": effect < 3,
                "ruleId": decision.rule_id,
                "reasonCode": decision.reason_code,
                "stepSeq": step.seq,
                "costMicros": run.cost_micros,
                "undoSeconds": rules.undo_seconds,
                "approverRole": rules.role,
            },
            reason=decision.reason,
            status=ApprovalStatus.PENDING,
            version=1,
            quorum=rules.quorum,
            deciders=list(rules.deciders) or None,
            requested_by=operator_of(task),
            resolved_by=None,
            resolved_via=None,
            resolution_note=None,
            grant_id=None,
            callback_url=None,
            callback_secret=None,
            requested_at=now,
            resolved_at=None,
            execute_after=None,
            expires_at=now + timedelta(minutes=rules.ttl_minutes),
            reminded=0,
        )
        return self.put(tx, approval)

    def ask_for(
        self,
        tx: Tx,
        question: Question,
        *,
        approval_id: str,
        workspace_id: str,
        requested_by: str,
        lasts: timedelta | None = None,
        callback_url: str | None = None,
        callback_secret: str | None = None,
    ) -> Approval:
        """A question that no run of ours waits for; `callback_secret` is sealed.

        It has no undo window: what is approved is out of our hands at once.
        """
        rules = self.policy_service.approval_rules(tx, workspace_id)
        # who may say yes, and with how fresh a login, follows from the level: theirs is only the least of it
        effect = self.policy_service.effect_outside(tx, workspace_id, tool=question.action, effect=question.effect)
        now = self.now()
        approval = Approval(
            id=approval_id,
            workspace_id=workspace_id,
            task_id=None,
            run_id=None,
            step_id=None,
            action=question.action,
            action_input=question.args,
            action_hash=digest_of_call(question.action, question.args),
            effect=effect,
            policy_version=self.policy_service.policy(tx, workspace_id)[1],
            approval_context={
                "external": True,
                "toolSummary": question.title,
                "reversible": effect < 3,
                "reasonCode": "APPROVAL_REQUIRED",
                "approverRole": rules.role,
            },
            reason=question.reason,
            status=ApprovalStatus.PENDING,
            version=1,
            quorum=rules.quorum,
            deciders=list(rules.deciders) or None,
            requested_by=requested_by,
            resolved_by=None,
            resolved_via=None,
            resolution_note=None,
            grant_id=None,
            callback_url=callback_url,
            callback_secret=callback_secret,
            requested_at=now,
            resolved_at=None,
            execute_after=None,
            expires_at=now + (lasts or timedelta(minutes=rules.ttl_minutes)),
            reminded=0,
        )
        return self.put(tx, approval)

    def put(self, tx: Tx, approval: Approval) -> Approval:
        """Store a question, remember it, and hand out its cards."""
        enter(tx, approval)
        self.recorder.record(tx, ApprovalAsked(approval=approval))
        self.notifications.approval_asked(tx, approval)
        return approval

    def of_step(self, tx: Tx, step: Step) -> Approval | None:
        """The approval a step waits for or was let through by."""
        return None if step.approval_id is None else approval_rows.get(tx, step.workspace_id, step.approval_id)

    def withdraw(self, tx: Tx, step: Step) -> None:
        """The question of a step is moot: its run has ended."""
        approval = self.of_step(tx, step)
        if approval is not None:
            self.cancel(tx, approval, by="system")

    def cancel(self, tx: Tx, approval: Approval, *, by: str) -> bool:
        """Nobody needs the answer any more; False when there is one already."""
        if not approval.pending:
            return False
        try:
            moved = move(
                tx,
                approval,
                ApprovalStatus.CANCELLED,
                resolved_by=by,
                resolved_via=Via.SYSTEM.value,
                resolved_at=self.now(),
            )
        except Superseded:
            return False
        self.recorder.record(tx, ApprovalWithdrawn(approval=moved, actor=by))
        self.notifications.approval_changed(tx, moved)
        return True
