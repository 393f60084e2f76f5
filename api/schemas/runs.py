"""Tasks, their runs and the steps of those."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, field_validator

from api.schemas.base import (
    GIVEN,
    Amount,
    Attr,
    Body,
    From,
    Id,
    Integrity,
    Json,
    Level,
    LooseBody,
    ModeName,
    Moment,
    Out,
    VerdictName,
    View,
    ZonedTime,
    any_of,
    needed,
    or_none,
    text_ok,
    visible,
)
from domain.bounded_json import BadJson, Bounds, measure
from domain.clock import iso, utc_now
from domain.runs.run import Run, Step, UncertainChoice
from domain.runs.schedules import Schedule, next_times
from domain.runs.task import Mode, Task, TaskStatus

StatusName = Literal["pending", "queued", "running", "awaiting_approval", "completed", "failed", "cancelled"]
RunStateName = Literal[
    "queued",
    "running",
    "awaiting_approval",
    "waiting",
    "uncertain",
    "completed",
    "blocked",
    "budget_exhausted",
    "stalled",
    "failed",
    "cancelled",
]
StepStateName = Literal[
    "denied",
    "awaiting_approval",
    "approved",
    "rejected",
    "changes_requested",
    "intent",
    "uncertain",
    "done",
    "failed",
    "skipped",
    "cancelled",
]

# --- requests -------------------------------------------------------------------------------------

Title = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(visible)]
Long = Annotated[str, StringConstraints(max_length=10_000)]
GivenId = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F-]{36}$")]
Budget = Annotated[int, Field(ge=1, le=1000, strict=True)]
Priority = Annotated[int, Field(ge=0, le=1000, strict=True)]
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
    operator_id: GivenId | None = None
    parent_task_id: GivenId | None = None
    auto_run: Annotated[bool, Field(strict=True)] = False
    iteration_budget: Budget = 50
    priority: Priority = 0
    schedule: dict[str, Any] | None = None
    deadline_at: ZonedTime | None = None


class TaskChange(Texts):
    title: Title | None = None
    description: Long | None = None
    priority: Priority | None = None
    operator_id: str | None = None
    schedule: dict[str, Any] | None = None
    paused: Annotated[bool, Field(strict=True)] | None = None
    metadata: Annotated[dict[str, Any], AfterValidator(_small)] | None = None
    deadline_at: ZonedTime | None = None


class StatusBody(LooseBody):
    model_config = needed("status")

    status: Annotated[Any, any_of(TaskStatus)] = None


class RunBody(LooseBody):
    context: Annotated[Any, WithJsonSchema({"anyOf": [{"type": "string", "maxLength": 10_000}, {"type": "null"}]})] = (
        None
    )
    iteration_budget: Budget | None = None


class ListQuery(LooseBody):
    limit: Annotated[int, Field(ge=1, le=200)] = 100
    cursor: str | None = None
    status: str | None = None
    operator_id: str | None = None
    q: Annotated[str, StringConstraints(max_length=200)] | None = None


class RunQuery(LooseBody):
    wait: Annotated[float, Field(ge=0, le=WAIT_LIMIT)] | None = None


class ChoiceBody(Body):
    choice: UncertainChoice


# --- answers --------------------------------------------------------------------------------------


class TaskOut(View[Task]):
    """A task. Its status follows its newest run."""

    id: Id
    workspace_id: Id
    operator_id: Id | None
    parent_task_id: Id | None
    title: str
    description: str
    mode: ModeName
    status: StatusName
    priority: int
    metadata: Json
    schedule: Json | None
    next_run_at: Moment | None
    paused: bool
    deadline_at: Moment | None
    created_at: Moment
    updated_at: Moment
    completed_at: Moment | None


def _next_times(task: Task) -> list[str | None]:
    schedule = Schedule.from_json(task.schedule)
    upcoming = [] if schedule is None or task.paused else next_times(schedule, after=utc_now())
    return [iso(moment) for moment in upcoming]


class TaskInFull(TaskOut):
    origin: str
    created_by: str | None
    next_times: Annotated[list[Moment], From(_next_times)]


class RunOut(View[Run]):
    id: Id
    task_id: Id
    workspace_id: Id
    run_sequence: Annotated[int, Attr("number")]
    status: Annotated[RunStateName, Attr("state")]
    iterations_used: int
    iteration_budget: int
    model_used: Annotated[str | None, Attr("model", or_none)]
    tokens_in: int
    tokens_out: int
    cost_usd: Annotated[Amount, Attr("cost_micros")]
    summary: str | None
    error: str | None
    error_code: str | None
    segment: int
    parent_run_id: Id | None
    root_run_id: Id | None
    origin: Json
    wake_at: Moment | None
    wait_reason: str | None
    partial_text: str | None
    created_at: Moment
    started_at: Moment | None
    completed_at: Moment | None
    integrity: Integrity


class StepOut(View[Step]):
    id: Id
    run_id: Id
    seq: int
    tool: str
    effect_level: Annotated[Level, Attr("effect")]
    status: Annotated[StepStateName, Attr("state")]
    input: Annotated[Any, Attr("args")]
    action_hash: Annotated[str, Attr("args_hash")]
    output: Any
    error: str | None
    verdict: VerdictName | None
    reason_code: str | None
    rule_id: str | None
    reason: str | None
    policy_hash: str | None
    approval_id: Id | None
    decision_receipt_id: Id | None
    outcome_receipt_id: Id | None
    model_used: Annotated[str | None, Attr("model", or_none)]
    tokens_in: int
    tokens_out: int
    cost_usd: Annotated[Amount, Attr("cost_micros")]
    created_at: Moment
    started_at: Moment | None
    completed_at: Moment | None
    integrity: Integrity


class RunInFull(RunOut):
    steps: Annotated[list[StepOut], GIVEN]
    children: Annotated[list[RunOut], Field(description="the runs this one handed work on to"), GIVEN]


class RunQueued(Out):
    """The run that waits its turn."""

    run: RunOut


class MaybeRun(Out):
    """The run that was told to end; null when there was none."""

    run: RunOut | None


_WORDS = {"ALLOW": "allow", "DENY": "deny", "ESCALATE": "require_approval"}


class ActionOut(View[Step]):
    tool: str
    input: Annotated[Any, Attr("args")]
    output: Any
    verdict: Annotated[str, Attr(convert=lambda verdict: _WORDS.get(verdict or "", ""))]
    iteration: Annotated[int, Attr("seq")]
    task_run_id: Annotated[Id, Attr("id")]


class RunResult(View[Run]):
    id: Id
    status: Annotated[RunStateName, Attr("state")]
    iterations_used: int
    iteration_budget: int
    actions: Annotated[list[ActionOut], GIVEN]
    summary: str | None
    error: str | None
    cost_usd: Annotated[float, Attr("cost_micros", lambda micros: micros / 1e6)]
    tokens_in: int
    tokens_out: int


class RunInline(Out):
    """What `?wait=` answers: the task and the run as far as it came."""

    task: TaskOut
    run: RunResult
