"""`operator.delegate`: an operator has another one do a part of its work, with a slice of its own budget."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.playbooks.parsing import parse
from domain.runs.delegation import DELEGATE, FLOOR_MICROS, MAX_CHILDREN, MAX_DEPTH, narrowed, share, unknown
from domain.runs.run import Run, RunState, Step
from domain.runs.task import Mode, Task
from domain.tools.effect import Effect
from domain.tools.operator import Operator
from domain.tools.tool import Outcome, ToolContext, ToolSpec
from domain.untrusted import clean_and_cap
from services.lifecycle.container import Lifecycle
from services.policy.service import PolicyService
from services.runs.tasks import NewTask, TaskService
from services.tools.registry import ToolRegistry, done, failed, object_schema, text_schema
from storage.runs import run_rows
from storage.tools import operator_rows
from storage.transaction import Tx

SUMMARY_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class _Slice:
    operator: Operator
    iterations: int


@dataclass(frozen=True, slots=True)
class Delegate:
    """A sub-task is a task of ours with a run that knows its parent; the run that asked waits for it as a row."""

    tasks: TaskService
    lifecycle: Lifecycle
    tool_registry: ToolRegistry
    policy_service: PolicyService

    spec = ToolSpec(
        name=DELEGATE,
        summary=(
            "Have another operator of this workspace do a part of the work, and wait for its result. It may use no "
            "more than you may, and spends a slice of your budget."
        ),
        parameters=object_schema(
            ("operator", "goal"),
            operator=text_schema("Name or id of the operator", max_length=200),
            goal=text_schema("What is to be done: a text, or a playbook", max_length=10_000),
            title=text_schema("Title of the sub-task", max_length=500),
            tools={
                "type": "array",
                "items": {"type": "string", "maxLength": 120},
                "minItems": 1,
                "maxItems": 50,
                "description": "The only tools it may use; all of yours and its own where left out",
            },
            budget_usd={"type": "number", "exclusiveMinimum": 0, "maximum": 100_000},
            iterations={"type": "integer", "minimum": 1, "maximum": 1000},
        ),
        effect=Effect.E2,
        idempotent=True,
    )

    async def run(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        """Only a run can wait for another."""
        del context, args
        return failed("a sub-task is begun by a run, which waits for it")

    async def find_outcome(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome | None:
        """What was begun is found by `begin`."""
        del context, args
        return None

    def begin(self, tx: Tx, run: Run, task: Task, step: Step) -> Outcome | None:
        """Begin the sub-task of this step once; its outcome when it has ended, None while it has not."""
        child = _child_of(tx, step)
        if child is not None:
            return _outcome(child) if child.ended else None
        args = step.args or {}
        refusal = self._refusal(tx, run)
        if refusal is not None:
            return failed(refusal)
        operator = _operator(tx, run.workspace_id, str(args["operator"]))
        if operator is None:
            return failed("operator: there is no active operator of that name here")
        specs = self.tool_registry.within(tx, run.workspace_id).specs
        stranger = unknown(args.get("tools", ()), specs)
        if stranger is not None:
            return failed(f"tools: there is no tool called {stranger}")
        # a playbook that cannot run is refused here, where its author hears of it
        parse(args["goal"], specs)
        wanted = args.get("budget_usd")
        micros = share(None if wanted is None else round(wanted * 1e6), self.policy_service.budgets.left(tx, task, run))
        if micros < FLOOR_MICROS:
            return failed(f"the budget that is left is too small to hand on: {micros / 1e6:.4f} USD")
        iterations = share(args.get("iterations"), run.iteration_budget - run.iterations_used)
        if iterations < 1:
            return failed("no steps are left to hand on")
        made = self._task(tx, run, task, step, _Slice(operator, iterations))
        own = operator_rows.facts(tx, run.workspace_id, task.operator_id)["tools"]
        bounds = narrowed(narrowed(own, run.bounds), args.get("tools"))
        child = self.lifecycle.runs.begin(
            tx,
            made,
            started_by=run.started_by,
            principal=f"run:{run.id}",
            iteration_budget=iterations,
            origin={"channel": "operator", "stepId": step.id, **({"tools": list(bounds)} if bounds else {})},
            parent=run,
            budget_micros=micros,
        )
        run_rows.change_step(tx, step, output={"taskId": made.id, "runId": child.id})
        return None

    def _refusal(self, tx: Tx, run: Run) -> str | None:
        """Why this run may begin no further sub-task."""
        depth, above = 0, run
        while above.parent_run_id is not None and depth < MAX_DEPTH:
            depth, above = depth + 1, run_rows.get(tx, run.workspace_id, above.parent_run_id)
        if depth >= MAX_DEPTH:
            return f"sub-tasks are nested at most {MAX_DEPTH} deep"
        begun = sum(1 for one in run_rows.steps_of(tx, run.workspace_id, run.id) if one.child_run_id)
        return f"a run begins at most {MAX_CHILDREN} sub-tasks" if begun >= MAX_CHILDREN else None

    def _task(self, tx: Tx, run: Run, task: Task, step: Step, part: _Slice) -> Task:
        args = step.args or {}
        title = args.get("title") or args["goal"].strip().partition("\n")[0][:100] or task.title
        made = self.tasks.create_in(
            tx,
            run.workspace_id,
            NewTask(
                title=title,
                description=args["goal"],
                # what a narrower task hands on is no wider
                mode=Mode(task.mode),
                operator_id=part.operator.id,
                parent_task_id=task.id,
                iteration_budget=min(part.iterations, 100),
                priority=task.priority,
                metadata={"createdByStep": step.id},
                deadline_at=run.deadline_at,
            ),
            principal=f"run:{run.id}",
            user_id=run.started_by,
            channel="operator",
        )
        assert isinstance(made, Task)
        return made


def _child_of(tx: Tx, step: Step) -> Run | None:
    """The run a step waits for, or waited for."""
    return None if step.child_run_id is None else run_rows.get(tx, step.workspace_id, step.child_run_id)


def _operator(tx: Tx, workspace_id: str, wanted: str) -> Operator | None:
    word = wanted.strip().casefold()
    return next(
        (
            one
            for one in operator_rows.find(tx, workspace_id)
            if one.is_active and word in (one.id.casefold(), one.name.strip().casefold())
        ),
        None,
    )


def _outcome(child: Run) -> Outcome:
    """What became of the sub-task. Its summary was written by another operator: it is data like any tool's output."""
    output = {
        "taskId": child.task_id,
        "runId": child.id,
        "state": child.state.value,
        "summary": clean_and_cap(child.summary or "", SUMMARY_CHARS)[0],
        "costUsd": f"{child.cost_micros / 1e6:.6f}",
        "iterations": child.iterations_used,
    }
    if child.state is RunState.COMPLETED:
        return done(output)
    why = clean_and_cap(child.error or "it says no reason", 500)[0]
    return failed(f"the sub-task ended as {child.state}: {why}", output)
