"""Routes about tasks, their runs, and operators."""

import asyncio
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, field_validator

from api import wire
from api.http import (
    Answer,
    Body,
    Call,
    Endpoints,
    LooseBody,
    Needs,
    ZonedTime,
    cursor_of,
    page,
    read_cursor,
    text_ok,
    visible,
)
from api.lists import remembered
from api.models import (
    MaybeRun,
    OperatorInFull,
    OperatorOut,
    OperatorRole,
    RunInFull,
    RunInline,
    RunOut,
    RunQueued,
    StepOut,
    TaskInFull,
    TaskOut,
    ToolOut,
)
from domain.bounded_json import BadJson, Bounds, measure
from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.permissions import Action
from domain.runs import Run, Step, UncertainChoice
from domain.schedules import Schedule
from domain.tasks import Mode, TaskStatus
from services.operators import ROLES
from services.tasks import NewTask

tasks = Endpoints("tasks")
route = tasks.route
Title = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(visible)]
Long = Annotated[str, StringConstraints(max_length=10_000)]
WAIT_LIMIT = 60.0


# each task in a list brings its own
METADATA = Bounds(size=50_000, depth=32, nodes=2000)


def _small(value: dict[str, Any]) -> dict[str, Any]:
    try:
        measure(value, METADATA)
    except BadJson as error:
        raise ValueError(str(error)) from None
    return value


class Texts(LooseBody):
    @field_validator("title", "description", "goal", "name", "context", check_fields=False, mode="after")
    @classmethod
    def _clean(cls, value: Any) -> Any:
        if isinstance(value, str):
            text_ok(value)
        return value


class TaskBody(Texts):
    title: Title
    description: Long = ""
    mode: Mode | None = None
    operatorId: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F-]{36}$")] | None = None  # noqa: N815
    parentTaskId: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F-]{36}$")] | None = None  # noqa: N815
    autoRun: Annotated[bool, Field(strict=True)] = False  # noqa: N815
    iterationBudget: Annotated[int, Field(ge=1, le=1000, strict=True)] = 50  # noqa: N815
    priority: Annotated[int, Field(ge=0, le=1000, strict=True)] = 0
    schedule: dict[str, Any] | None = None
    deadlineAt: ZonedTime | None = None  # noqa: N815


class TaskChange(Texts):
    title: Title | None = None
    description: Long | None = None
    priority: Annotated[int, Field(ge=0, le=1000, strict=True)] | None = None
    operatorId: str | None = None  # noqa: N815
    schedule: dict[str, Any] | None = None
    paused: Annotated[bool, Field(strict=True)] | None = None
    metadata: Annotated[dict[str, Any], AfterValidator(_small)] | None = None
    deadlineAt: ZonedTime | None = None  # noqa: N815


class StatusBody(LooseBody):
    status: Any = None


class RunBody(LooseBody):
    context: Any = None
    iterationBudget: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = None  # noqa: N815


class ListQuery(LooseBody):
    limit: Annotated[int, Field(ge=1, le=200)] = 100
    cursor: str | None = None
    status: str | None = None
    operatorId: str | None = None  # noqa: N815
    q: Annotated[str, StringConstraints(max_length=200)] | None = None


class RunQuery(LooseBody):
    wait: Annotated[float, Field(ge=0, le=WAIT_LIMIT)] | None = None


class ChoiceBody(Body):
    choice: UncertainChoice


class OperatorBody(Texts):
    name: Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(visible)]
    role: str
    goal: Annotated[str, StringConstraints(max_length=2000)] = ""
    constraints: Annotated[list[Annotated[str, StringConstraints(max_length=500)]], Field(max_length=20)] = Field(
        default_factory=list
    )
    tools: Annotated[list[Annotated[str, StringConstraints(max_length=120)]], Field(max_length=50)] = Field(
        default_factory=list
    )
    maxIterations: Annotated[int, Field(ge=1, le=1000)] = 50  # noqa: N815

    @field_validator("role")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in ROLES:
            raise ValueError(f"must be one of {', '.join(ROLES)}")
        return value


class OperatorChange(Texts):
    goal: Annotated[str, StringConstraints(max_length=2000)] | None = None
    isActive: bool | None = None  # noqa: N815
    constraints: Annotated[list[Annotated[str, StringConstraints(max_length=500)]], Field(max_length=20)] | None = None
    tools: Annotated[list[Annotated[str, StringConstraints(max_length=120)]], Field(max_length=50)] | None = None


@route("GET", "/api/tasks", action=Action.TASK_READ, response=list[TaskOut], errors=(Invalid,))
async def list_tasks(call: Call, query: ListQuery) -> Any:
    """Tasks of the workspace, newest first. `status` takes several, comma-separated."""
    return await remembered(call, "list_tasks", lambda: _tasks_page(call, query))


