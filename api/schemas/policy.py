"""What the policy says, said or would say; as the sidecar and HELM's clients hear it, too."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from api.schemas.base import (
    Attr,
    Body,
    From,
    GivenTime,
    Hash,
    Id,
    Integrity,
    Json,
    LooseBody,
    Moment,
    Out,
    Paged,
    PlainOut,
    PlainView,
    VerdictName,
    View,
    text_ok,
)
from domain.approvals.evaluation import GatewaySession
from domain.ledger.violation import Violation
from domain.policy.decide import Finding
from domain.policy.governance import Decision
from domain.policy.sidecar import SidecarSnapshot
from domain.runs.task import Mode
from services.approvals.decision_point import Evaluated
from services.ledger.replay import Replayed
from services.policy.simulation import Changed, PolicyDiff, Rehearsed

# --- requests -------------------------------------------------------------------------------------

Words = Annotated[str, StringConstraints(max_length=200), AfterValidator(text_ok)]


class ViolationsQuery(Paged):
    severity: Literal["info", "warning", "critical"] | None = None


class EvaluateBody(Body):
    tool: Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(text_ok)]
    args: Annotated[dict[str, Any], Field(default_factory=dict)]
    operator_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F-]{36}$")] | None = None
    mode: Mode | None = None
    dry_run: Literal[True]


class TrialQuery(LooseBody):
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


class KernelBody(LooseBody):
    """A request with HELM's own names."""

    model_config = ConfigDict(alias_generator=None)


class CallBody(KernelBody):
    """HELM's EvaluateRequest: `action`, `resource` and `context.session_id` are old names of the first three."""

    tool: Words | None = None
    effect_level: Words | None = None
    session_id: Words | None = None
    args: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    action: Words | None = None
    resource: Words | None = None


class SignedReceiptsQuery(KernelBody):
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    session_id: str | None = None
    since: str | None = None
    verdict: str | None = None
    reason_code: str | None = None
    principal: str | None = None
    executor: str | None = None
    first: Annotated[GivenTime | None, Field(alias="from")] = None
    beyond: Annotated[GivenTime | None, Field(alias="to")] = None


class SessionsQuery(KernelBody):
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0


# --- answers --------------------------------------------------------------------------------------


class ViolationOut(View[Violation]):
    id: Id
    workspace_id: Id
    policy_rule: str
    violation: str
    severity: Literal["info", "warning", "critical"]
    action: str
    blocked: bool
    metadata: Json
    created_at: Moment
    integrity: Integrity


class HelmSnapshot(View[SidecarSnapshot]):
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


class FindingOut(View[Decision | Finding]):
    """What one check has to say against a call."""

    verdict: VerdictName
    reason_code: str
    rule_id: str
    reason: str


class RehearsedOut(View[Rehearsed]):
    """The decision there would be; `findings`: everything that speaks against the call, in the order of the checks."""

    verdict: Annotated[VerdictName, Attr("decision.verdict")]
    reason_code: Annotated[str, Attr("decision.reason_code")]
    rule_id: Annotated[str, Attr("decision.rule_id")]
    reason: Annotated[str, Attr("decision.reason")]
    dry_run: Annotated[Literal[True], From(lambda _: True)]
    policy_hash: Annotated[Hash, Attr("decision.policy_hash")]
    findings: list[FindingOut]


class ChangedDecisionOut(View[Changed]):
    """A decision of the past that the changed policy would make otherwise."""

    receipt_id: Id
    decided_at: Moment
    tool: Annotated[str, Attr("difference.facts.tool")]
    before: Annotated[FindingOut, Attr("difference.before")]
    after: Annotated[FindingOut, Attr("difference.after")]


class PolicyTrialOut(View[PolicyDiff]):
    """`tested` decisions were made again under the changed policy, which would be called `policyHash`."""

    tested: int
    policy_hash: Hash
    different: Annotated[list[ChangedDecisionOut], Attr("changed")]


class ReplayedOut(View[Replayed]):
    receipt_id: Id
    tool: str
    recorded: VerdictName
    replayed: VerdictName
    problem: str


class ReplayOut(Out):
    """How many decisions were decided again, and those that came out differently or keep what was not signed."""

    replayed: int
    different: list[ReplayedOut]


class EvaluateOut(PlainView[Evaluated]):
    """HELM's EvaluateResponse; after `signature` the approval that is waited for, and what else is signed."""

    allow: Annotated[bool, Attr("decision.verdict", lambda verdict: verdict.value == "ALLOW")]
    verdict: Annotated[str, Attr("decision.verdict")]
    receipt_id: str
    decision_id: str
    decision_hash: Annotated[str, Attr("signed.hash")]
    reason_code: Annotated[str, Attr("decision.reason_code")]
    policy_ref: Annotated[str, Attr("decision.policy_hash")]
    lamport_clock: int
    id: Annotated[str, Attr("decision_id")]
    action: str
    resource: str
    reason: Annotated[str, Attr("decision.reason")]
    policy_version: Annotated[str, Attr("decision.policy_hash")]
    policy_decision_hash: Annotated[str, Attr("signed.hash")]
    signature: Annotated[str, Attr("signed.signature")]
    approval_id: str | None
    effect_digest: str
    subject_id: str
    key_id: str


class SignedReceiptsOut(PlainOut):
    """Receipts are receipt.v5 as they were signed; `next_cursor` goes on after the last of them."""

    receipts: list[dict[str, Any]]
    count: int
    next_cursor: str
    has_more: bool


class ReceiptSessionOut(PlainView[GatewaySession]):
    session_id: Annotated[str, Attr("name")]
    created_at: Annotated[Moment, Attr("began_at")]
    receipt_count: Annotated[int, Attr("count")]
    last_lamport_clock: Annotated[int, Attr("last_idx", lambda index: index + 1)]
