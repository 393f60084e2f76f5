"""The state of a run: begun, claimed, parked, going on, ended; with everything that has to be true along with it.

All of it happens in the caller's transaction. A segment owns its run by the epoch its claim gave it: whatever a segment
writes it writes as `mine`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from domain.clock import Now
from domain.errors import Conflict
from domain.ids import new_id
from domain.journal.work import RunBegun, RunCancelled, RunFinished
from domain.ledger.events import OF_RUN, Event, EventKind
from domain.runs.delegation import WAITS
from domain.runs.run import RUN_ENDED, RUN_PARKED, Run, RunState, Step, StepState
from domain.runs.task import Task
from services.ledger.recorder import Recorder
from services.lifecycle.moves import Superseded, enter, move
from services.lifecycle.requests import ApprovalRequests
from services.lifecycle.spending import DONE_THINKING
from services.lifecycle.tasks import TaskLifecycle
from services.outbox.notifications import Notifications
from services.policy.service import PolicyService
from storage.runs import run_rows
from storage.runs.engine import JobEngine
from storage.tools import operator_rows
from storage.transaction import Tx

# what a run waits for while an approval can be taken back
UNDO = "undo"


@dataclass(frozen=True, slots=True)
class RunLifecycle:
    """Writes the state of runs, and of what ends with them."""

    engine: JobEngine
    policy_service: PolicyService
    tasks: TaskLifecycle
    requests: ApprovalRequests
    recorder: Recorder
    notifications: Notifications
    now: Now

    # --- beginning --------------------------------------------------------------------------------

    def begin(
        self,
        tx: Tx,
        task: Task,
        *,
        started_by: str | None,
        principal: str,
        context: str | None = None,
        iteration_budget: int | None = None,
        origin: dict[str, Any],
        parent: Run | None = None,
        budget_micros: int | None = None,
    ) -> Run:
        """Queue a run; Conflict when one of the task is under way, or its operator is paused."""
        active = run_rows.active_of_task(tx, task.workspace_id, task.id)
        if active is not None:
            raise Conflict("a run of this task is under way", code="run_active", details={"runId": active.id})
        if not operator_rows.works(tx, task.workspace_id, task.operator_id):
            raise Conflict(
                "the operator of this task is paused", code="operator_paused", details={"operatorId": task.operator_id}
            )
        run = _new_run(
            task,
            number=run_rows.next_number(tx, task.id),
            iterations=self.policy_service.iteration_limit(tx, task, requested=iteration_budget),
            context=task.description if context is None else context,
            started_by=started_by,
            origin=origin,
            parent=parent,
            budget_micros=budget_micros,
            now=self.now(),
        )
        enter(tx, run)
        self._enqueue(tx, run)
        self.tasks.begin(tx, task)
        self.recorder.record(tx, RunBegun(run=run, actor=principal))
        self.tell(tx, run, EventKind.RUN_QUEUED)
        return run

    def _enqueue(self, tx: Tx, run: Run) -> None:
        self.engine.enqueue(
            tx, run_id=run.id, segment=run.segment, workspace_id=run.workspace_id, priority=run.priority
        )

    # --- at work ----------------------------------------------------------------------------------

    def claim(self, tx: Tx, workspace_id: str, run_id: str, segment: int) -> Run | None:
        """The run, owned by the caller from now on; None when this segment of it is over, or is another workspace's."""
        self.recorder.lock_log(tx, workspace_id)
        run = run_rows.by_id(tx, run_id, lock=True)
        if run is None or run.workspace_id != workspace_id or not waits_for_segment(run, segment):
            return None
        now = self.now()
        claimed = move(
            tx,
            run,
            RunState.RUNNING,
            epoch=run.epoch + 1,
            # a call that was under way in a process that is gone is made again, and counted again
            **DONE_THINKING,
            started_at=run.started_at or now,
            updated_at=now,
        )
        if run.state is not RunState.RUNNING:
            self.tasks.follow(tx, claimed)
            self.tell(tx, claimed, EventKind.RUN_STARTED)
        return claimed

    def mine(self, tx: Tx, run: Run) -> Run:
        """The run as it is now; Superseded when the segment that read it does not own it any more."""
        self.recorder.lock_log(tx, run.workspace_id)
        current = run_rows.by_id(tx, run.id, lock=True)
        if current is None or current.epoch != run.epoch or current.state is not RunState.RUNNING:
            raise Superseded("the run has moved on")
        return current

    def hand_over(self, tx: Tx, run: Run) -> None:
        """The next segment goes on with a run that is at work."""
        self.resume(tx, self.mine(tx, run))

    # --- parked, and going on ---------------------------------------------------------------------

    def park(
        self, tx: Tx, run: Run, state: RunState, *, wake_at: datetime | None = None, why: str | None = None
    ) -> bool:
        """Park the run, or end it when it was cancelled while it was at work; whether it is parked."""
        assert state in RUN_PARKED
        if run.cancel_requested:
            self.finish(tx, run, RunState.CANCELLED, error=run.error, error_code="cancelled")
            return False
        parked = move(tx, run, state, wake_at=wake_at, wait_reason=why or state.value, updated_at=self.now())
        self.tasks.follow(tx, parked)
        self.tell(tx, parked, OF_RUN[state])
        return True

    def resume(self, tx: Tx, run: Run) -> Run:
        """A parked run goes on: its next segment is queued."""
        resumed = move(
            tx,
            run,
            RunState.QUEUED,
            segment=run.segment + 1,
            wake_at=None,
            wait_reason=None,
            updated_at=self.now(),
        )
        self._enqueue(tx, resumed)
        self.tasks.follow(tx, resumed)
        self.tell(tx, resumed, EventKind.RUN_QUEUED)
        return resumed

    def resume_at(self, tx: Tx, run: Run, moment: datetime) -> Run:
        """An approved run goes on at that moment, by the due sweep: until then the approval can be taken back."""
        changed = move(tx, run, RunState.WAITING, wake_at=moment, wait_reason=UNDO, updated_at=self.now())
        self.tell(tx, changed, EventKind.RUN_WAITING)
        return changed

    def requeue(self, tx: Tx, run: Run) -> None:
        """Queue a segment again that the engine has lost."""
        self._enqueue(tx, move(tx, run, RunState.QUEUED, segment=run.segment + 1, updated_at=self.now()))

    # --- the end ----------------------------------------------------------------------------------

    def cancel(self, tx: Tx, run: Run, *, principal: str, reason: str = "cancelled by a person") -> Run:
        """End the run; one that is being worked on ends before its next step."""
        # whoever cancels several may have ended this one with the run it works for
        run = run_rows.get(tx, run.workspace_id, run.id, lock=True)
        if run.ended:
            return run
        self.recorder.record(tx, RunCancelled(run=run, actor=principal, reason=reason))
        if run.state is RunState.RUNNING:
            run_rows.change(tx, run, cancel_requested=True, error=reason, updated_at=self.now())
            return replace(run, cancel_requested=True)
        return self.finish(tx, run, RunState.CANCELLED, error=reason, error_code="cancelled", principal=principal)

    def finish(
        self,
        tx: Tx,
        run: Run,
        state: RunState,
        *,
        summary: str | None = None,
        error: str | None = None,
        error_code: str = "",
        principal: str = "system",
        learned: Mapping[str, Any] = MappingProxyType({}),
    ) -> Run:
        """End the run: its state, the task's, the outcome receipt, and word to whoever waits for it.

        `learned` are more columns that changed with the last answer of its planner.
        """
        assert state in RUN_ENDED
        now = self.now()
        changed = {
            **learned,
            "summary": summary,
            "error": error,
            "error_code": error_code or None,
            "completed_at": now,
            "updated_at": now,
            "wake_at": None,
            **DONE_THINKING,
        }
        ended = move(tx, run, state, cancel_requested=False, **changed)
        self._close_open_steps(tx, ended)
        self.tasks.follow(tx, ended)
        self.recorder.record(tx, RunFinished(run=ended, actor=principal))
        self.tell(tx, ended, OF_RUN[state])
        if ended.parent_run_id is None:
            self.notifications.run_ended(tx, ended)
        else:
            self._wake_parent(tx, ended)
        return ended

    def _wake_parent(self, tx: Tx, child: Run) -> None:
        """What a sub-run used counts as its parent's, which goes on if it waits for it."""
        parent = run_rows.get(tx, child.workspace_id, child.parent_run_id or "", lock=True)
        run_rows.change(
            tx,
            parent,
            iterations_used=parent.iterations_used + child.iterations_used,
            cost_micros=parent.cost_micros + child.cost_micros,
        )
        if parent.state is RunState.WAITING and parent.wait_reason == WAITS:
            self.resume(tx, parent)

    def _close_open_steps(self, tx: Tx, run: Run) -> None:
        for step in run_rows.open_steps_of(tx, run.workspace_id, run.id):
            move(tx, step, StepState.CANCELLED, completed_at=self.now())
            self.requests.withdraw(tx, step)
            self._cancel_child(tx, step)
            if step.state is StepState.UNCERTAIN:
                self.notifications.uncertain_settled(tx, workspace_id=run.workspace_id, step_id=step.id)

    def _cancel_child(self, tx: Tx, step: Step) -> None:
        """Whatever the ended run waited for has nobody to work for any more."""
        if step.child_run_id is None:
            return
        child = run_rows.get(tx, step.workspace_id, step.child_run_id, lock=True)
        if not child.ended:
            self.cancel(tx, child, principal="system", reason="the run it works for has ended")

    # --- telling ----------------------------------------------------------------------------------

    def tell(self, tx: Tx, run: Run, kind: EventKind, *, step: Step | None = None) -> None:
        """An event for whoever watches, and the run's message in chat brought up to date."""
        payload: dict[str, Any] = {"taskId": run.task_id, "runId": run.id, "state": run.state.value}
        if kind is EventKind.RUN_THINKING and run.partial_text:
            payload["partialText"] = run.partial_text
        if step is not None:
            payload |= {"stepId": step.id, "seq": step.seq, "tool": step.tool, "stepState": step.state.value}
        self.recorder.event(tx, workspace_id=run.workspace_id, event=Event(kind=kind, ref=run.id, payload=payload))
        if kind in _SHOWN:
            self.notifications.run_progressed(tx, run)


