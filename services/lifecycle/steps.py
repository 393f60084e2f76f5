"""The state of a step: proposed, decided, carried out, and what came of it.

A decision has the same consequences wherever it is made: about a new call, about one that a person approved, and about
one that is no call at all. They are in `apply`.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.clock import Now
from domain.errors import Conflict
from domain.identity.actor import Actor
from domain.ids import new_id
from domain.journal.work import EffectResolved, RunInterrupted, StepDecided, StepDone
from domain.ledger.events import EventKind
from domain.policy.governance import NO_CALL_RULE, Decision, Verdict
from domain.ports import PlanAnswer
from domain.runs.run import CallEffect, EffectState, Run, RunState, Step, StepState, UncertainChoice
from domain.runs.task import Task
from domain.tools.effect import Effect
from domain.tools.tool import Outcome, OutcomeStatus, ToolSpec
from services.ledger.recorder import Recorder
from services.lifecycle.moves import enter, move
from services.lifecycle.requests import ApprovalRequests
from services.lifecycle.runs import RunLifecycle
from services.lifecycle.spending import spend
from services.outbox.notifications import Notifications
from services.policy.service import Decided
from services.policy.violations import note_refusal
from storage.runs import run_rows
from storage.transaction import Tx

TEXT_CAP = 20_000
# what a step tells by the state it has come into; that it is asked about, the approval tells
_TOLD = {
    StepState.INTENT: EventKind.STEP_INTENT,
    StepState.DENIED: EventKind.STEP_DENIED,
    StepState.DONE: EventKind.STEP_DONE,
    StepState.FAILED: EventKind.STEP_FAILED,
}


@dataclass(frozen=True, slots=True)
class StepLifecycle:
    """Writes the state of steps and of the calls they make, always in the caller's transaction."""

    runs: RunLifecycle
    requests: ApprovalRequests
    recorder: Recorder
    notifications: Notifications
    now: Now

    # --- decided ----------------------------------------------------------------------------------

    def apply(
        self,
        tx: Tx,
        *,
        run: Run,
        task: Task,
        step: Step,
        spec: ToolSpec | None,
        decided: Decided,
        answer: PlanAnswer | None = None,
    ) -> Step:
        """Record the decision about a call and let what follows from it follow; the step as it is then.

        Allowed: the intent is written. Denied: a violation is. To be asked: the question is put, and the run parks.
        `answer` is what the planner said, of a step that is new; `spec` is None where no call follows.
        """
        receipt_id = self.recorder.record(
            tx,
            StepDecided(
                run=run,
                task=task,
                step=step,
                decision=decided.decision,
                input=decided.input,
                external=decided.external,
            ),
        )
        to, columns = _after(decided.decision, now=self.now())
        columns |= {"decision_receipt_id": receipt_id, **_decision_columns(decided.decision)}
        if to is StepState.DENIED:
            named = {"taskId": task.id, "runId": run.id, "stepId": step.id}
            note_refusal(
                tx, run.workspace_id, tool=step.tool, decision=decided.decision, metadata=named, now=self.now()
            )
        if answer is None:
            moved = move(tx, step, to, **columns)
        else:
            moved = enter(tx, replace(step, state=to, **columns))
            self._count(tx, run, moved, answer)
        if to is StepState.AWAITING_APPROVAL:
            assert spec is not None
            self.requests.ask(tx, task=task, run=run, step=moved, spec=spec, decision=decided.decision)
            self.runs.park(tx, run, RunState.AWAITING_APPROVAL)
            return moved
        if to is StepState.INTENT:
            assert spec is not None
            self._intend(tx, moved, spec)
        self.runs.tell(tx, run, _TOLD[to], step=moved)
        return moved

    def _count(self, tx: Tx, run: Run, step: Step, answer: PlanAnswer) -> None:
        """One more iteration, with what the model cost, and the planner's memory up to this answer."""
        run_rows.change(
            tx,
            run,
            iterations_used=run.iterations_used + 1,
            attempts=0,
            history=answer.history,
            history_steps=step.seq - 1,
            updated_at=self.now(),
            **spend(tx, run, answer.usage, now=self.now),
        )

    def _intend(self, tx: Tx, step: Step, spec: ToolSpec) -> None:
        """The intent row of a call that reaches outside."""
        if spec.effect < Effect.E2:
            return
        before = run_rows.effect_of_step(tx, step.workspace_id, step.id)
        if before is not None:
            move(tx, before, EffectState.INTENT, attempts=before.attempts + 1, finished_at=None)
            return
        enter(
            tx,
            CallEffect(
                id=new_id(),
                workspace_id=step.workspace_id,
                run_id=step.run_id,
                step_id=step.id,
                idempotency_key=step.id,
                tool=step.tool,
                state=EffectState.INTENT,
                attempts=1,
                resolved_by=None,
                resolution=None,
                created_at=self.now(),
                finished_at=None,
            ),
        )

    # --- carried out ------------------------------------------------------------------------------

    def settle(self, tx: Tx, *, run: Run, task: Task, step: Step, outcome: Outcome) -> bool:
        """Record what came of the call; False when the run parks or ends with it."""
        ok = outcome.status is OutcomeStatus.DONE
        state = StepState.DONE if ok else StepState.FAILED
        receipt_id = self.recorder.record(tx, StepDone(run=run, task=task, step=step, outcome=outcome))
        settled = move(
            tx,
            step,
            state,
            output=outcome.output,
            error=outcome.error[:TEXT_CAP] or None,
            completed_at=self.now(),
            outcome_receipt_id=receipt_id,
        )
        self._move_effect(tx, step, EffectState.DONE if ok else EffectState.FAILED, finished_at=self.now())
        self.runs.tell(tx, run, _TOLD[state], step=settled)
        if outcome.finish:
            self.runs.finish(tx, run, RunState.COMPLETED, summary=str((outcome.output or {}).get("summary", "")))
            return False
        if outcome.park_until is not None:
            self.runs.park(tx, run, RunState.WAITING, wake_at=datetime.fromisoformat(outcome.park_until))
            return False
        return True

    def doubt(self, tx: Tx, *, run: Run, step: Step, why: str) -> None:
        """The call was interrupted while it was under way: people are asked what became of it, and the run parks."""
        move(tx, step, StepState.UNCERTAIN, error=f"interrupted while the call was under way: {why}")
        effect = self._move_effect(tx, step, EffectState.UNCERTAIN)
        self.recorder.record(tx, RunInterrupted(run=run, step=step, why=why))
        if self.runs.park(tx, run, RunState.UNCERTAIN):
            self.notifications.run_uncertain(tx, run, step_id=step.id, attempt=0 if effect is None else effect.attempts)

    def resolve(self, tx: Tx, actor: Actor, *, run: Run, step: Step, choice: UncertainChoice, via: str) -> None:
        """A person said what became of a call that was interrupted; Conflict when that was said already."""
        if step.state is not StepState.UNCERTAIN:
            raise Conflict(f"this step is {step.state}, nothing is to be said of it", code="not_uncertain")
        to, columns = _said(choice, now=self.now())
        move(tx, step, to, **columns)
        self._move_effect(
            tx,
            step,
            EffectState.SETTLED,
            resolved_by=actor.user_id,
            resolution=choice.value,
            finished_at=self.now(),
        )
        self.recorder.record(tx, EffectResolved(run=run, actor=actor.principal, step=step, choice=choice, via=via))
        self.notifications.uncertain_settled(tx, workspace_id=run.workspace_id, step_id=step.id)
        self.runs.resume(tx, run)

    @staticmethod
    def _move_effect(tx: Tx, step: Step, to: EffectState, **columns: Any) -> CallEffect | None:
        effect = run_rows.effect_of_step(tx, step.workspace_id, step.id)
        return None if effect is None else move(tx, effect, to, **columns)


