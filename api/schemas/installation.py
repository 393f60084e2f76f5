"""The installation: how it is, what it can do, and what its models took."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from api.schemas.base import GIVEN, Amount, Attr, Id, Json, LooseBody, ModeName, Moment, Out, PlainOut, View
from domain.workspaces.workspace import Workspace
from services.installation.capabilities import CapabilityState as Capability
from services.installation.usage import MOST_DAYS, Amounts

# --- requests -------------------------------------------------------------------------------------

Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$")]


class Resume(LooseBody):
    """Where to go on; browsers' EventSource sends the header by itself."""

    last_event_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,17}$")] | None = None


class UsageQuery(LooseBody):
    from_: Annotated[Day | None, Field(alias="from")] = None
    to: Day | None = None
    group_by: Literal["day", "task", "operator", "model"] = "day"
    task_id: UUID | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_DAYS)] = MOST_DAYS
    cursor: Annotated[str, StringConstraints(max_length=300)] | None = None


# --- answers --------------------------------------------------------------------------------------


class UsageAmounts(View[Amounts]):
    tokens_in: int
    tokens_out: int
    calls: int
    cost_micros: int
    cost_usd: Annotated[Amount, Attr("cost_micros")]
    guessed_usd: Annotated[Amount, Attr("guessed_micros")]


class UsageItem(UsageAmounts):
    """`key` is the day, the model, or the id of the task or operator ("" for none)."""

    key: Annotated[str, GIVEN]
    name: Annotated[str | None, GIVEN]


class UsageOut(Out):
    since: str = Field(alias="from")
    to: str
    group_by: Literal["day", "task", "operator", "model"]
    currency: Literal["USD"]
    total: UsageAmounts
    items: list[UsageItem]


class TaskCounts(Out):
    total: int
    pending: int
    running: int
    queued: int
    completed: int
    failed: int
    cancelled: int
    awaiting_approval: int


class StatusWorkspace(View[Workspace]):
    id: Id
    name: str
    current_mode: ModeName


class StatusOut(Out):
    """Counts for a first page. `pendingApprovals` is 0 for those who may not see approvals."""

    workspace: StatusWorkspace
    tasks: TaskCounts
    operators: int
    members: int
    pending_approvals: int


class RootOut(Out):
    name: str
    version: str
    description: str


class HealthOut(Out):
    """`status` is starting, ok or degraded; `signUp` is who may sign up; each check is true, false or a word."""

    status: Literal["starting", "ok", "degraded"]
    service: str
    version: str
    sign_up: Literal["first", "invite", "open"] | None = None
    uptime: int | None = None
    checks: Json


class KernelWord(Out):
    """An answer as clients of HELM kernels ask for it."""

    model_config = ConfigDict(alias_generator=None, extra="ignore", strict=False)


class HealthzOut(KernelWord):
    status: Literal["ok", "down"]
    version: str


class VersionOut(KernelWord):
    version: str
    commit: str
    build_time: str
    go_version: str


CapabilityState = Literal["implemented", "prototype", "scaffolded", "stub", "blocked", "production_ready"]


class CapabilityOut(View[Capability]):
    """`state` is computed from checks of this installation and kept eval runs, never written by hand."""

    key: Annotated[str, Attr("capability.key")]
    name: Annotated[str, Attr("capability.name")]
    state: CapabilityState
    summary: Annotated[str, Attr("capability.summary")]
    owner: Annotated[str, Attr("capability.owner")]
    blockers: list[str]
    evidence: list[str]
    eval_requirement: Annotated[str, Attr("capability.evaluation")]
    updated_at: Moment


class CapabilityBlocker(View[Capability]):
    key: Annotated[str, Attr("capability.key")]
    state: CapabilityState
    blockers: list[str]


class StateCounts(PlainOut):
    implemented: int
    prototype: int
    scaffolded: int
    stub: int
    blocked: int
    production_ready: int


class CapabilitySummary(Out):
    generated_at: Moment
    total: int
    production_ready: int
    by_state: StateCounts
    blockers: list[CapabilityBlocker]


class Capabilities(Out):
    generated_at: Moment
    summary: CapabilitySummary
    capabilities: list[CapabilityOut]


class OneCapability(Out):
    capability: CapabilityOut
