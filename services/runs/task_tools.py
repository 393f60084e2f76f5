"""`task.create`: an operator makes a task."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.runs.task import Mode
from domain.tools.effect import Effect
from domain.tools.tool import ACTING_MODES, Outcome, ToolContext, ToolSpec
from services.runs.tasks import NewTask, TaskService
from services.tools.registry import LocalTool, done, failed, object_schema, text_schema
from storage.runs import task_rows
from storage.transaction import Tx


@dataclass(frozen=True, slots=True)
class TaskCreate(LocalTool):
    """A row of ours, made once by its idempotency key."""

    service: TaskService

    spec = ToolSpec(
        name="task.create",
        summary="Create another task in this workspace. It does not run by itself.",
        parameters=object_schema(
            ("title",),
            title=text_schema("Title of the task", max_length=500),
            description=text_schema("What is to be done", max_length=10_000, min_length=0),
        ),
        modes=ACTING_MODES,
        effect=Effect.E2,
        idempotent=True,
    )

    def work(self, tx: Tx, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        before = task_rows.made_by_step(tx, context.workspace_id, context.step_id)
        if before is not None:
            return done({"id": before.id, "title": before.title})
        made = self.service.create_in(
            tx,
            context.workspace_id,
            NewTask(
                title=args["title"],
                description=args.get("description", ""),
                # what a narrower task makes is no wider
                mode=Mode(task_rows.get(tx, context.workspace_id, context.task_id).mode),
                parent_task_id=context.task_id,
                metadata={"createdByStep": context.step_id},
            ),
            principal=f"run:{context.run_id}",
            user_id=context.user_id,
            channel="operator",
        )
        if isinstance(made, str):
            return failed("the operator of the task is not in this workspace")
        return done({"id": made.id, "title": made.title})
