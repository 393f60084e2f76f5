"""Routes about tasks, their runs, and operators."""

import asyncio

from api.http import Access, ApiResponse, Endpoints, RequestContext, page
from api.lists import remembered
from api.schemas.base import Serialized
from api.schemas.runs import (
    ActionOut,
    ChoiceBody,
    ListQuery,
    MaybeRun,
    RunBody,
    RunInFull,
    RunInline,
    RunOut,
    RunQuery,
    RunQueued,
    RunResult,
    StatusBody,
    StepOut,
    TaskBody,
    TaskChange,
    TaskInFull,
    TaskOut,
)
from api.schemas.tools import OperatorBody, OperatorChange, OperatorInFull, OperatorOut, OperatorRole, ToolOut
from domain.cursors import cursor_of, read_cursor
from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.identity.permissions import Action
from domain.runs.run import Run, Step
from domain.runs.schedules import Schedule
from domain.runs.task import TaskStatus
from services.runs.tasks import NewTask
from services.tools.operators import ROLES

tasks = Endpoints("tasks")
route = tasks.route
Started = Serialized[RunQueued] | ApiResponse[Serialized[RunInline]]


@route("GET", "/api/tasks", action=Action.TASK_READ, errors=(Invalid,))
async def list_tasks(call: RequestContext, query: ListQuery) -> ApiResponse[list[Serialized[TaskOut]]]:
    """Tasks of the workspace, newest first. `status` takes several, comma-separated."""
    return await remembered(call, "list_tasks", lambda: _tasks_page(call, query))


async def _tasks_page(call: RequestContext, query: ListQuery) -> ApiResponse[list[Serialized[TaskOut]]]:
    """Tasks of the workspace, newest first. `status` takes several, comma-separated."""
    wanted = [s for s in (query.status or "").split(",") if s]
    for word in wanted:
        if word not in list(TaskStatus):
            raise Invalid.field("status", f"must be of {', '.join(TaskStatus)}")
    found = await call.services.tasks.list(
        call.actor,
        limit=query.limit,
        status=wanted,
        operator_id=query.operator_id,
        search=query.q,
        before=read_cursor(query.cursor),
    )
    last = cursor_of(found[-1].created_at, found[-1].id) if found else None
    return page(call, [TaskOut.of(t) for t in found], limit=query.limit, cursor=last)


@route(
    "POST",
    "/api/tasks",
    action=Action.TASK_CREATE,
    status=201,
    rate="task",
    errors=(Invalid, Forbidden, Conflict),
)
async def create_task(call: RequestContext, body: TaskBody) -> Serialized[TaskOut]:
    """Create a task; with `autoRun` it is queued to run at once."""
    made = await call.services.tasks.create(
        call.actor,
        NewTask(
            title=body.title,
            description=body.description,
            mode=body.mode,
            operator_id=None if body.operator_id is None else body.operator_id.lower(),
            parent_task_id=None if body.parent_task_id is None else body.parent_task_id.lower(),
            iteration_budget=body.iteration_budget,
            priority=body.priority,
            schedule=Schedule.from_json(body.schedule),
            deadline_at=body.deadline_at,
            auto_run=body.auto_run,
        ),
    )
    return TaskOut.of(made)


@route("GET", "/api/tasks/{task_id}", action=Action.TASK_READ, errors=(NotFound,))
async def get_task(call: RequestContext, task_id: str) -> Serialized[TaskInFull]:
    """One task, with its next scheduled times."""
    return TaskInFull.of(await call.services.tasks.get(call.actor, task_id))


@route("PUT", "/api/tasks/{task_id}", action=Action.TASK_UPDATE, errors=(NotFound, Invalid))
async def update_task(call: RequestContext, task_id: str, body: TaskChange) -> Serialized[TaskInFull]:
    """Change title, description, priority, operator, schedule, pause, deadline or metadata."""
    changes = body.model_dump(exclude_unset=True)
    for name in ("title", "description", "priority", "paused", "metadata"):
        if name in changes and changes[name] is None:
            raise Invalid.field(name, "must not be null")
    if "schedule" in changes:
        changes["schedule"] = Schedule.from_json(changes["schedule"])
    return TaskInFull.of(await call.services.tasks.update(call.actor, task_id, changes))


@route("DELETE", "/api/tasks/{task_id}", action=Action.TASK_DELETE, status=204, errors=(NotFound,))
async def delete_task(call: RequestContext, task_id: str) -> None:
    """Take a task away; its receipts stay."""
    await call.services.tasks.delete(call.actor, task_id)


@route(
    "PUT",
    "/api/tasks/{task_id}/status",
    action=Action.TASK_UPDATE,
    errors=(NotFound, Invalid, Conflict),
)
async def put_status(call: RequestContext, task_id: str, body: StatusBody) -> Serialized[TaskOut]:
    """Set the status by hand; illegal moves are refused. `queued` starts a run, `cancelled` ends one."""
    if body.status not in list(TaskStatus):
        allowed = [s.value for s in TaskStatus]
        raise Invalid(
            "Invalid status",
            code="invalid_status",
            details={"allowed": allowed, "formErrors": [], "fieldErrors": {"status": ["is not a status"]}},
        )
    return TaskOut.of(await call.services.tasks.set_status(call.actor, task_id, TaskStatus(body.status)))


@route("POST", "/api/tasks/{task_id}/cancel", action=Action.TASK_CANCEL, errors=(NotFound,))
async def cancel_task(call: RequestContext, task_id: str) -> Serialized[MaybeRun]:
    """Cancel the run under way; it ends before its next step."""
    run = await call.services.runs.cancel(call.actor, task_id)
    return MaybeRun.answer(run=None if run is None else RunOut.of(run))


