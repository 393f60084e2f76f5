"""What the API answers, as types: the source of the OpenAPI document. Tests hold every answer against them.

Production never builds these: handlers return plain data, and `Endpoint.respond` checks it against
its model only where the application was made with `check_answers`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Id = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, pattern=r"^\d{4}-\d\d-\d\dT[0-9:.]+Z$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="64 hex digits")]
Amount = Annotated[str, Field(pattern=r"^\d+\.\d{6}$", description="US dollars, six digits")]
Level = Annotated[str, Field(pattern=r"^E[0-4]$", description="effect level, E0 (none) to E4")]
Json = dict[str, Any]
RoleName = Literal["owner", "partner", "member"]
ModeName = Literal["discover", "decide", "build", "launch", "apply"]
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
ApprovalStatusName = Literal["pending", "approved", "rejected", "changes_requested", "expired", "cancelled"]
VerdictName = Literal["ALLOW", "DENY", "ESCALATE"]


class Out(BaseModel):
    """An answer: names in camelCase, nothing that is not named here."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True)


class IntegrityOut(Out):
    """Whether this is what was signed: `differs` names the members, or parts of the receipt, that are not."""

    ok: bool
    code: Literal["altered"] | None
    differs: list[str]


# --- errors ---------------------------------------------------------------------------------------


class Trouble(BaseModel):
    """What is wrong with a request: about all of it, and about each field."""

    model_config = ConfigDict(alias_generator=to_camel)

    form_errors: list[str]
    field_errors: dict[str, list[str]]


