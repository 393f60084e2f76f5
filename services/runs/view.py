"""What one turn of a segment works on, read on one snapshot."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from domain.backoff import Backoff
from domain.runs.delegation import narrowed
from domain.runs.run import Run, RunState, Step
from domain.runs.task import Task
from domain.tools.tool import ToolContext
from services.lifecycle.moves import Superseded
from services.policy.budgets import Allowance, OverBudget
from services.policy.service import PolicyService
from services.tools.registry import ToolRegistry, Tools
from storage.database import Store
from storage.runs import run_rows, task_rows
from storage.tools import operator_rows
from storage.transaction import Tx

T = TypeVar("T")

# tries of one segment
BACKOFF = Backoff(first=2.0, longest=3600.0, tries=6)


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
    tool_registry: ToolRegistry
    policy_service: PolicyService

    def again(self, tx: Tx, run: Run) -> View:
        """The run as it is now; Superseded when the segment that read it does not own it any more."""
        current = run_rows.get(tx, run.workspace_id, run.id)
        if current.epoch != run.epoch or current.state is not RunState.RUNNING:
            raise Superseded("the run has moved on")
        return self.of(tx, current)

    def of(self, tx: Tx, run: Run) -> View:
        """A run with what it works with now."""
        task = task_rows.get(tx, run.workspace_id, run.task_id, deleted=True)
        operator = operator_rows.facts(tx, run.workspace_id, task.operator_id)
        steps = run_rows.steps_of(tx, run.workspace_id, run.id, after=run.history_steps)
        return View(
            run=run,
            task=task,
            steps=steps,
            operator={**operator, "tools": narrowed(operator["tools"], run.bounds)},
            tools=self.tool_registry.within(tx, run.workspace_id),
            unpriced=self.policy_service.budgets.before_model_call(tx, task, run)
            if all(s.ended for s in steps)
            else None,
        )

    async def write(self, view: View, work: Callable[[Tx], T]) -> T:
        """Write about the run of a view, together with others of its workspace."""
        return await self.store.workspace(view.run.workspace_id).write(work)