# the events that change the message of a run in chat; its end is told by the result
_SHOWN = frozenset(
    {
        EventKind.RUN_STARTED,
        EventKind.RUN_THINKING,
        EventKind.RUN_AWAITING_APPROVAL,
        EventKind.RUN_WAITING,
        EventKind.RUN_UNCERTAIN,
        EventKind.STEP_INTENT,
        EventKind.STEP_DENIED,
        EventKind.STEP_DONE,
        EventKind.STEP_FAILED,
    }
)


def waits_for_segment(run: Run, segment: int) -> bool:
    """Whether this segment of the run is still to be worked on."""
    return run.segment == segment and run.state in (RunState.QUEUED, RunState.RUNNING)


def _new_run(
    task: Task,
    *,
    number: int,
    iterations: int,
    context: str,
    started_by: str | None,
    origin: dict[str, Any],
    parent: Run | None,
    budget_micros: int | None,
    now: datetime,
) -> Run:
    run_id = new_id()
    return Run(
        id=run_id,
        workspace_id=task.workspace_id,
        task_id=task.id,
        number=number,
        state=RunState.QUEUED,
        segment=1,
        epoch=0,
        wake_at=None,
        wait_reason=None,
        cancel_requested=False,
        attempts=0,
        iterations_used=0,
        iteration_budget=iterations,
        model="",
        tokens_in=0,
        tokens_out=0,
        cost_micros=0,
        history=None,
        history_steps=0,
        context=context,
        started_by=started_by,
        origin=origin,
        summary=None,
        error=None,
        error_code=None,
        parent_run_id=None if parent is None else parent.id,
        root_run_id=run_id if parent is None else parent.root_run_id,
        budget_micros=budget_micros,
        reserved_micros=0,
        reserved_installation_micros=0,
        partial_text=None,
        priority=task.priority,
        deadline_at=task.deadline_at,
        created_at=now,
        started_at=None,
        updated_at=now,
        completed_at=None,
    )