class Problem(BaseModel):
    """Every error. `code` is stable, `error` is for people; some errors carry more fields beside these."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow")

    error: str
    code: str
    request_id: str
    details: Trouble | None = None


# --- getting in -----------------------------------------------------------------------------------


class CodeSent(Out):
    """The same for every address. `code` is there in development only."""

    sent: Literal[True]
    email: str
    code: str | None = None


class InviteCodeSent(Out):
    """A code went to the address; send it together with the address to accept."""

    code_sent: Literal[True]
    email: str
    code: str | None = None


class LoginUser(Out):
    id: Id
    name: str
    email: str | None = None
    telegram_id: str | None = None


class Named(Out):
    id: Id
    name: str


class DepartureOut(Out):
    """Where to send the browser."""

    url: str


class LoginOut(Out):
    """A fresh session: `token` for `Authorization: Bearer`, `csrfToken` for cookie clients."""

    token: str
    csrf_token: str
    user: LoginUser
    workspace: Named
    role: RoleName
    expires_at: Moment
    evidence_item_id: Id | None


class Joined(Out):
    """A membership; with a fresh session if the invite was accepted by proving an address."""

    workspace_id: Id
    role: RoleName
    token: str | None = None
    csrf_token: str | None = None
    user: LoginUser | None = None
    workspace: Named | None = None
    expires_at: Moment | None = None
    evidence_item_id: Id | None = None


class NewKeyOut(Out):
    """`key` is shown this once."""

    key: str
    id: Id
    name: str
    role: RoleName
    scopes: list[str] | None
    expires_at: Moment
    evidence_item_id: Id | None


class ApiKeyOut(Out):
    id: Id
    name: str
    prefix: str
    role: RoleName
    scopes: list[str] | None
    created_at: Moment
    expires_at: Moment
    last_used_at: Moment | None
    revoked_at: Moment | None


class LoggedOut(Out):
    ok: Literal[True]
    evidence_item_id: Id | None = None


class SessionOut(Out):
    """One login; `id` stays the same when its token rotates."""

    id: Id
    channel: str
    user_agent: str | None
    current: bool
    created_at: Moment
    expires_at: Moment


class Revoked(Out):
    revoked: int


class SecretOut(Out):
    kind: str
    key_version: int
    expires_at: Moment | None
    created_at: Moment
    updated_at: Moment


class SecretsOut(Out):
    secrets: list[SecretOut]


class SecretStored(Out):
    stored: Literal[True]
    kind: str
    expires_at: Moment | None


class SecretVerified(Out):
    ok: Literal[True]


# --- workspaces and people ------------------------------------------------------------------------


class UserOut(Out):
    id: Id
    name: str
    email: str | None
    telegram_id: str | None
    username: str | None
    language: str | None
    photo_url: str | None


class PlaceOut(Out):
    id: Id
    name: str
    role: RoleName
    current_mode: ModeName


class MeOut(Out):
    user: UserOut
    workspaces: list[PlaceOut]


class ErasedOut(Out):
    deleted: Literal[True]
    deleted_workspaces: list[Id]
    erasure_receipt_ref: str | None


class WorkspaceOut(Out):
    id: Id
    name: str
    current_mode: ModeName
    owner_id: Id
    compliance_frameworks: list[str]
    created_at: Moment
    updated_at: Moment


class MyWorkspaceOut(WorkspaceOut):
    role: RoleName


class MemberOut(Out):
    id: Id
    workspace_id: Id
    user_id: Id
    role: RoleName
    joined_at: Moment
    name: str


class WorkspaceWithMembers(WorkspaceOut):
    members: list[MemberOut]


class ClosedOut(Out):
    """A closed workspace can be restored until `purgeAt`."""

    id: Id
    deleted_at: Moment
    purge_at: Moment


class TenantOut(Out):
    workspace: WorkspaceOut
    evidence_item_id: Id


class TenantClosedOut(ClosedOut):
    evidence_item_id: Id


class CleanedOut(Out):
    removed: int


class SettingsOut(Out):
    """All three sections, defaults filled in. `version` counts the changes."""

    workspace_id: Id
    policy_config: Json
    budget_config: Json
    model_config_: Json = Field(alias="modelConfig")
    version: int
    evidence_item_id: Id | None = None
    integrity: IntegrityOut


class ModeOut(Out):
    id: Id
    current_mode: ModeName


class NewInviteOut(Out):
    """`inviteToken` and `inviteUrl` are shown this once."""

    id: Id
    invite_url: str
    invite_token: str
    role: Literal["partner", "member"]
    expires_in: str
    expires_at: Moment
    evidence_item_id: Id | None
    sent_to: str | None = None


class InviteOut(Out):
    id: Id
    role: Literal["partner", "member"]
    email: str | None
    created_by: Id
    created_at: Moment
    expires_at: Moment
    accepted_at: Moment | None
    revoked_at: Moment | None


# --- tasks, runs, operators -----------------------------------------------------------------------


class TaskOut(Out):
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


class TaskInFull(TaskOut):
    origin: str
    created_by: str | None
    next_times: list[Moment]


class RunOut(Out):
    id: Id
    task_id: Id
    workspace_id: Id
    run_sequence: int
    status: RunStateName
    iterations_used: int
    iteration_budget: int
    model_used: str | None
    tokens_in: int
    tokens_out: int
    cost_usd: Amount
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
    integrity: IntegrityOut


class StepOut(Out):
    id: Id
    run_id: Id
    seq: int
    tool: str
    effect_level: Level
    status: StepStateName
    input: Any
    action_hash: str
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
    model_used: str | None
    tokens_in: int
    tokens_out: int
    cost_usd: Amount
    created_at: Moment
    started_at: Moment | None
    completed_at: Moment | None
    integrity: IntegrityOut


class RunInFull(RunOut):
    steps: list[StepOut]
    children: Annotated[list[RunOut], Field(description="the runs this one handed work on to")]


class RunQueued(Out):
    """The run that waits its turn."""

    run: RunOut


class MaybeRun(Out):
    """The run that was told to end; null when there was none."""

    run: RunOut | None


class ActionOut(Out):
    tool: str
    input: Any
    output: Any
    verdict: str
    iteration: int
    task_run_id: Id


class RunResult(Out):
    id: Id
    status: RunStateName
    iterations_used: int
    iteration_budget: int
    actions: list[ActionOut]
    summary: str | None
    error: str | None
    cost_usd: float
    tokens_in: int
    tokens_out: int


class RunInline(Out):
    """What `?wait=` answers: the task and the run as far as it came."""

    task: TaskOut
    run: RunResult


class UsageAmounts(Out):
    tokens_in: int
    tokens_out: int
    calls: int
    cost_micros: int
    cost_usd: Amount
    guessed_usd: Amount


class UsageItem(UsageAmounts):
    """`key` is the day, the model, or the id of the task or operator ("" for none)."""

    key: str
    name: str | None


class UsageOut(Out):
    since: str = Field(alias="from")
    to: str
    group_by: Literal["day", "task", "operator", "model"]
    currency: Literal["USD"]
    total: UsageAmounts
    items: list[UsageItem]


class ToolOut(Out):
    name: str
    summary: str
    effect_level: Level
    idempotent: bool
    connector: str | None
    parameters: Json


class McpToolOut(Out):
    """`state`: unknown (nobody set a level), set, or changed (by its server, since the level was set)."""

    name: str
    full_name: str
    summary: str
    parameters: Json
    digest: Hash
    state: Literal["unknown", "set", "changed"]
    effect_level: Level
    idempotent: bool
    enabled: bool


class McpServerOut(Out):
    """`error`: why the last look failed, or which of the server's tools cannot be used and why."""

    id: Id
    workspace_id: Id
    name: str
    transport: Literal["http", "stdio"]
    url: str | None
    header: str | None
    program: str | None
    variable: str | None
    has_secret: bool
    enabled: bool
    error: str | None
    tools: list[McpToolOut]
    created_at: Moment
    updated_at: Moment