async def _tasks_page(call: Call, query: ListQuery) -> Any:
    """Tasks of the workspace, newest first. `status` takes several, comma-separated."""
    wanted = [s for s in (query.status or "").split(",") if s]
    for word in wanted:
        if word not in list(TaskStatus):
            raise Invalid.field("status", f"must be of {', '.join(TaskStatus)}")
    found = await call.services.tasks.list(
        call.actor,
        limit=query.limit,
        status=wanted,
        operator_id=query.operatorId,
        search=query.q,
        before=read_cursor(query.cursor),
    )
    last = cursor_of(found[-1].created_at, found[-1].id) if found else None
    return page(call, [wire.task(t) for t in found], limit=query.limit, cursor=last)


@route(
    "POST",
    "/api/tasks",
    action=Action.TASK_CREATE,
    status=201,
    rate="task",
    response=TaskOut,
    errors=(Invalid, Forbidden, Conflict),
)
async def create_task(call: Call, body: TaskBody) -> Any:
    """Create a task; with `autoRun` it is queued to run at once."""
    made = await call.services.tasks.create(
        call.actor,
        NewTask(
            title=body.title,
            description=body.description,
            mode=body.mode,
            operator_id=None if body.operatorId is None else body.operatorId.lower(),
            parent_task_id=None if body.parentTaskId is None else body.parentTaskId.lower(),
            iteration_budget=body.iterationBudget,
            priority=body.priority,
            schedule=Schedule.from_json(body.schedule),
            deadline_at=body.deadlineAt,
            auto_run=body.autoRun,
        ),
    )
    return wire.task(made)


@route("GET", "/api/tasks/{task_id}", action=Action.TASK_READ, errors=(NotFound,), response=TaskInFull)
async def get_task(call: Call, task_id: str) -> Any:
    """One task, with its next scheduled times."""
    return wire.task_in_full(await call.services.tasks.get(call.actor, task_id))


@route("PUT", "/api/tasks/{task_id}", action=Action.TASK_UPDATE, errors=(NotFound, Invalid), response=TaskInFull)
async def update_task(call: Call, task_id: str, body: TaskChange) -> Any:
    """Change title, description, priority, operator, schedule, pause, deadline or metadata."""
    given = body.model_dump(exclude_unset=True)
    names = {"operatorId": "operator_id", "deadlineAt": "deadline_at"}
    changes: dict[str, Any] = {names.get(k, k): v for k, v in given.items()}
    for name in ("title", "description", "priority", "paused", "metadata"):
        if name in changes and changes[name] is None:
            raise Invalid.field(name, "must not be null")
    if "schedule" in changes:
        changes["schedule"] = Schedule.from_json(changes["schedule"])
    return wire.task_in_full(await call.services.tasks.update(call.actor, task_id, changes))


@route("DELETE", "/api/tasks/{task_id}", action=Action.TASK_DELETE, status=204, errors=(NotFound,))
async def delete_task(call: Call, task_id: str) -> None:
    """Take a task away; its receipts stay."""
    await call.services.tasks.delete(call.actor, task_id)


@route(
    "PUT",
    "/api/tasks/{task_id}/status",
    action=Action.TASK_UPDATE,
    errors=(NotFound, Invalid, Conflict),
    response=TaskOut,
)
async def put_status(call: Call, task_id: str, body: StatusBody) -> Any:
    """Set the status by hand; illegal moves are refused. `queued` starts a run, `cancelled` ends one."""
    if body.status not in list(TaskStatus):
        allowed = [s.value for s in TaskStatus]
        raise Invalid(
            "Invalid status",
            code="invalid_status",
            details={"allowed": allowed, "formErrors": [], "fieldErrors": {"status": ["is not a status"]}},
        )
    return wire.task(await call.services.tasks.set_status(call.actor, task_id, TaskStatus(body.status)))


@route("POST", "/api/tasks/{task_id}/cancel", action=Action.TASK_CANCEL, errors=(NotFound,), response=MaybeRun)
async def cancel_task(call: Call, task_id: str) -> Any:
    """Cancel the run under way; it ends before its next step."""
    run = await call.services.runs.cancel(call.actor, task_id)
    return {"run": None if run is None else wire.run(run)}


