"""What one turn of a segment works on, read on one snapshot."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from domain.delegation import narrowed
from domain.runs import Run, RunState, Step
from domain.tasks import Task
from domain.tools import ToolContext
from services.budgets import Allowance, OverBudget
from services.governor import Governor
from services.lifecycle.moves import Superseded
from services.toolbox import Toolbox, Tools
from storage import operators, runs, tasks
from storage.database import Store, Tx

T = TypeVar("T")

MAX_TRIES = 6


@dataclass(frozen=True, slots=True)
class View:
    """A run with what it works with. `steps`: those the planner has not heard of yet.

    `unpriced` is what the budgets say of a planner that costs nothing; None while a step is open.
    """

    run: Run
    task: Task
    steps: Sequence[Step]
    operator: Mapping[str, Any]
    tools: Tools
    unpriced: Allowance | OverBudget | None

    @property
    def open_step(self) -> Step | None:
        """The step that has begun and not ended; there is one at most."""
        return next((s for s in self.steps if not s.ended), None)

    def context(self, step: Step) -> ToolContext:
        """For whom and for which step a tool is called."""
        return ToolContext(
            workspace_id=step.workspace_id,
            task_id=step.task_id,
            run_id=step.run_id,
            step_id=step.id,
            user_id=self.run.started_by,
            idempotency_key=step.id,
        )


@dataclass(frozen=True, slots=True)
class Views:
    """Reads views, and writes what was found out about them."""

    store: Store
    toolbox: Toolbox
    governor: Governor

    def again(self, tx: Tx, run: Run) -> View:
        """The run as it is now; Superseded when the segment that read it does not own it any more."""
        current = runs.get(tx, run.workspace_id, run.id)
        if current.epoch != run.epoch or current.state is not RunState.RUNNING:
            raise Superseded("the run has moved on")
        return self.of(tx, current)

    def of(self, tx: Tx, run: Run) -> View:
        """A run with what it works with now."""
        task = tasks.get(tx, run.workspace_id, run.task_id, deleted=True)
        operator = operators.facts(tx, run.workspace_id, task.operator_id)
        steps = runs.steps_of(tx, run.workspace_id, run.id, after=run.history_steps)
        return View(
            run=run,
            task=task,
            steps=steps,
            operator={**operator, "tools": narrowed(operator["tools"], run.bounds)},
            tools=self.toolbox.within(tx, run.workspace_id),
            unpriced=self.governor.budgets.before_model_call(tx, task, run) if all(s.ended for s in steps) else None,
        )

    async def write(self, view: View, work: Callable[[Tx], T]) -> T:
        """Write about the run of a view, together with others of its workspace."""
        return await self.store.write(work, together=view.run.workspace_id)