class McpServersOut(Out):
    servers: list[McpServerOut]
    programs: list[str]


class OperatorOut(Out):
    id: Id
    workspace_id: Id
    name: str
    role: str
    goal: str
    constraints: list[str]
    tools: list[str]
    is_active: bool
    created_at: Moment
    updated_at: Moment


class OperatorConfig(Out):
    max_iterations: int


class OperatorInFull(OperatorOut):
    config: OperatorConfig


class OperatorRole(Out):
    role: str
    description: str


# --- knowledge ------------------------------------------------------------------------------------


class NoteOut(Out):
    """A page of knowledge; `compiledTruth` is its text."""

    id: Id
    workspace_id: Id
    type: str
    title: str
    compiled_truth: str
    tags: list[str]
    created_by: Id | None
    created_at: Moment
    updated_at: Moment


class NoteWritten(Out):
    id: Id
    evidence_item_id: Id | None


# --- approvals, audit, receipts -------------------------------------------------------------------


class ApprovalOut(Out):
    """`actionHash` names exactly what was shown; it is the digest a decision may carry."""

    id: Id
    workspace_id: Id
    task_id: Id | None
    run_id: Id | None
    step_id: Id | None
    action: str
    action_input: Any
    action_hash: Hash
    effect_level: Level
    policy_version: str
    approval_context: Json
    reason: str
    status: ApprovalStatusName
    version: int
    quorum: int
    deciders: list[str]
    approved_by: list[str]
    requested_by: str
    resolved_by: str | None
    resolved_via: Literal["chat", "mini_app", "api", "cli", "system"] | None
    resolution_note: str | None
    grant_id: Id | None
    requested_at: Moment
    resolved_at: Moment | None
    execute_after: Moment | None
    expires_at: Moment | None
    integrity: IntegrityOut


class BatchOut(BaseModel):
    """What became of one of the named approvals; with `error` and `code` when not `ok`."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow", strict=True)

    id: str
    ok: bool
    approval: ApprovalOut | None = None
    error: str | None = None
    code: str | None = None


class GrantOut(Out):
    id: Id
    workspace_id: Id
    tool: str
    task_id: Id | None
    max_uses: int | None
    uses: int
    created_by: str
    approval_id: Id | None
    created_at: Moment
    expires_at: Moment
    revoked_at: Moment | None
    integrity: IntegrityOut


class AuditOut(Out):
    id: Id
    workspace_id: Id | None
    action: str
    actor: str
    target: str | None
    verdict: Literal["allow", "deny", "escalate", "error"]
    reason: str | None
    metadata: Json
    created_at: Moment
    integrity: IntegrityOut


class ViolationOut(Out):
    id: Id
    workspace_id: Id
    policy_rule: str
    violation: str
    severity: Literal["info", "warning", "critical"]
    action: str
    blocked: bool
    metadata: Json
    created_at: Moment
    integrity: IntegrityOut


class HelmSnapshot(Out):
    id: Id
    checked_at: Moment
    gateway_ok: bool
    version: str | None
    latency_ms: int
    error: str | None


class GovernanceStatus(Out):
    """`live` is the sidecar's answer just now, `latestSnapshot` the last one that was kept."""

    helm_configured: bool
    live: Json | None
    latest_snapshot: HelmSnapshot | None


class ReceiptOut(Out):
    """`decisionHash` is the hash of the receipt's leaf in the log of the workspace."""

    id: Id
    decision_id: str
    task_id: Id | None
    task_run_id: Id | None
    run_id: Id | None
    approval_id: Id | None
    kind: str
    verdict: VerdictName
    reason_code: str | None
    policy_version: str
    decision_hash: Hash
    action: str
    resource: str
    principal: str
    log_index: int
    received_at: Moment
    verified_at: Moment | None
    integrity: IntegrityOut