def _after(decision: Decision, *, now: datetime) -> tuple[StepState, dict[str, Any]]:
    """The state a decision leads to, and what is set with it."""
    if decision.rule_id == NO_CALL_RULE:
        return StepState.FAILED, {"error": decision.reason, "completed_at": now}
    if decision.verdict is Verdict.DENY:
        return StepState.DENIED, {"error": decision.reason, "completed_at": now}
    if decision.verdict is Verdict.ESCALATE:
        # of an approved call: what had allowed it is spent or gone
        return StepState.AWAITING_APPROVAL, {"error": None, "approval_id": new_id()}
    return StepState.INTENT, {"started_at": now}


def _said(choice: UncertainChoice, *, now: datetime) -> tuple[StepState, dict[str, Any]]:
    """The state an answer leads to, and what is set with it."""
    if choice is UncertainChoice.RETRY:
        return StepState.APPROVED, {}
    if choice is UncertainChoice.SKIP:
        return StepState.SKIPPED, {"error": "interrupted; a person said to skip it", "completed_at": now}
    return StepState.DONE, {"output": {"markedDone": True}, "completed_at": now}


def _decision_columns(decision: Decision) -> dict[str, Any]:
    return {
        "verdict": decision.verdict.value,
        "reason_code": decision.reason_code,
        "rule_id": decision.rule_id,
        "reason": decision.reason,
        "policy_hash": decision.policy_hash,
    }
