"""Runs: a chain of short segments, each a loop of plan, decide, act, record.

Everything a segment did is in the journal (runs, steps, effects) before it goes on, so a segment
that died anywhere is simply called again and continues. Three rules keep that safe:
- every transaction of a segment checks the run's epoch, which the newest claim of the run owns;
- a call is decided and its intent committed, with the receipt, before it is made;
- an intent without an outcome is repeated only if the tool said that repeating is harmless.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, runtime_checkable

from domain.actor import Actor, Role
from domain.approvals import digest_of_call
from domain.audit import AuditAction
from domain.clock import Now
from domain.delegation import WAITS, narrowed
from domain.errors import Conflict, Forbidden, PilotError
from domain.evidence import INTEGRITY_RULE, end_facts, run_facts, step_facts
from domain.governance import Decision, Effect, Verdict
from domain.ids import new_id
from domain.integrity import Altered
from domain.outside import OutsideError
from domain.permissions import Action, require
from domain.ports import (
    OVER_BUDGET,
    OVER_INSTALLATION_BUDGET,
    PaidForNothing,
    PlanAnswer,
    PlanRequest,
    ToolCall,
    Usage,
)
from domain.runs import (
    RUN_ENDED,
    RUN_PARKED,
    TASK_STATUS_OF,
    THINKING,
    Run,
    RunState,
    Step,
    StepState,
    UncertainChoice,
    check_run_move,
)
from domain.tasks import Task
from domain.tools import Outcome, OutcomeStatus, Tool, ToolContext
from services.approval_requests import ApprovalRequests, shown_args
from services.governor import Allowance, Governor, OverBudget
from services.integrity.gate import refusal_of_step
from services.integrity.records import Records
from services.ledger import Facts
from services.notices import Notices
from services.partial_answers import PartialAnswers
from services.planners import Planners
from services.recorder import Recorder
from services.toolbox import Toolbox, Tools, failed
from storage import installation_spend, operators, receipts, recipients, runs, tasks, workspaces
from storage.database import Store, Tx, is_conflict
from storage.engine import JobEngine
from storage.runs import Effect as EffectRow

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_STEPS_PER_SEGMENT = 25
MAX_TRIES = 6
# seconds; whatever the other side asks for, a run is looked at again
LONGEST_PAUSE = 3600.0
TOOL_SECONDS = 120.0
TEXT_CAP = 20_000


@runtime_checkable
class BeginsRuns(Protocol):
    """A tool that has another run do the work: it is called inside the transaction that parks this one."""

    def begin(self, tx: Tx, run: Run, task: Task, step: Step) -> Outcome | None:
        """Begin once. What came of it when it is over, None while the run has to wait."""
        ...


class Superseded(Exception):
    """Another segment owns the run now; this one must not write."""


class ToolChanged(Exception):
    """A tool of the workspace was changed or taken away after this step was thought of."""


class CancelRequested(Exception):
    """A person cancelled the run after this step was thought of; nothing more may begin."""


@dataclass(slots=True)
class Stopping:
    """Set when the process is to stop: segments hand over after the step in hand."""

    event: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class _View:
    """What one turn of the loop works on, read on one snapshot. `steps`: those the planner has not heard of yet.

    `unpriced` is what the budgets say of a planner that costs nothing; None while a step is open.
    """

    run: Run
    task: Task
    steps: Sequence[Step]
    operator: Mapping[str, Any]
    tools: Tools
    unpriced: Allowance | OverBudget | None


@dataclass(frozen=True, slots=True)
class RunService:
    """Starts, advances, wakes, cancels and shows runs."""

    store: Store
    engine: JobEngine
    planners: Planners
    toolbox: Toolbox
    governor: Governor
    approval_requests: ApprovalRequests
    recorder: Recorder
    notices: Notices
    now: Now
    stopping: Stopping

    # --- what people do ---------------------------------------------------------------------------

    async def start(
        self,
        actor: Actor,
        task_id: str,
        *,
        context: str | None = None,
        iteration_budget: int | None = None,
        origin: dict[str, Any] | None = None,
    ) -> Run:
        """Queue a run of the task; Conflict when one is under way, or its operator is paused."""
        require(actor, Action.TASK_RUN)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Run:
            self.recorder.serialize(tx, workspace_id)
            task = tasks.get(tx, workspace_id, task_id, lock=True)
            return self.begin(
                tx,
                task,
                started_by=actor.user_id,
                principal=actor.principal,
                context=context,
                iteration_budget=iteration_budget,
                origin=origin or {"channel": actor.channel.value},
            )

        return await self.store.write(work, together=workspace_id)

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
        """Queue a run in the caller's transaction."""
        active = runs.active_of_task(tx, task.workspace_id, task.id)
        if active is not None:
            raise Conflict("a run of this task is under way", code="run_active", details={"runId": active.id})
        if not operators.works(tx, task.workspace_id, task.operator_id):
            raise Conflict(
                "the operator of this task is paused", code="operator_paused", details={"operatorId": task.operator_id}
            )
        now = self.now()
        run_id = new_id()
        run = Run(
            id=run_id,
            workspace_id=task.workspace_id,
            task_id=task.id,
            number=runs.next_number(tx, task.id),
            state=RunState.QUEUED,
            segment=1,
            epoch=0,
            wake_at=None,
            wait_reason=None,
            cancel_requested=False,
            attempts=0,
            iterations_used=0,
            iteration_budget=self.governor.iteration_limit(tx, task, requested=iteration_budget),
            model="",
            tokens_in=0,
            tokens_out=0,
            cost_micros=0,
            history=None,
            history_steps=0,
            context=task.description if context is None else context,
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
        runs.add(tx, run)
        self._enqueue(tx, run)
        tasks.change(
            tx,
            task.workspace_id,
            task.id,
            status=TASK_STATUS_OF[RunState.QUEUED].value,
            updated_at=now,
            completed_at=None,
        )
        self.recorder.record(
            tx,
            workspace_id=task.workspace_id,
            actor=principal,
            action=AuditAction.TASK_RUN_DISPATCHED,
            target=task.id,
            metadata={"runId": run.id, "number": run.number, **run.lineage},
            facts=Facts(task_id=task.id, run_id=run.id, args=run_facts(run), metadata=run.lineage),
        )
        self._tell(tx, run, "run.queued")
        return run

    async def cancel(self, actor: Actor, task_id: str) -> Run | None:
        """Cancel the task's run, if one is under way; it takes effect before the run's next step."""
        require(actor, Action.TASK_CANCEL)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Run | None:
            self.recorder.serialize(tx, workspace_id)
            tasks.get(tx, workspace_id, task_id, lock=True)
            active = runs.active_of_task(tx, workspace_id, task_id)
            return None if active is None else self.cancel_in(tx, active, principal=actor.principal)

        return await self.store.write(work, together=workspace_id)

    def cancel_in(self, tx: Tx, run: Run, *, principal: str, reason: str = "cancelled by a person") -> Run:
        """Cancel in the caller's transaction. A run that is being worked on ends before its next step."""
        # whoever cancels several may have ended this one with the run it works for
        run = runs.get(tx, run.workspace_id, run.id, lock=True)
        if run.ended:
            return run
        self.recorder.record(
            tx,
            workspace_id=run.workspace_id,
            actor=principal,
            action=AuditAction.RUN_CANCELLED,
            target=run.id,
            reason=reason,
            facts=Facts(task_id=run.task_id, run_id=run.id, metadata=run.lineage),
        )
        if run.state == RunState.RUNNING:
            runs.change(tx, run, cancel_requested=True, error=reason, updated_at=self.now())
            return replace(run, cancel_requested=True)
        return self._finish(tx, run, RunState.CANCELLED, error=reason, error_code="cancelled", principal=principal)

    async def of_task(self, actor: Actor, task_id: str, *, limit: int = 100) -> Sequence[Run]:
        """Runs of a task, newest first."""
        require(actor, Action.TASK_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Sequence[Run]:
            tasks.get(tx, workspace_id, task_id)
            return [run for run, _ in self._all_proved(tx, workspace_id, task_id, limit=limit)]

        return await self.store.read(work)

    async def get(self, actor: Actor, run_id: str) -> tuple[Run, Sequence[Step]]:
        """A run with its steps, without the arguments their tools declare secret."""
        require(actor, Action.TASK_READ)
        workspace_id = actor.in_workspace
        return await self.store.read(
            lambda tx: self._proved(tx, runs.get(tx, workspace_id, run_id), runs.steps_of(tx, workspace_id, run_id))
        )

    def _proved(self, tx: Tx, run: Run, steps: Sequence[Step]) -> tuple[Run, Sequence[Step]]:
        """A run with its steps as they are shown, each with what of it is not what its receipts say."""
        records = Records(self.recorder.ledger, tx, run.workspace_id)
        said = records.of_task(run.task_id)
        return records.runs([run], said, steps=steps)[0], self._shown(records.steps(steps, said))

    async def children(self, actor: Actor, run: Run, steps: Sequence[Step]) -> Sequence[Run]:
        """The sub-runs these steps of a run began, in their order."""
        require(actor, Action.TASK_READ)
        wanted = [step.child_run_id for step in steps if step.child_run_id is not None]
        if not wanted:
            return ()
        return await self.store.read(lambda tx: [runs.get(tx, run.workspace_id, one) for one in wanted])

    async def steps_of_task(self, actor: Actor, task_id: str) -> Sequence[tuple[Run, Sequence[Step]]]:
        """Every run of a task with its steps, newest run first; secret arguments are hidden."""
        require(actor, Action.TASK_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Sequence[tuple[Run, Sequence[Step]]]:
            tasks.get(tx, workspace_id, task_id)
            return self._all_proved(tx, workspace_id, task_id)

        return await self.store.read(work)

    def _all_proved(
        self, tx: Tx, workspace_id: str, task_id: str, *, limit: int = 100
    ) -> Sequence[tuple[Run, Sequence[Step]]]:
        """The newest runs of a task with their steps, as `_proved` gives one."""
        records = Records(self.recorder.ledger, tx, workspace_id)
        said = records.of_task(task_id)
        records.note_gone(receipts.of_task(tx, workspace_id, task_id))
        found = runs.of_task(tx, workspace_id, task_id, limit=limit)
        steps = {run.id: runs.steps_of(tx, workspace_id, run.id) for run in found}
        proved = records.runs(found, said, steps=[one for some in steps.values() for one in some])
        return [(run, self._shown(records.steps(steps[run.id], said))) for run in proved]

    async def workspace_of(self, run_id: str) -> str | None:
        """Where a run belongs; what its reader may see is decided there."""
        found = await self.store.read(lambda tx: runs.by_id(tx, run_id))
        return None if found is None else found.workspace_id

    def _shown(self, steps: Sequence[Step]) -> Sequence[Step]:
        return [self._shown_step(step) for step in steps]

    def _shown_step(self, step: Step) -> Step:
        tool = self.toolbox.get(step.tool)
        return step if tool is None else replace(step, args=shown_args(step.args, tool.spec.redactions))

    async def settle_uncertain(
        self, actor: Actor, run_id: str, step_id: str, choice: UncertainChoice, *, via: str
    ) -> Step:
        """A person says what became of a call that was interrupted; Conflict when that was said already."""
        require(actor, Action.RUN_SETTLE)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Step:
            self.recorder.serialize(tx, workspace_id)
            run = runs.get(tx, workspace_id, run_id, lock=True)
            step = runs.get_step(tx, workspace_id, step_id)
            if step.run_id != run.id or step.state != StepState.UNCERTAIN:
                raise Conflict(f"this step is {step.state}, nothing is to be said of it", code="not_uncertain")
            now = self.now()
            answers: dict[UncertainChoice, dict[str, Any]] = {
                UncertainChoice.RETRY: {"state": StepState.APPROVED.value},
                UncertainChoice.SKIP: {
                    "state": StepState.SKIPPED.value,
                    "error": "interrupted; a person said to skip it",
                    "completed_at": now,
                },
                UncertainChoice.MARK_DONE: {
                    "state": StepState.DONE.value,
                    "output": {"markedDone": True},
                    "completed_at": now,
                },
            }
            runs.change_step(tx, workspace_id, step.id, expected=StepState.UNCERTAIN, **answers[choice])
            effect = runs.effect_of_step(tx, workspace_id, step.id)
            if effect is not None:
                runs.change_effect(
                    tx, effect.id, state="settled", resolved_by=actor.user_id, resolution=choice.value, finished_at=now
                )
            self.recorder.record(
                tx,
                workspace_id=workspace_id,
                actor=actor.principal,
                action=AuditAction.EFFECT_RESOLVED,
                target=step.id,
                metadata={"choice": choice.value, "via": via, "tool": step.tool},
                facts=Facts(
                    kind="outcome",
                    task_id=run.task_id,
                    run_id=run.id,
                    step_id=step.id,
                    effect=step.effect,
                    metadata={"choice": choice.value},
                ),
            )
            self.notices.uncertain_settled(tx, workspace_id=workspace_id, step_id=step.id)
            self.resume(tx, run)
            return self._shown_step(runs.get_step(tx, workspace_id, step_id))

        return await self.store.write(work, together=workspace_id)

    # --- waking -----------------------------------------------------------------------------------

    def resume(self, tx: Tx, run: Run, *, not_before: datetime | None = None) -> Run:
        """A parked run goes on: its next segment is queued in the caller's transaction.

        With `not_before` it waits until then, and the due sweep queues it.
        """
        if not_before is not None:
            check_run_move(run.state, RunState.QUEUED)
            runs.change(
                tx, run, state=RunState.WAITING.value, wake_at=not_before, wait_reason="undo", updated_at=self.now()
            )
            changed = replace(run, state=RunState.WAITING, wake_at=not_before)
            self._tell(tx, changed, "run.waiting")
            return changed
        check_run_move(run.state, RunState.QUEUED)
        now = self.now()
        resumed = replace(
            run, state=RunState.QUEUED, segment=run.segment + 1, wake_at=None, wait_reason=None, updated_at=now
        )
        if not runs.change(
            tx,
            run,
            state=RunState.QUEUED.value,
            segment=resumed.segment,
            wake_at=None,
            wait_reason=None,
            updated_at=now,
        ):
            raise Conflict("the run has moved on", code="run_moved")
        self._enqueue(tx, resumed)
        self._set_task(tx, resumed)
        self._tell(tx, resumed, "run.queued")
        return resumed

    async def sweep_due(self, *, limit: int = 100) -> int:
        """Queue waiting runs whose time has come, end those past their deadline; how many."""

        def work(tx: Tx) -> int:
            now = self.now()
            woken = runs.due(tx, now=now, limit=limit)
            for run in woken:
                self.resume(tx, run)
            late = runs.past_deadline(tx, now=now, limit=limit)
            for run in late:
                self.cancel_in(tx, run, principal="system", reason="the deadline has passed")
            return len(woken) + len(late)

        return await self.store.write(work)

    async def sweep_lost(self, *, quiet: timedelta = timedelta(minutes=2)) -> int:
        """Requeue runs that should be worked on but that the engine has no live segment for; how many.

        This cannot happen while queueing shares the transaction; it repairs a store that was
        restored from a backup, or an engine table that was lost.
        """
        stale = await self.store.read(lambda tx: runs.queued_since(tx, before=self.now() - quiet, limit=200))
        if not stale:
            return 0
        live = {
            (job.run_id, job.segment)
            for status in ("ENQUEUED", "PENDING", "DELAYED")
            for job in await self.engine.list(status=status)
        }
        lost = [run for run in stale if (run.id, run.segment) not in live]

        def work(tx: Tx) -> int:
            count = 0
            for seen in lost:
                run = runs.by_id(tx, seen.id, lock=True)
                if run is None or run.ended or run.epoch != seen.epoch or run.segment != seen.segment:
                    continue
                now = self.now()
                moved = replace(run, state=RunState.QUEUED, segment=run.segment + 1, updated_at=now)
                runs.change(tx, run, state=RunState.QUEUED.value, segment=moved.segment, updated_at=now)
                self._enqueue(tx, moved)
                count += 1
            return count

        return await self.store.write(work) if lost else 0

    # --- the segment ------------------------------------------------------------------------------

    async def advance(self, run_id: str, segment: int, workspace_id: str | None = None) -> None:
        """Work on a run until it ends, parks, or has done a segment's worth. Called by the engine.

        Calling it again for a segment that is done does nothing; it raises nothing.
        """
        try:
            if workspace_id is None:
                seen = await self.store.read(lambda tx: runs.by_id(tx, run_id))
                if seen is None:
                    return
                workspace_id = seen.workspace_id
            await self._advance(workspace_id, run_id, segment)
        except Superseded:
            log.info("segment_superseded", extra={"run": run_id, "segment": segment})
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("segment_failed", extra={"run": run_id, "segment": segment})
            await self._trouble(run_id, segment, error)

    async def _advance(self, workspace_id: str, run_id: str, segment: int) -> None:
        # claimed and looked at in one transaction: most segments have few steps
        view = await self.store.write(lambda tx: self._claim(tx, workspace_id, run_id, segment), together=workspace_id)
        if view is not None:
            await self._work(view)

    def _claim(self, tx: Tx, workspace_id: str, run_id: str, segment: int) -> _View | None:
        self.recorder.serialize(tx, workspace_id)
        run = runs.by_id(tx, run_id, lock=True)
        if (
            run is None
            or run.workspace_id != workspace_id
            or run.segment != segment
            or run.state not in (RunState.QUEUED, RunState.RUNNING)
        ):
            return None
        now = self.now()
        claimed = replace(
            run, state=RunState.RUNNING, epoch=run.epoch + 1, started_at=run.started_at or now, updated_at=now
        )
        runs.change(
            tx,
            run,
            state=RunState.RUNNING.value,
            epoch=claimed.epoch,
            # a call that was under way in a process that is gone is made again, and counted again
            **_DONE_THINKING,
            started_at=claimed.started_at,
            updated_at=now,
        )
        if run.state != RunState.RUNNING:
            self._set_task(tx, claimed)
            self._tell(tx, claimed, "run.started")
        return self._view_of(tx, claimed)

    async def _work(self, view: _View) -> None:
        run = view.run
        for number in range(MAX_STEPS_PER_SEGMENT):
            if number:
                view = await self.store.read(lambda tx: self._view(tx, run))
            if view.run.cancel_requested:
                await self._end(view, RunState.CANCELLED, code="cancelled")
                return
            if self.stopping.event.is_set():
                break
            try:
                going_on = await self._turn(view)
            except (CancelRequested, ToolChanged):
                continue
            if not going_on:
                return
        await self.store.write(lambda tx: self._hand_over(tx, run), together=run.workspace_id)

    def _view(self, tx: Tx, run: Run) -> _View:
        current = runs.get(tx, run.workspace_id, run.id)
        if current.epoch != run.epoch or current.ended:
            raise Superseded
        return self._view_of(tx, current)

    def _view_of(self, tx: Tx, run: Run) -> _View:
        task = tasks.get(tx, run.workspace_id, run.task_id, deleted=True)
        operator = operators.facts(tx, run.workspace_id, task.operator_id)
        steps = runs.steps_of(tx, run.workspace_id, run.id, after=run.history_steps)
        return _View(
            run=run,
            task=task,
            steps=steps,
            operator={**operator, "tools": narrowed(operator["tools"], run.bounds)},
            tools=self.toolbox.within(tx, run.workspace_id),
            unpriced=self.governor.before_model_call(tx, task, run) if all(s.ended for s in steps) else None,
        )

    async def _turn(self, view: _View) -> bool:
        """One step of the run; False when the segment is over."""
        open_step = next((s for s in view.steps if not s.ended), None)
        if open_step is None:
            return await self._plan(view)
        if open_step.state == StepState.APPROVED:
            return await self._carry_out_approved(view, open_step)
        if open_step.state == StepState.INTENT:
            return await self._recover(view, open_step)
        # A parked step under a running run: the park was cut off half way. Park again.
        parked = _PARKED_BY[StepState(open_step.state)]
        await self._write(view, lambda tx: self._park(tx, self._mine(tx, view.run), parked))
        return False

    def _hand_over(self, tx: Tx, run: Run) -> None:
        current = self._mine(tx, run)
        self.resume(tx, current)

    # --- plan and decide --------------------------------------------------------------------------

    async def _plan(self, view: _View) -> bool:
        run = view.run
        if run.iterations_used >= run.iteration_budget:
            await self._end(
                view,
                RunState.BUDGET_EXHAUSTED,
                error=f"the run used its {run.iteration_budget} steps",
                code="iteration_budget",
            )
            return False
        planner = await self.planners.of(run.workspace_id)
        request = PlanRequest(
            task_title=view.task.title,
            task_description=run.context,
            operator=view.operator,
            tools=await self.planners.tools_for(run.workspace_id, view.operator, view.tools),
            history=run.history,
            results=[_result(s) for s in view.steps],
        )
        try:
            # a long conversation is gone through from end to end: not on the event loop
            estimate = await asyncio.to_thread(planner.estimate, request)
            allowance = await self._allowance(view, estimate)
        except Forbidden as frozen:
            await self._end(view, RunState.BLOCKED, error=str(frozen), code=frozen.code)
            return False
        if isinstance(allowance, OverBudget):
            await self._end(view, RunState.BUDGET_EXHAUSTED, error=allowance.reason, code=allowance.code)
            return False
        async with PartialAnswers(lambda text: self._tell_partial(view.run, text)) as partial:
            answer = await planner.next(
                replace(
                    request,
                    allowance=allowance.micros,
                    at_own_cost=allowance.at_own_cost,
                    heard=partial.heard,
                )
            )
        if answer.call is None:
            state, text, code = (
                (RunState.COMPLETED, answer.finished or "", "")
                if answer.blocked is None
                else (RunState.BLOCKED, answer.blocked, answer.blocked_code or "blocked")
            )
            if code == OVER_BUDGET:
                state = RunState.BUDGET_EXHAUSTED
            await self._end(
                view,
                state,
                summary=text if state is RunState.COMPLETED else None,
                error=None if state is RunState.COMPLETED else text,
                code=code,
                answer=answer,
            )
            return False
        return await self._propose(view, answer, answer.call)

    async def _allowance(self, view: _View, estimate: Usage) -> Allowance | OverBudget:
        """What the next answer may cost, held back in the books, or why no model may be asked any more.

        Where a model will be asked, whoever watches the run is told that it thinks: once a request, however long it
        takes. Forbidden while the kill switch is on: each call that a model thought of would be denied, and paid for.
        """
        if not estimate.calls and view.unpriced is not None:
            return view.unpriced

        def work(tx: Tx) -> Allowance | OverBudget:
            run = self._mine(tx, view.run)
            self.governor.check_not_frozen(tx, run.workspace_id)
            found = self.governor.before_model_call(tx, view.task, run, expected=estimate)
            if isinstance(found, OverBudget):
                if found.code == OVER_INSTALLATION_BUDGET:
                    self._tell_administrator(tx, found)
            else:
                thinking: dict[str, Any] = {
                    "reserved_micros": found.micros,
                    "reserved_installation_micros": found.of_installation,
                    "wait_reason": THINKING,
                    "updated_at": self.now(),
                }
                runs.change(tx, run, **thinking)
                self._tell(tx, replace(run, **thinking), "run.thinking")
            return found

        return await self._write(view, work)

    def _tell_administrator(self, tx: Tx, over: OverBudget) -> None:
        """Say that the installation's budget is used up: in the log, and once to the owner of its first workspace."""
        log.warning("installation_budget_used_up", extra={"budget": over.budget})
        first = workspaces.oldest(tx)
        if first is None:
            return
        text = (
            f"The {over.budget} of this installation has no room for a call of a model: work with its own model keys "
            "ends there. PILOT_BUDGET_DAY_USD and PILOT_BUDGET_MONTH_USD set it."
        )
        for owner in recipients.with_roles(tx, first, [Role.OWNER.value]):
            self.notices.text(
                tx,
                workspace_id=first,
                chat_id=owner.telegram_id,
                text=text,
                dedupe_key=f"installation:{over.budget}:{self.now():%Y-%m-%d}:{owner.user_id}"[:120],
            )

    async def _tell_partial(self, run: Run, text: str) -> None:
        def work(tx: Tx) -> None:
            current = self._mine(tx, run)
            if current.thinking:
                runs.change(tx, current, partial_text=text)
                self._tell(tx, replace(current, partial_text=text), "run.thinking")

        try:
            await self.store.write(work, together=run.workspace_id)
        except Superseded:
            # the one who plans finds out by itself
            return

    async def _propose(self, view: _View, answer: PlanAnswer, call: ToolCall) -> bool:
        tool = view.tools.get(call.tool)
        if tool is None:
            problem: str | None = f"there is no tool called {call.tool[:100]}"
        else:
            problem = await view.tools.problem_of(call.tool, call.args)
        # its digest is over all the arguments, written out
        step = await asyncio.to_thread(self._new_step, view, answer, call, tool)
        if tool is None or problem is not None:
            await self._write(
                view, lambda tx: self._refuse_malformed(tx, view, step, answer, problem or "unknown tool")
            )
            return True
        consulted = await self.governor.consult(
            workspace_id=view.run.workspace_id, session_id=view.run.id, spec=tool.spec, args=call.args
        )

        def work(tx: Tx) -> Step:
            self._check_wanted(tx, view.run)
            self._check_tool(tx, view.run, tool)
            decision = self.governor.decide(
                tx,
                task=view.task,
                run=view.run,
                spec=tool.spec,
                args=call.args,
                consulted=consulted,
                estimate=answer.usage.cost_micros,
            )
            return self._decided(tx, view, step=step, answer=answer, tool=tool, decision=decision)

        try:
            decided = await self._write_step(view, work)
        except CancelRequested:
            await self._end(view, RunState.CANCELLED, code="cancelled", answer=answer)
            return False
        except ToolChanged:
            why = f"{tool.spec.name} was changed while it was being chosen"
            await self.store.write(lambda tx: self._refuse_malformed(tx, view, step, answer, why))
            return True
        if decided.state == StepState.INTENT:
            return await self._act(view, decided, tool)
        return decided.state == StepState.DENIED

    def _new_step(self, view: _View, answer: PlanAnswer, call: ToolCall, tool: Tool | None) -> Step:
        args = dict(call.args)
        return Step(
            id=new_id(),
            workspace_id=view.run.workspace_id,
            run_id=view.run.id,
            task_id=view.task.id,
            seq=view.run.history_steps + len(view.steps) + 1,
            tool=call.tool[:120],
            effect=int(tool.spec.effect) if tool is not None else int(Effect.E3),
            call_id=call.call_id[:120],
            args=args,
            args_hash=digest_of_call(call.tool, args),
            version=1,
            state=StepState.DENIED,
            verdict=None,
            reason_code=None,
            rule_id=None,
            reason=None,
            policy_hash=None,
            decision_receipt_id=None,
            outcome_receipt_id=None,
            approval_id=None,
            output=None,
            output_hash=None,
            error=None,
            model=answer.usage.model,
            tokens_in=answer.usage.tokens_in,
            tokens_out=answer.usage.tokens_out,
            cost_micros=answer.usage.cost_micros,
            created_at=self.now(),
            started_at=None,
            completed_at=None,
        )

    async def _write(self, view: _View, work: Callable[[Tx], T]) -> T:
        return await self.store.write(work, together=view.run.workspace_id)

    async def _write_step(self, view: _View, work: Callable[[Tx], Step]) -> Step:
        try:
            step = await self._write(view, work)
        except Exception as error:
            if is_conflict(error):
                raise Superseded from error
            raise
        return step

    def _refuse_malformed(self, tx: Tx, view: _View, step: Step, answer: PlanAnswer, problem: str) -> None:
        self._mine(tx, view.run)
        decision = Decision(
            verdict=Verdict.DENY,
            reason_code="SCHEMA_VIOLATION",
            rule_id="tool_schema",
            reason=problem,
            policy_hash=self.governor.policy_hash(tx, view.run.workspace_id),
        )
        receipt_id = self._record_decision(tx, view, step, decision)
        now = self.now()
        runs.add_step(
            tx,
            replace(
                step,
                state=StepState.FAILED,
                error=problem,
                decision_receipt_id=receipt_id,
                completed_at=now,
                **_decision_columns(decision),
            ),
        )
        self._count(tx, view.run, step, answer)
        self._tell(tx, view.run, "step.failed", step=step)

    def _decided(self, tx: Tx, view: _View, *, step: Step, answer: PlanAnswer, tool: Tool, decision: Decision) -> Step:
        receipt_id = self._record_decision(tx, view, step, decision)
        now = self.now()
        step = replace(step, decision_receipt_id=receipt_id, **_decision_columns(decision))
        if decision.verdict is Verdict.DENY:
            step = replace(step, state=StepState.DENIED, error=decision.reason, completed_at=now)
            self.governor.violation(tx, view.task, step, decision)
        elif decision.verdict is Verdict.ESCALATE:
            step = replace(step, state=StepState.AWAITING_APPROVAL, approval_id=new_id())
        else:
            step = replace(step, state=StepState.INTENT, started_at=now)
        runs.add_step(tx, step)
        self._count(tx, view.run, step, answer)
        if step.state == StepState.AWAITING_APPROVAL:
            self.approval_requests.ask(tx, task=view.task, run=view.run, step=step, spec=tool.spec, decision=decision)
            self._park(tx, self._mine(tx, view.run), RunState.AWAITING_APPROVAL)
        else:
            if step.state == StepState.INTENT:
                self._intend(tx, step, tool)
            self._tell(tx, view.run, f"step.{step.state}", step=step)
        return step

    def _intend(self, tx: Tx, step: Step, tool: Tool) -> None:
        """The intent row of a call that reaches outside."""
        if tool.spec.effect < Effect.E2:
            return
        now = self.now()
        before = runs.effect_of_step(tx, step.workspace_id, step.id)
        if before is not None:
            runs.change_effect(tx, before.id, state="intent", attempts=before.attempts + 1, finished_at=None)
            return
        runs.add_effect(
            tx,
            EffectRow(
                id=new_id(),
                workspace_id=step.workspace_id,
                run_id=step.run_id,
                step_id=step.id,
                idempotency_key=step.id,
                tool=step.tool,
                state="intent",
                attempts=1,
                created_at=now,
                finished_at=None,
            ),
        )

    def _record_decision(self, tx: Tx, view: _View, step: Step, decision: Decision) -> str:
        heard = self.governor.last_opinion(tx)
        receipt_id = self.recorder.record(
            tx,
            workspace_id=view.run.workspace_id,
            actor=_operator_principal(view),
            action=AuditAction.TOOL_DECIDED,
            target=step.tool,
            verdict=decision.verdict.value.lower(),
            reason=decision.reason or None,
            metadata={"runId": view.run.id, "stepId": step.id, "ruleId": decision.rule_id},
            facts=Facts(
                kind="decision",
                verdict=decision.verdict.value,
                reason_code=decision.reason_code,
                decision_id=step.id,
                effect=step.effect,
                task_id=view.task.id,
                run_id=view.run.id,
                step_id=step.id,
                approval_id=step.approval_id,
                policy_hash=decision.policy_hash,
                args={
                    "tool": step.tool,
                    "input": step.args,
                    "facts": self.governor.last_facts(tx),
                    "step": step_facts(step, reason=decision.reason),
                },
                status="decided",
                metadata={
                    "rule_id": decision.rule_id,
                    "tool": step.tool,
                    "call_digest": step.args_hash,
                    "grant_use": decision.grant_use,
                    **heard.metadata,
                    **view.run.lineage,
                },
                attached=heard.attached,
            ),
        )
        assert receipt_id is not None
        return receipt_id

    # --- act --------------------------------------------------------------------------------------

    async def _carry_out_approved(self, view: _View, step: Step) -> bool:
        """A person said yes to exactly this call; the policy of now may still say no."""
        tool = view.tools.get(step.tool)
        if tool is None:
            await self._settle(view, step, None, failed(f"the tool {step.tool} is gone"))
            return True
        consulted = await self.governor.consult(
            workspace_id=view.run.workspace_id, session_id=view.run.id, spec=tool.spec, args=step.args or {}
        )

        def work(tx: Tx) -> Step:
            self._check_wanted(tx, view.run)
            self._check_tool(tx, view.run, tool)
            approval = self.approval_requests.of_step(tx, step)
            if approval is not None and approval.action_hash != digest_of_call(step.tool, step.args or {}):
                decision = Decision(
                    verdict=Verdict.DENY,
                    reason_code="TAINTED_APPROVAL",
                    rule_id="approval_digest",
                    reason="what would run is not what was approved",
                    policy_hash=self.governor.policy_hash(tx, view.run.workspace_id),
                )
            elif refused := refusal_of_step(self.recorder.ledger, tx, step):
                return self._refuse_altered(tx, view, step, refused)
            else:
                decision = self.governor.decide(
                    tx,
                    task=view.task,
                    run=view.run,
                    spec=tool.spec,
                    args=step.args or {},
                    consulted=consulted,
                    approved_by=approval,
                )
            receipt_id = self._record_decision(tx, view, step, decision)
            now = self.now()
            if decision.verdict is Verdict.ESCALATE:
                # what allowed the call the first time is spent or gone
                moved = replace(
                    step,
                    state=StepState.AWAITING_APPROVAL,
                    error=None,
                    approval_id=new_id(),
                    **_decision_columns(decision),
                )
            elif decision.verdict is Verdict.DENY:
                moved = replace(
                    step, state=StepState.DENIED, error=decision.reason, completed_at=now, **_decision_columns(decision)
                )
                self.governor.violation(tx, view.task, moved, decision)
            else:
                moved = replace(step, state=StepState.INTENT, started_at=now, **_decision_columns(decision))
                self._intend(tx, moved, tool)
            runs.change_step(
                tx,
                step.workspace_id,
                step.id,
                expected=StepState.APPROVED,
                state=str(moved.state),
                started_at=moved.started_at,
                completed_at=moved.completed_at,
                error=moved.error,
                approval_id=moved.approval_id,
                decision_receipt_id=receipt_id,
                **_decision_columns(decision),
            )
            if moved.state == StepState.AWAITING_APPROVAL:
                self.approval_requests.ask(
                    tx, task=view.task, run=view.run, step=moved, spec=tool.spec, decision=decision
                )
                self._park(tx, self._mine(tx, view.run), RunState.AWAITING_APPROVAL)
            else:
                self._tell(tx, view.run, f"step.{moved.state}", step=moved)
            return moved

        moved = await self._write_step(view, work)
        if moved.state == StepState.INTENT:
            return await self._act(view, moved, tool)
        if moved.rule_id == INTEGRITY_RULE:
            return await self._stop_altered(view, moved)
        return moved.state == StepState.DENIED

    def _refuse_altered(self, tx: Tx, view: _View, step: Step, why: str) -> Step:
        """The store lets a call be made, and the log does not: it is refused, with receipt and violation."""
        decision = Decision(
            verdict=Verdict.DENY,
            reason_code="TAINTED_APPROVAL",
            rule_id=INTEGRITY_RULE,
            reason=why,
            policy_hash=self.governor.policy_hash(tx, view.run.workspace_id),
        )
        receipt_id = self._record_decision(tx, view, step, decision)
        moved = replace(step, state=StepState.DENIED, error=why, completed_at=self.now(), **_decision_columns(decision))
        self.governor.violation(tx, view.task, moved, decision)
        runs.change_step(
            tx,
            step.workspace_id,
            step.id,
            expected=step.state,
            state=StepState.DENIED.value,
            error=why,
            completed_at=moved.completed_at,
            decision_receipt_id=receipt_id,
            **_decision_columns(decision),
        )
        self._tell(tx, view.run, "step.denied", step=moved)
        return moved

    async def _stop_altered(self, view: _View, step: Step) -> bool:
        """A run whose rows were altered is not gone on with."""
        await self._end(view, RunState.FAILED, error=f"{step.tool}: {step.error}", code=INTEGRITY_RULE)
        return False

    async def _recover(self, view: _View, step: Step) -> bool:
        """An intent without an outcome: the process died, or was replaced, while the call may have been under way."""
        refused = await self.store.read(lambda tx: refusal_of_step(self.recorder.ledger, tx, step))
        if refused:
            moved = await self._write_step(view, lambda tx: self._refuse_begun(tx, view, step, refused))
            return await self._stop_altered(view, moved)
        tool = view.tools.get(step.tool)
        if tool is None:
            # nobody can say any more what repeating it would do
            return await self._not_repeated(view, step, f"the tool {step.tool} is gone")
        spec = tool.spec
        # a run that waited for another one only hears what came of it
        if not isinstance(tool, BeginsRuns):
            against = await self.store.read(
                lambda tx: self.governor.against_repeating(
                    tx, task=view.task, run=view.run, spec=spec, args=step.args or {}
                )
            )
            if against is not None:
                return await self._not_repeated(view, step, against.reason)
        if spec.effect < Effect.E2 or spec.idempotent:
            return await self._act(view, step, tool)
        if spec.lookup:
            found = await tool.look_up(self._context(view, step), step.args or {})
            if found is None:
                return await self._act(view, step, tool)
            return await self._settle(view, step, tool, found)
        await self._ask_uncertain(view, step)
        return False

    def _refuse_begun(self, tx: Tx, view: _View, step: Step, why: str) -> Step:
        self._mine(tx, view.run)
        return self._refuse_altered(tx, view, step, why)

    async def _not_repeated(self, view: _View, step: Step, why: str) -> bool:
        """An interrupted call that must not be made again: a failure where it is harmless, else a question."""
        if step.effect < Effect.E2:
            return await self._settle(view, step, None, failed(why))
        await self._ask_uncertain(view, step, why=why)
        return False

    def _context(self, view: _View, step: Step) -> ToolContext:
        return ToolContext(
            workspace_id=step.workspace_id,
            task_id=step.task_id,
            run_id=step.run_id,
            step_id=step.id,
            user_id=view.run.started_by,
            idempotency_key=step.id,
        )

    async def _act(self, view: _View, step: Step, tool: Tool) -> bool:
        """Make the call. An outside failure that may have happened after all is never taken for a plain failure."""
        if isinstance(tool, BeginsRuns):
            return await self._act_by_run(view, step, tool)
        try:
            async with asyncio.timeout(TOOL_SECONDS):
                outcome = await tool.run(self._context(view, step), step.args or {})
        except (OutsideError, TimeoutError) as error:
            harmless = tool.spec.effect < Effect.E2
            if isinstance(error, OutsideError) and not error.sent:
                outcome = failed(f"{step.tool}: {error}")
            elif harmless:
                outcome = failed(f"{step.tool}: {error or 'timed out'}")
            elif tool.spec.idempotent and _may_help(error) and view.run.attempts + 1 < MAX_TRIES:
                raise
            else:
                await self._ask_uncertain(view, step, why=str(error) or "timed out")
                return False
        except PilotError as error:
            outcome = failed(str(error))
        return await self._settle(view, step, tool, outcome)

    async def _act_by_run(self, view: _View, step: Step, tool: BeginsRuns) -> bool:
        """Begin the other run and park, in one transaction; called again when that run has ended."""

        def work(tx: Tx) -> Outcome | None:
            run = self._mine(tx, view.run)
            outcome = tool.begin(tx, run, view.task, runs.get_step(tx, step.workspace_id, step.id))
            if outcome is None:
                self._park(tx, run, RunState.WAITING, why=WAITS)
            return outcome

        try:
            outcome = await self.store.write(work)
        except PilotError as error:
            outcome = failed(str(error))
        return False if outcome is None else await self._settle(view, step, None, outcome)

    async def _settle(self, view: _View, step: Step, tool: Tool | None, outcome: Outcome) -> bool:
        """Record what came of the call; False when the run parks or ends with it."""

        def work(tx: Tx) -> bool:
            run = self._mine(tx, view.run)
            now = self.now()
            ok = outcome.status is OutcomeStatus.DONE
            state = StepState.DONE if ok else StepState.FAILED
            receipt_id = self.recorder.record(
                tx,
                workspace_id=run.workspace_id,
                actor=_operator_principal(view),
                action=AuditAction.TOOL_EXECUTED,
                target=step.tool,
                verdict="allow" if ok else "error",
                reason=outcome.error[:500] or None,
                metadata={"runId": run.id, "stepId": step.id},
                facts=Facts(
                    kind="outcome",
                    decision_id=step.id,
                    effect=step.effect,
                    task_id=run.task_id,
                    run_id=run.id,
                    step_id=step.id,
                    approval_id=step.approval_id,
                    policy_hash=step.policy_hash or "",
                    output={"status": outcome.status.value, "output": outcome.output, "error": outcome.error},
                    status=state.value,
                    metadata={
                        "tool": step.tool,
                        "decision_receipt": step.decision_receipt_id or "",
                        **run.lineage,
                    },
                ),
            )
            if not runs.change_step(
                tx,
                step.workspace_id,
                step.id,
                expected=step.state,
                state=state.value,
                output=outcome.output,
                error=outcome.error[:TEXT_CAP] or None,
                completed_at=now,
                outcome_receipt_id=receipt_id,
            ):
                raise Superseded
            effect = runs.effect_of_step(tx, step.workspace_id, step.id)
            if effect is not None:
                runs.change_effect(tx, effect.id, state="done" if ok else "failed", finished_at=now)
            settled = replace(step, state=state, output=outcome.output, error=outcome.error or None)
            self._tell(tx, run, f"step.{state}", step=settled)
            if outcome.finish:
                self._finish(tx, run, RunState.COMPLETED, summary=str((outcome.output or {}).get("summary", "")))
                return False
            if outcome.park_until is not None:
                self._park(tx, run, RunState.WAITING, wake_at=datetime.fromisoformat(outcome.park_until))
                return False
            return True

        del tool
        return await self._write(view, work)

    async def _ask_uncertain(self, view: _View, step: Step, *, why: str = "the process was interrupted") -> None:
        def work(tx: Tx) -> None:
            run = self._mine(tx, view.run)
            runs.change_step(
                tx,
                step.workspace_id,
                step.id,
                expected=StepState.INTENT,
                state=StepState.UNCERTAIN.value,
                error=f"interrupted while the call was under way: {why}",
            )
            effect = runs.effect_of_step(tx, step.workspace_id, step.id)
            if effect is not None:
                runs.change_effect(tx, effect.id, state="uncertain")
            self.recorder.record(
                tx,
                workspace_id=run.workspace_id,
                actor="system",
                action=AuditAction.RUN_INTERRUPTED,
                target=step.tool,
                verdict="error",
                reason=why,
                metadata={"runId": run.id, "stepId": step.id},
                facts=Facts(
                    kind="outcome",
                    decision_id=step.id,
                    effect=step.effect,
                    task_id=run.task_id,
                    run_id=run.id,
                    step_id=step.id,
                    approval_id=step.approval_id,
                    status="uncertain",
                    args={"why": why},
                    metadata=run.lineage,
                ),
            )
            if self._park(tx, run, RunState.UNCERTAIN):
                self.notices.run_uncertain(tx, run, step_id=step.id, attempt=0 if effect is None else effect.attempts)

        await self._write(view, work)

    # --- moves ------------------------------------------------------------------------------------

    def _mine(self, tx: Tx, run: Run) -> Run:
        """The run as it is now, while this segment owns it."""
        self.recorder.serialize(tx, run.workspace_id)
        current = runs.by_id(tx, run.id, lock=True)
        if current is None or current.epoch != run.epoch or current.ended:
            raise Superseded
        return current

    def _check_wanted(self, tx: Tx, run: Run) -> None:
        """CancelRequested when somebody has cancelled the run: to be asked before anything new begins."""
        if self._mine(tx, run).cancel_requested:
            raise CancelRequested

    def _check_tool(self, tx: Tx, run: Run, tool: Tool) -> None:
        """ToolChanged when the workspace's tool is not the one that was chosen: it is then thought of anew."""
        if not self.toolbox.is_as_seen(tx, run.workspace_id, tool):
            raise ToolChanged

    def _count(self, tx: Tx, run: Run, step: Step, answer: PlanAnswer) -> None:
        """One more iteration, with what the model cost, and the planner's memory up to this answer."""
        runs.change(
            tx,
            run,
            iterations_used=run.iterations_used + 1,
            attempts=0,
            history=answer.history,
            history_steps=step.seq - 1,
            updated_at=self.now(),
            **self._spend(tx, run, answer.usage),
        )

    def _spend(self, tx: Tx, run: Run, usage: Usage) -> dict[str, Any]:
        """Enter what a model cost; the run's own columns with it, for the caller to set."""
        if usage.tokens_in or usage.cost_micros:
            task = tasks.get(tx, run.workspace_id, run.task_id, deleted=True)
            runs.add_spend(
                tx,
                workspace_id=run.workspace_id,
                day=self.now().date().isoformat(),
                operator_id=task.operator_id,
                task_id=task.id,
                model=usage.model,
                spent={name: getattr(usage, name) for name in runs.MEASURES},
            )
        if usage.installation_micros:
            installation_spend.enter(tx, day=self.now().date().isoformat(), micros=usage.installation_micros)
        return {
            "model": usage.model or run.model,
            "tokens_in": run.tokens_in + usage.tokens_in,
            "tokens_out": run.tokens_out + usage.tokens_out,
            "cost_micros": run.cost_micros + usage.cost_micros,
            **_DONE_THINKING,
        }

    def _paid(self, tx: Tx, run: Run, usage: Usage, **more: Any) -> Run:
        """The run with what a model cost entered."""
        values = {**more, **self._spend(tx, run, usage)}
        runs.change(tx, run, **values)
        return replace(run, **values)

    def _park(
        self, tx: Tx, run: Run, state: RunState, *, wake_at: datetime | None = None, why: str | None = None
    ) -> bool:
        """Park the run, or end it when it was cancelled while it was at work; whether it is parked."""
        assert state in RUN_PARKED
        if run.cancel_requested:
            self._finish(tx, run, RunState.CANCELLED, error=run.error, error_code="cancelled")
            return False
        parked = replace(run, state=state, wake_at=wake_at)
        if not runs.change(
            tx, run, state=state.value, wake_at=wake_at, wait_reason=why or state.value, updated_at=self.now()
        ):
            raise Superseded
        self._set_task(tx, parked)
        self._tell(tx, parked, f"run.{state.value}")
        return True

    async def _end(
        self,
        view: _View,
        state: RunState,
        *,
        summary: str | None = None,
        error: str | None = None,
        code: str = "",
        answer: PlanAnswer | None = None,
    ) -> None:
        def work(tx: Tx) -> None:
            run = self._mine(tx, view.run)
            learned: dict[str, Any] = {}
            if answer is not None:
                learned = {"history": answer.history, **self._spend(tx, run, answer.usage)}
            # whoever cancelled left the reason on the run
            why = run.error if state is RunState.CANCELLED else error
            self._finish(tx, run, state, summary=summary, error=why, error_code=code, learned=learned)

        await self._write(view, work)

    def _finish(
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
        check_run_move(run.state, state)
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
            **_DONE_THINKING,
        }
        ended = replace(run, state=state, **changed)
        if not runs.change(tx, run, state=state.value, cancel_requested=False, **changed):
            raise Superseded
        self._close_open_steps(tx, ended)
        self._set_task(tx, ended)
        self.recorder.record(
            tx,
            workspace_id=run.workspace_id,
            actor=principal,
            action=AuditAction.RUN_FINISHED,
            target=run.task_id,
            verdict="allow" if state is RunState.COMPLETED else "error",
            reason=error,
            metadata={"runId": run.id, "state": state.value, "costMicros": ended.cost_micros},
            facts=Facts(
                kind="outcome",
                task_id=run.task_id,
                run_id=run.id,
                output=end_facts(ended),
                status=state.value,
                metadata={"iterations": ended.iterations_used, "cost_micros": ended.cost_micros, **run.lineage},
            ),
        )
        self._tell(tx, ended, f"run.{state.value}")
        if ended.parent_run_id is None:
            self.notices.run_ended(tx, ended)
        else:
            self._wake_parent(tx, ended)
        return ended

    def _wake_parent(self, tx: Tx, child: Run) -> None:
        """What a sub-run used counts as its parent's, which goes on if it waits for it."""
        parent = runs.get(tx, child.workspace_id, child.parent_run_id or "", lock=True)
        runs.change(
            tx,
            parent,
            iterations_used=parent.iterations_used + child.iterations_used,
            cost_micros=parent.cost_micros + child.cost_micros,
        )
        if parent.state == RunState.WAITING and parent.wait_reason == WAITS:
            self.resume(tx, parent)

    def _close_open_steps(self, tx: Tx, run: Run) -> None:
        for step in runs.open_steps_of(tx, run.workspace_id, run.id):
            runs.change_step(tx, run.workspace_id, step.id, state=StepState.CANCELLED.value, completed_at=self.now())
            self.approval_requests.withdraw(tx, step)
            self._cancel_child(tx, step)
            if step.state == StepState.UNCERTAIN:
                self.notices.uncertain_settled(tx, workspace_id=run.workspace_id, step_id=step.id)

    def _cancel_child(self, tx: Tx, step: Step) -> None:
        """Whatever the ended run waited for has nobody to work for any more."""
        if step.child_run_id is None:
            return
        child = runs.get(tx, step.workspace_id, step.child_run_id, lock=True)
        if not child.ended:
            self.cancel_in(tx, child, principal="system", reason="the run it works for has ended")

    async def _trouble(self, run_id: str, segment: int, error: Exception) -> None:
        """A segment failed: try again later, and after the last try end as failed, visible and re-runnable."""
        delay = error.retry_after if isinstance(error, OutsideError) else None
        # what nobody signed is not acted on, and does not become signed by waiting
        lasting = isinstance(error, Altered) or (isinstance(error, OutsideError) and not error.retryable)
        code = INTEGRITY_RULE if isinstance(error, Altered) else "dead_letter"
        text = str(error)[:500] if isinstance(error, OutsideError | PilotError) else type(error).__name__

        def work(tx: Tx) -> None:
            seen = runs.by_id(tx, run_id)
            if seen is None:
                return
            self.recorder.serialize(tx, seen.workspace_id)
            run = runs.by_id(tx, run_id, lock=True)
            # queued still, when it was the claim that failed and was undone
            if run is None or run.segment != segment or run.state not in (RunState.QUEUED, RunState.RUNNING):
                return
            run = self._paid(tx, run, error.usage if isinstance(error, PaidForNothing) else Usage())
            if lasting or run.attempts + 1 >= MAX_TRIES:
                self._finish(tx, run, RunState.FAILED, error=text, error_code=code)
                return
            pause = min(LONGEST_PAUSE, delay if delay is not None else 2.0 ** (run.attempts + 1))
            runs.change(tx, run, attempts=run.attempts + 1, error=text)
            self._park(tx, run, RunState.WAITING, wake_at=self.now() + timedelta(seconds=pause))

        await self.store.write(work)

    def _enqueue(self, tx: Tx, run: Run) -> None:
        self.engine.enqueue(
            tx, run_id=run.id, segment=run.segment, workspace_id=run.workspace_id, priority=run.priority
        )

    def _set_task(self, tx: Tx, run: Run) -> None:
        now = self.now()
        tasks.change(
            tx,
            run.workspace_id,
            run.task_id,
            status=TASK_STATUS_OF[RunState(run.state)].value,
            updated_at=now,
            completed_at=now if run.state == RunState.COMPLETED else None,
        )
        self.recorder.event(
            tx,
            workspace_id=run.workspace_id,
            kind="task.updated",
            ref=run.task_id,
            payload={"status": TASK_STATUS_OF[RunState(run.state)].value},
        )

    def _tell(self, tx: Tx, run: Run, kind: str, *, step: Step | None = None) -> None:
        payload: dict[str, Any] = {"taskId": run.task_id, "runId": run.id, "state": str(run.state)}
        if kind == "run.thinking" and run.partial_text:
            payload["partialText"] = run.partial_text
        if step is not None:
            payload |= {"stepId": step.id, "seq": step.seq, "tool": step.tool, "stepState": str(step.state)}
        self.recorder.event(tx, workspace_id=run.workspace_id, kind=kind, ref=run.id, payload=payload)
        if not kind.startswith("run.") or kind in (
            "run.started",
            "run.thinking",
            "run.awaiting_approval",
            "run.waiting",
            "run.uncertain",
        ):
            self.notices.run_progressed(tx, run)


_DONE_THINKING: dict[str, Any] = {
    "reserved_micros": 0,
    "reserved_installation_micros": 0,
    "wait_reason": None,
    "partial_text": None,
}
_PARKED_BY = {
    StepState.AWAITING_APPROVAL: RunState.AWAITING_APPROVAL,
    StepState.UNCERTAIN: RunState.UNCERTAIN,
}


def _may_help(error: OutsideError | TimeoutError) -> bool:
    """Whether repeating could help: a call that took too long may be quicker next time."""
    return isinstance(error, TimeoutError) or error.retryable


def _decision_columns(decision: Decision) -> dict[str, Any]:
    return {
        "verdict": decision.verdict.value,
        "reason_code": decision.reason_code,
        "rule_id": decision.rule_id,
        "reason": decision.reason,
        "policy_hash": decision.policy_hash,
    }


def _operator_principal(view: _View) -> str:
    return f"operator:{view.task.operator_id or 'system'}"


def _result(step: Step) -> dict[str, Any]:
    """What a planner hears of a call it made: `ok`, the output, and why not when not."""
    return {
        "seq": step.seq,
        "callId": step.call_id,
        "tool": step.tool,
        "args": step.args,
        "state": str(step.state),
        "ok": step.state == StepState.DONE,
        "output": step.output,
        "error": step.error,
    }
