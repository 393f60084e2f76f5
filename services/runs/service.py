"""What people do with runs, and what looks after those that nobody works on."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from domain.clock import Now
from domain.errors import Conflict
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.runs.run import Run, Step, UncertainChoice
from services.ledger.recorder import Recorder
from services.ledger.records import Records
from services.lifecycle.container import Lifecycle
from services.lifecycle.requests import redact_args
from services.lifecycle.runs import waits_for_segment
from services.runs.segment import Segments
from services.tools.registry import ToolRegistry
from storage.database import Store
from storage.ledger import receipt_rows
from storage.runs import run_rows, task_rows
from storage.runs.engine import JobEngine
from storage.transaction import Tx

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunService:
    """Starts, wakes, cancels and shows runs."""

    store: Store
    engine: JobEngine
    tool_registry: ToolRegistry
    lifecycle: Lifecycle
    segments: Segments
    recorder: Recorder
    now: Now

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
            task = task_rows.get(tx, workspace_id, task_id, lock=True)
            return self.lifecycle.runs.begin(
                tx,
                task,
                started_by=actor.user_id,
                principal=actor.principal,
                context=context,
                iteration_budget=iteration_budget,
                origin=origin or {"channel": actor.channel.value},
            )

        return await self.store.workspace(workspace_id).write(work)

    async def cancel(self, actor: Actor, task_id: str) -> Run | None:
        """Cancel the task's run, if one is under way; it takes effect before the run's next step."""
        require(actor, Action.TASK_CANCEL)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Run | None:
            task_rows.get(tx, workspace_id, task_id, lock=True)
            active = run_rows.active_of_task(tx, workspace_id, task_id)
            return None if active is None else self.lifecycle.runs.cancel(tx, active, principal=actor.principal)

        return await self.store.workspace(workspace_id).write(work)

    async def settle_uncertain(
        self, actor: Actor, run_id: str, step_id: str, choice: UncertainChoice, *, via: str
    ) -> Step:
        """A person says what became of a call that was interrupted; Conflict when that was said already."""
        require(actor, Action.RUN_SETTLE)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Step:
            run = run_rows.get(tx, workspace_id, run_id, lock=True)
            step = run_rows.get_step(tx, workspace_id, step_id)
            if step.run_id != run.id:
                raise Conflict("this step is another run's, nothing is to be said of it here", code="not_uncertain")
            self.lifecycle.steps.resolve(tx, actor, run=run, step=step, choice=choice, via=via)
            return self._shown_step(run_rows.get_step(tx, workspace_id, step_id))

        return await self.store.workspace(workspace_id).write(work)

    # --- reading ----------------------------------------------------------------------------------

    async def of_task(self, actor: Actor, task_id: str, *, limit: int = 100) -> Sequence[Run]:
        """Runs of a task, newest first."""
        require(actor, Action.TASK_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Sequence[Run]:
            task_rows.get(tx, workspace_id, task_id)
            return [run for run, _ in self._all_proved(tx, workspace_id, task_id, limit=limit)]

        return await self.store.read(work)

    async def get(self, actor: Actor, run_id: str) -> tuple[Run, Sequence[Step]]:
        """A run with its steps, without the arguments their tools declare secret."""
        require(actor, Action.TASK_READ)
        workspace_id = actor.in_workspace
        return await self.store.read(
            lambda tx: self._proved(
                tx, run_rows.get(tx, workspace_id, run_id), run_rows.steps_of(tx, workspace_id, run_id)
            )
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
        return await self.store.read(lambda tx: [run_rows.get(tx, run.workspace_id, one) for one in wanted])

    async def steps_of_task(self, actor: Actor, task_id: str) -> Sequence[tuple[Run, Sequence[Step]]]:
        """Every run of a task with its steps, newest run first; secret arguments are hidden."""
        require(actor, Action.TASK_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Sequence[tuple[Run, Sequence[Step]]]:
            task_rows.get(tx, workspace_id, task_id)
            return self._all_proved(tx, workspace_id, task_id)

        return await self.store.read(work)

    def _all_proved(
        self, tx: Tx, workspace_id: str, task_id: str, *, limit: int = 100
    ) -> Sequence[tuple[Run, Sequence[Step]]]:
        """The newest runs of a task with their steps, as `_proved` gives one."""
        records = Records(self.recorder.ledger, tx, workspace_id)
        said = records.of_task(task_id)
        records.note_gone(receipt_rows.of_task(tx, workspace_id, task_id))
        found = run_rows.of_task(tx, workspace_id, task_id, limit=limit)
        steps = {run.id: run_rows.steps_of(tx, workspace_id, run.id) for run in found}
        proved = records.runs(found, said, steps=[one for some in steps.values() for one in some])
        return [(run, self._shown(records.steps(steps[run.id], said))) for run in proved]

    async def workspace_of(self, run_id: str) -> str | None:
        """Where a run belongs; what its reader may see is decided there."""
        found = await self.store.read(lambda tx: run_rows.by_id(tx, run_id))
        return None if found is None else found.workspace_id

    def _shown(self, steps: Sequence[Step]) -> Sequence[Step]:
        return [self._shown_step(step) for step in steps]

    def _shown_step(self, step: Step) -> Step:
        tool = self.tool_registry.get(step.tool)
        return step if tool is None else replace(step, args=redact_args(step.args, tool.spec.redactions))

    # --- working ----------------------------------------------------------------------------------

    async def advance(self, run_id: str, segment: int, workspace_id: str | None = None) -> None:
        """Work on a segment of a run, for the engine."""
        await self.segments.advance(run_id, segment, workspace_id)

    async def sweep_due(self, *, limit: int = 100) -> int:
        """Queue waiting runs whose time has come, end those past their deadline; how many.

        Each in a transaction of its own, in the order in which everything else takes its locks; what cannot be
        swept does not hold up the others.
        """
        now = self.now()
        found = await self.store.read(
            lambda tx: [*run_rows.due(tx, now=now, limit=limit), *run_rows.past_deadline(tx, now=now, limit=limit)]
        )
        swept = 0
        for run in found:
            try:
                swept += await self.store.workspace(run.workspace_id).write(partial(self._sweep, seen=run, now=now))
            except Exception:
                log.exception("run_not_swept", extra={"run": run.id})
        return swept

    def _sweep(self, tx: Tx, *, seen: Run, now: datetime) -> bool:
        """Whether it was queued, or ended: another process may have done it meanwhile."""
        run = run_rows.get(tx, seen.workspace_id, seen.id, lock=True)
        if run.is_late(now):
            self.lifecycle.runs.cancel(tx, run, principal="system", reason="the deadline has passed")
            return True
        if run.is_due(now):
            self.lifecycle.runs.resume(tx, run)
            return True
        return False

    async def sweep_lost(self, *, quiet: timedelta = timedelta(minutes=2)) -> int:
        """Requeue runs that should be worked on but that the engine has no live segment for; how many.

        This cannot happen while queueing shares the transaction; it repairs a store that was
        restored from a backup, or an engine table that was lost.
        """
        stale = await self.store.read(lambda tx: run_rows.queued_since(tx, before=self.now() - quiet, limit=200))
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
                run = run_rows.by_id(tx, seen.id, lock=True)
                if run is None or run.epoch != seen.epoch or not waits_for_segment(run, seen.segment):
                    continue
                self.lifecycle.runs.requeue(tx, run)
                count += 1
            return count

        return await self.store.write(work) if lost else 0