@route(
    "POST",
    "/api/tasks/{task_id}/run",
    action=Action.TASK_RUN,
    status=202,
    errors=(NotFound, Invalid, Conflict),
    also={200: RunInline},
)
async def run_task(call: RequestContext, task_id: str, body: RunBody, query: RunQuery) -> Started:
    """Queue a run. With `?wait=` (seconds) the answer is 200 with the result, if it parks or ends in time."""
    if body.context is not None and (not isinstance(body.context, str) or len(body.context) > 10_000):
        raise Invalid.field("context", "must be a text of at most 10000 characters")
    run = await call.services.runs.start(
        call.actor, task_id, context=body.context, iteration_budget=body.iteration_budget
    )
    if not query.wait:
        return RunQueued.answer(run=RunOut.of(run))
    ended, steps = await _waited(call, run, query.wait)
    task = await call.services.tasks.get(call.actor, task_id)
    settled = ended.state not in ("queued", "running")
    result = RunResult.of(ended, actions=[ActionOut.of(step) for step in steps])
    return ApiResponse(body=RunInline.answer(task=TaskOut.of(task), run=result), status=200 if settled else 202)


async def _waited(call: RequestContext, run: Run, seconds: float) -> tuple[Run, list[Step]]:
    """The run once it parked or ended, or as it is when the time is up."""
    services = call.services
    with services.bus.listen(run.workspace_id) as woken:
        ends = asyncio.get_running_loop().time() + seconds
        while True:
            woken.clear()
            current, steps = await services.runs.get(call.actor, run.id)
            left = ends - asyncio.get_running_loop().time()
            if current.state not in ("queued", "running") or left <= 0:
                return current, list(steps)
            try:
                async with asyncio.timeout(min(left, 1.0)):
                    await woken.wait()
            except TimeoutError:
                continue


@route("GET", "/api/tasks/{task_id}/runs", action=Action.TASK_READ, errors=(NotFound,))
async def list_runs(call: RequestContext, task_id: str) -> list[Serialized[RunOut]]:
    """Runs of a task, newest first."""
    return [RunOut.of(r) for r in await call.services.runs.of_task(call.actor, task_id)]


@route("GET", "/api/runs/{run_id}", action=Action.TASK_READ, errors=(NotFound,))
async def get_run(call: RequestContext, run_id: str) -> Serialized[RunInFull]:
    """A run with its steps, and the runs it handed work on to."""
    run, steps = await call.services.runs.get(call.actor, run_id)
    children = await call.services.runs.children(call.actor, run, steps)
    return RunInFull.of(run, steps=[StepOut.of(s) for s in steps], children=[RunOut.of(one) for one in children])


@route(
    "POST",
    "/api/runs/{run_id}/steps/{step_id}/settle",
    action=Action.RUN_SETTLE,
    errors=(NotFound, Conflict),
)
async def settle_step(call: RequestContext, run_id: str, step_id: str, body: ChoiceBody) -> Serialized[StepOut]:
    """Say what became of an interrupted call: retry, skip or mark_done."""
    return StepOut.of(await call.services.runs.settle_uncertain(call.actor, run_id, step_id, body.choice, via="api"))


@route("GET", "/api/tools", action=Action.TASK_READ)
async def list_tools(call: RequestContext) -> list[Serialized[ToolOut]]:
    """The tools operators can be given: those of the installation, and those of the workspace's tool servers."""
    tools = await call.services.tool_registry.of(call.services.store, call.actor.in_workspace)
    return [ToolOut.of(spec) for spec in tools.specs]


@route("GET", "/api/operators", action=Action.OPERATOR_READ)
async def list_operators(call: RequestContext) -> list[Serialized[OperatorOut]]:
    """Operators of the workspace."""
    return [OperatorOut.of(o) for o in await call.services.operators.list(call.actor)]


@route("GET", "/api/operators/roles", needs=Access.PERSON)
async def operator_roles(call: RequestContext) -> list[Serialized[OperatorRole]]:
    """The roles an operator can have."""
    del call
    return [OperatorRole.answer(role=role, description=text) for role, text in ROLES.items()]


@route("POST", "/api/operators", action=Action.OPERATOR_WRITE, status=201, errors=(Invalid,))
async def create_operator(call: RequestContext, body: OperatorBody) -> Serialized[OperatorOut]:
    """Create an operator."""
    made = await call.services.operators.create(
        call.actor,
        name=body.name,
        role=body.role,
        goal=body.goal,
        constraints=body.constraints,
        tools=body.tools,
        max_iterations=body.max_iterations,
    )
    return OperatorOut.of(made)


@route("GET", "/api/operators/{operator_id}", action=Action.OPERATOR_READ, errors=(NotFound,))
async def get_operator(call: RequestContext, operator_id: str) -> Serialized[OperatorInFull]:
    """One operator."""
    return OperatorInFull.of(await call.services.operators.get(call.actor, operator_id))


@route(
    "PUT",
    "/api/operators/{operator_id}",
    action=Action.OPERATOR_WRITE,
    errors=(NotFound, Invalid),
)
async def update_operator(call: RequestContext, operator_id: str, body: OperatorChange) -> Serialized[OperatorOut]:
    """Change an operator."""
    given = body.model_dump(exclude_unset=True, exclude_none=True)
    return OperatorOut.of(await call.services.operators.update(call.actor, operator_id, given))