@route(
    "POST",
    "/api/tasks/{task_id}/run",
    action=Action.TASK_RUN,
    status=202,
    errors=(NotFound, Invalid, Conflict),
    response=RunQueued | RunInline,
    also={200: RunInline},
)
async def run_task(call: Call, task_id: str, body: RunBody, query: RunQuery) -> Any:
    """Queue a run. With `?wait=` (seconds) the answer is 200 with the result, if it parks or ends in time."""
    if body.context is not None and (not isinstance(body.context, str) or len(body.context) > 10_000):
        raise Invalid.field("context", "must be a text of at most 10000 characters")
    run = await call.services.runs.start(
        call.actor, task_id, context=body.context, iteration_budget=body.iterationBudget
    )
    if not query.wait:
        return {"run": wire.run(run)}
    ended, steps = await _waited(call, run, query.wait)
    task = await call.services.tasks.get(call.actor, task_id)
    settled = ended.state not in ("queued", "running")
    return Answer(body={"task": wire.task(task), "run": wire.run_result(ended, steps)}, status=200 if settled else 202)


async def _waited(call: Call, run: Run, seconds: float) -> tuple[Run, list[Step]]:
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


@route("GET", "/api/tasks/{task_id}/runs", action=Action.TASK_READ, errors=(NotFound,), response=list[RunOut])
async def list_runs(call: Call, task_id: str) -> Any:
    """Runs of a task, newest first."""
    return [wire.run(r) for r in await call.services.runs.of_task(call.actor, task_id)]


@route("GET", "/api/runs/{run_id}", action=Action.TASK_READ, errors=(NotFound,), response=RunInFull)
async def get_run(call: Call, run_id: str) -> Any:
    """A run with its steps, and the runs it handed work on to."""
    run, steps = await call.services.runs.get(call.actor, run_id)
    children = await call.services.runs.children(call.actor, run, steps)
    return {
        **wire.run(run),
        "steps": [wire.step(s) for s in steps],
        "children": [wire.run(one) for one in children],
    }


@route(
    "POST",
    "/api/runs/{run_id}/steps/{step_id}/settle",
    action=Action.RUN_SETTLE,
    errors=(NotFound, Conflict),
    response=StepOut,
)
async def settle_step(call: Call, run_id: str, step_id: str, body: ChoiceBody) -> Any:
    """Say what became of an interrupted call: retry, skip or mark_done."""
    return wire.step(await call.services.runs.settle_uncertain(call.actor, run_id, step_id, body.choice, via="api"))


@route("GET", "/api/tools", action=Action.TASK_READ, response=list[ToolOut])
async def list_tools(call: Call) -> Any:
    """The tools operators can be given: those of the installation, and those of the workspace's tool servers."""
    tools = await call.services.toolbox.of(call.services.store, call.actor.in_workspace)
    return [
        {
            "name": s.name,
            "summary": s.summary,
            "effectLevel": f"E{int(s.effect)}",
            "idempotent": s.idempotent,
            "connector": s.connector or None,
            "parameters": dict(s.parameters),
        }
        for s in tools.specs
    ]


@route("GET", "/api/operators", action=Action.OPERATOR_READ, response=list[OperatorOut])
async def list_operators(call: Call) -> Any:
    """Operators of the workspace."""
    return [wire.operator(o) for o in await call.services.operators.list(call.actor)]


@route("GET", "/api/operators/roles", needs=Needs.PERSON, response=list[OperatorRole])
async def operator_roles(call: Call) -> Any:
    """The roles an operator can have."""
    del call
    return [{"role": role, "description": text} for role, text in ROLES.items()]


@route("POST", "/api/operators", action=Action.OPERATOR_WRITE, status=201, errors=(Invalid,), response=OperatorOut)
async def create_operator(call: Call, body: OperatorBody) -> Any:
    """Create an operator."""
    made = await call.services.operators.create(
        call.actor,
        name=body.name,
        role=body.role,
        goal=body.goal,
        constraints=body.constraints,
        tools=body.tools,
        max_iterations=body.maxIterations,
    )
    return wire.operator(made)


@route("GET", "/api/operators/{operator_id}", action=Action.OPERATOR_READ, errors=(NotFound,), response=OperatorInFull)
async def get_operator(call: Call, operator_id: str) -> Any:
    """One operator."""
    found = await call.services.operators.get(call.actor, operator_id)
    return {**wire.operator(found), "config": {"maxIterations": found.max_iterations}}


@route(
    "PUT",
    "/api/operators/{operator_id}",
    action=Action.OPERATOR_WRITE,
    errors=(NotFound, Invalid),
    response=OperatorOut,
)
async def update_operator(call: Call, operator_id: str, body: OperatorChange) -> Any:
    """Change an operator."""
    given = body.model_dump(exclude_unset=True, exclude_none=True)
    if "isActive" in given:
        given["is_active"] = given.pop("isActive")
    return wire.operator(await call.services.operators.update(call.actor, operator_id, given))
