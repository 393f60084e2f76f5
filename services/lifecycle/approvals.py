"""The state of an approval once it is asked: decided, expired, taken back; and the run that waits for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.approvals.approval import Approval, ApprovalStatus, Via
from domain.clock import Now
from domain.errors import Conflict
from domain.journal.approvals import ApprovalDecided, ApprovalExpired, ApprovalUndone
from domain.outbox.notifications import CallbackNotice, as_json
from domain.runs.run import RunState, StepState
from services.ledger.recorder import Recorder
from services.lifecycle.moves import move
from services.lifecycle.runs import RunLifecycle
from services.outbox.notifications import Notifications
from storage.outbox import outbox_rows
from storage.runs import run_rows
from storage.transaction import Tx

CALLBACK_TOPIC = "callback"


@dataclass(frozen=True, slots=True)
class ApprovalLifecycle:
    """Writes how approvals end, always in the caller's transaction. Who may say so is asked before."""

    runs: RunLifecycle
    recorder: Recorder
    notifications: Notifications
    now: Now

    def settle(
        self,
        tx: Tx,
        approval: Approval,
        status: ApprovalStatus,
        *,
        principal: str,
        via: Via,
        note: str | None,
        grant_id: str | None = None,
    ) -> Approval:
        """Decide the approval, and let its run go on; Superseded when somebody else has decided it."""
        now = self.now()
        undo = int(approval.approval_context.get("undoSeconds") or 0)
        approved = status is ApprovalStatus.APPROVED
        settled = move(
            tx,
            approval,
            status,
            resolved_by=principal,
            resolved_via=via.value,
            resolution_note=note,
            grant_id=grant_id,
            resolved_at=now,
            execute_after=now + timedelta(seconds=undo) if undo and approved else None,
        )
        entry = ApprovalExpired if status is ApprovalStatus.EXPIRED else ApprovalDecided
        self.recorder.record(tx, entry(approval=settled, actor=principal, via=via, note=note))
        self._continue_run(tx, settled, note)
        self.notifications.approval_changed(tx, settled)
        self._call_back(tx, settled)
        return settled

    def expire(self, tx: Tx, approval: Approval) -> Approval:
        """Nobody decided in time, which means no."""
        return self.settle(tx, approval, ApprovalStatus.EXPIRED, principal="system", via=Via.SYSTEM, note=None)

    def _continue_run(self, tx: Tx, approval: Approval, note: str | None) -> None:
        if approval.run_id is None or approval.step_id is None:
            return
        run = run_rows.get(tx, approval.workspace_id, approval.run_id, lock=True)
        step = run_rows.get_step(tx, approval.workspace_id, approval.step_id)
        if run.ended or step.state is not StepState.AWAITING_APPROVAL:
            return
        to, columns = _step_after(approval.status, note, self.now())
        move(tx, step, to, **columns)
        if run.state is not RunState.AWAITING_APPROVAL:
            return
        if approval.execute_after is None:
            self.runs.resume(tx, run)
        else:
            self.runs.resume_at(tx, run, approval.execute_after)

    def undo(self, tx: Tx, approval: Approval, *, principal: str, via: Via) -> Approval:
        """Take an approval back while its undo window is open; Conflict when it is not."""
        now = self.now()
        open_still = approval.execute_after is not None and approval.execute_after > now
        if approval.status is not ApprovalStatus.APPROVED or not open_still or approval.run_id is None:
            raise _closed()
        assert approval.step_id is not None
        run = run_rows.get(tx, approval.workspace_id, approval.run_id, lock=True)
        step = run_rows.get_step(tx, approval.workspace_id, approval.step_id)
        if run.state is not RunState.WAITING or step.state is not StepState.APPROVED:
            raise _closed()
        to, columns = _step_after(ApprovalStatus.REJECTED, "approval was taken back", now)
        move(tx, step, to, **columns)
        # from now on this is the outcome that everybody hears
        undone = move(
            tx,
            approval,
            ApprovalStatus.REJECTED,
            execute_after=None,
            resolution_note="undone",
            resolved_by=principal,
            resolved_via=via.value,
            resolved_at=now,
        )
        self.runs.resume(tx, run)
        self.recorder.record(tx, ApprovalUndone(approval=undone, actor=principal))
        self.notifications.approval_changed(tx, undone)
        return undone

    def _call_back(self, tx: Tx, approval: Approval) -> None:
        if approval.callback_url is not None:
            outbox_rows.put(
                tx,
                workspace_id=approval.workspace_id,
                channel="callback",
                # one a recipient at a time: a place that is down must not hold up the outcomes of others
                recipient=approval.id,
                payload=as_json(CallbackNotice(approval_id=approval.id)),
                now=self.now(),
                dedupe_key=f"callback:{approval.id}:{approval.version}",
            )
            tx.on_commit(lambda: self.notifications.bus.woke(CALLBACK_TOPIC))


def _closed() -> Conflict:
    return Conflict("there is nothing to undo any more", code="undo_closed")


def _step_after(status: ApprovalStatus, note: str | None, now: datetime) -> tuple[StepState, dict[str, Any]]:
    """The state an answer gives the step that waits for it, and what is set with it."""
    if status is ApprovalStatus.APPROVED:
        return StepState.APPROVED, {}
    text = {
        ApprovalStatus.REJECTED: "a person said no",
        ApprovalStatus.CHANGES_REQUESTED: "a person asked for changes",
        ApprovalStatus.EXPIRED: "nobody decided in time, which means no",
    }.get(status, "withdrawn")
    state = StepState.CHANGES_REQUESTED if status is ApprovalStatus.CHANGES_REQUESTED else StepState.REJECTED
    return state, {"error": f"{text}: {note}" if note else text, "completed_at": now}
