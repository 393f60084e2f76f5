"""Asking people, and their answers."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from api.schemas.base import (
    GIVEN,
    Attr,
    Body,
    Hash,
    Id,
    Integrity,
    Json,
    Level,
    LooseBody,
    Moment,
    Out,
    Paged,
    View,
    any_of,
    needed,
    one_of,
    said,
    text_ok,
)
from domain.approvals.approval import Approval, ApprovalStatus
from domain.approvals.grant import Grant
from services.approvals.external import LONGEST_WAIT

ApprovalStatusName = Literal["pending", "approved", "rejected", "changes_requested", "expired", "cancelled"]
Version = Annotated[int, Field(strict=True)]
Digest = Annotated[str, StringConstraints(min_length=12, max_length=64)]

# --- requests -------------------------------------------------------------------------------------


class ApprovalsQuery(Paged):
    status: Annotated[str, one_of(ApprovalStatus)] | None = None
    task_id: str | None = None


class GrantBody(Body):
    minutes: Annotated[int, Field(ge=1, le=43_200, strict=True)]
    max_uses: Annotated[int, Field(ge=1, le=10_000, strict=True)] | None = None
    this_task_only: bool = True


DECISIONS = (ApprovalStatus.APPROVED, ApprovalStatus.REJECTED, ApprovalStatus.CHANGES_REQUESTED)


class ResolveBody(LooseBody):
    model_config = needed("status")

    status: Annotated[Any, any_of(DECISIONS)] = None
    note: Annotated[str, StringConstraints(max_length=2000)] | None = None
    version: Version | None = None
    digest: Digest | None = None
    grant: GrantBody | None = None


class EditBody(Body):
    input: dict[str, Any]
    version: Version


class AskBody(Body):
    action: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,119}$")]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(said)]
    input: Annotated[dict[str, Any], Field(default_factory=dict)]
    title: Annotated[str, StringConstraints(max_length=200), AfterValidator(text_ok)] = ""
    effect_level: Literal["E0", "E1", "E2", "E3"] = "E3"
    expires_in_seconds: Annotated[int, Field(ge=60, le=604_800, strict=True)] | None = None
    callback_url: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = None
    callback_secret: (
        Annotated[str, StringConstraints(min_length=16, max_length=256), AfterValidator(text_ok)] | None
    ) = None


class WaitQuery(LooseBody):
    wait: Annotated[float, Field(ge=0, le=LONGEST_WAIT)] = 0.0


class BatchItem(Body):
    id: str
    version: Version
    digest: Digest
    status: Annotated[str, one_of((ApprovalStatus.APPROVED, ApprovalStatus.REJECTED))]


class BatchBody(Body):
    items: Annotated[list[BatchItem], Field(min_length=1, max_length=50)]


# --- answers --------------------------------------------------------------------------------------


class ApprovalOut(View[Approval]):
    """`actionHash` names exactly what was shown; it is the digest a decision may carry."""

    id: Id
    workspace_id: Id
    task_id: Id | None
    run_id: Id | None
    step_id: Id | None
    action: str
    action_input: Any
    action_hash: Hash
    effect_level: Annotated[Level, Attr("effect")]
    policy_version: str
    approval_context: Json
    reason: str
    status: ApprovalStatusName
    version: int
    quorum: int
    deciders: Annotated[list[str], Attr("approver_rule.named")]
    approved_by: Annotated[list[str], GIVEN]
    requested_by: str
    resolved_by: str | None
    resolved_via: Literal["chat", "mini_app", "api", "cli", "system"] | None
    resolution_note: str | None
    grant_id: Id | None
    requested_at: Moment
    resolved_at: Moment | None
    execute_after: Moment | None
    expires_at: Moment | None
    integrity: Integrity


class BatchOut(Out):
    """What became of one of the named approvals; with `error` and `code` when not `ok`."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow", strict=True)

    id: str
    ok: bool
    approval: ApprovalOut | None = None
    error: str | None = None
    code: str | None = None


class GrantOut(View[Grant]):
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
    integrity: Integrity