class LogState(Out):
    """Whether the log itself holds: `missing` are places of this page that hold no receipt any more."""

    ok: bool
    code: Literal["altered"] | None
    missing: list[int]
    problem: str


class ReceiptsOut(Out):
    receipts: list[ReceiptOut]
    next_cursor: str | None
    integrity: LogState


class PayloadOut(Out):
    """What a receipt's hash stands for; `body` is null once it was erased."""

    kind: str
    salt: str | None
    body: str | None
    erased_at: Moment | None


class CheckpointOut(Out):
    """`note` is the signed note (C2SP) with origin, size and root."""

    size: int
    root: Hash
    note: str
    created_at: Moment


class InclusionOut(Out):
    """A receipt with its signed form and the proof that the log of `checkpoint` holds it."""

    receipt: ReceiptOut
    signed_blob: Json
    payloads: list[PayloadOut]
    leaf_hash: Hash
    log_index: int
    audit_path: list[Hash]
    checkpoint: CheckpointOut


class GraphNode(Out):
    id: Id
    index: int
    kind: str
    verdict: str
    action: str
    tool: str | None
    principal: str
    step_id: Id | None
    approval_id: Id | None
    hash: Hash
    integrity: IntegrityOut


class GraphEdge(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    source: Id = Field(alias="from")
    target: Id = Field(alias="to")


class ProofGraph(Out):
    task_id: Id
    nodes: list[GraphNode]
    edges: list[GraphEdge]


class InclusionProof(Out):
    log_index: int
    tree_size: int
    leaf_hash: Hash
    audit_path: list[Hash]


class ConsistencyProof(Out):
    old_size: int
    new_size: int
    old_root: Hash
    new_root: Hash
    consistency_path: list[Hash]


class ReplayedOut(Out):
    receipt_id: Id
    tool: str
    recorded: VerdictName
    replayed: VerdictName
    problem: str


class FindingOut(Out):
    """What one check has to say against a call."""

    verdict: VerdictName
    reason_code: str
    rule_id: str
    reason: str


class RehearsedOut(FindingOut):
    """The decision there would be; `findings`: everything that speaks against the call, in the order of the checks."""

    dry_run: Literal[True]
    policy_hash: Hash
    findings: list[FindingOut]


class ChangedDecisionOut(Out):
    """A decision of the past that the changed policy would make otherwise."""

    receipt_id: Id
    decided_at: Moment
    tool: str
    before: FindingOut
    after: FindingOut


class PolicyTrialOut(Out):
    """`tested` decisions were made again under the changed policy, which would be called `policyHash`."""

    tested: int
    policy_hash: Hash
    different: list[ChangedDecisionOut]


class ReplayOut(Out):
    """How many decisions were decided again, and those that came out differently or keep what was not signed."""

    replayed: int
    different: list[ReplayedOut]


class PublicKey(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    key_id: str
    name: str
    algorithm: Literal["ed25519"]
    public_key: Hash
    not_before: str
    retired_at: str | None


class PublicKeys(BaseModel):
    """Every key receipts and checkpoints were ever signed with, oldest first."""

    model_config = ConfigDict(extra="forbid", strict=True)

    keys: list[PublicKey]


# --- the installation -----------------------------------------------------------------------------


class TaskCounts(Out):
    total: int
    pending: int
    running: int
    queued: int
    completed: int
    failed: int
    cancelled: int
    awaiting_approval: int


class StatusWorkspace(Out):
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
    """`status` is starting, ok or degraded; each check is true, false or a word."""

    status: Literal["starting", "ok", "degraded"]
    service: str
    version: str
    uptime: int | None = None
    checks: Json


class HealthzOut(BaseModel):
    status: Literal["ok", "down"]
    version: str


class VersionOut(BaseModel):
    version: str
    commit: str
    build_time: str
    go_version: str


CapabilityState = Literal["implemented", "prototype", "scaffolded", "stub", "blocked", "production_ready"]


class CapabilityOut(Out):
    """`state` is computed from checks of this installation and kept eval runs, never written by hand."""

    key: str
    name: str
    state: CapabilityState
    summary: str
    owner: str
    blockers: list[str]
    evidence: list[str]
    eval_requirement: str
    updated_at: Moment


class CapabilityBlocker(Out):
    key: str
    state: CapabilityState
    blockers: list[str]


class StateCounts(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

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
