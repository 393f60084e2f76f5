"""Workspaces, their members, settings and secrets, and the person."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, Field, SecretStr, SkipValidation, StringConstraints, field_validator

from api.schemas.base import (
    GIVEN,
    Attr,
    Body,
    From,
    Id,
    Integrity,
    Json,
    LooseBody,
    ModeName,
    Moment,
    Out,
    RoleName,
    View,
    any_of,
    needed,
    one_of,
    said,
    text_ok,
)
from domain.identity.actor import Role
from domain.identity.invite import Invite
from domain.identity.user import User
from domain.policy.settings_schema import BudgetConfig, ModelConfig, PolicyConfig
from domain.runs.task import Mode
from domain.workspaces.secret import Secret
from domain.workspaces.workspace import Member, Workspace
from services.workspaces.settings import SettingsView

# --- requests -------------------------------------------------------------------------------------

Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(said)]
Uuid = Annotated[str, StringConstraints(min_length=36, max_length=36)]


class NamedBody(Body):
    name: Name

    @field_validator("name")
    @classmethod
    def _clean(cls, value: str) -> str:
        return text_ok(value)


class NewInvite(LooseBody):
    role: Annotated[str, one_of((Role.MEMBER, Role.PARTNER))] = "member"
    email: str | None = None


class ModeBody(LooseBody):
    model_config = needed("mode")

    mode: Annotated[Any, any_of(Mode)] = None


class SettingsBody(LooseBody):
    """What is given is merged into what is stored: `domain.policy.settings_schema` checks it, as a whole."""

    policy_config: SkipValidation[PolicyConfig] | None = None
    budget_config: SkipValidation[BudgetConfig] | None = None
    model_config_: SkipValidation[ModelConfig] | None = Field(default=None, alias="modelConfig")


class RoleBody(Body):
    role: Role


class OwnerBody(Body):
    user_id: Uuid


class DeleteQuery(Body):
    grace_days: Annotated[int, Field(ge=0, le=365)] = 30


class NewSecret(Body):
    value: Annotated[SecretStr, Field(min_length=1, max_length=10_000)]
    expires_at: AwareDatetime | None = None


class NewTenant(Body):
    name: Annotated[Name, AfterValidator(text_ok)]
    owner_user_id: Uuid


class Closing(Body):
    reason: Annotated[str, StringConstraints(max_length=500), AfterValidator(text_ok)] | None = None
    grace_days: Annotated[int, Field(strict=True, ge=0, le=365)] = 30


class PageQuery(Body):
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    after: Uuid | None = None


class CleanQuery(Body):
    limit: Annotated[int, Field(ge=1, le=500)] = 50


# --- answers --------------------------------------------------------------------------------------


class UserOut(View[User]):
    id: Id
    name: str
    email: str | None
    telegram_id: Annotated[str | None, Attr(convert=lambda number: None if number is None else str(number))]
    username: str | None
    language: str | None
    photo_url: str | None


class PlaceOut(View[Workspace]):
    id: Id
    name: str
    role: Annotated[RoleName, GIVEN]
    current_mode: ModeName


class MeOut(Out):
    user: UserOut
    workspaces: list[PlaceOut]


class ErasedOut(Out):
    deleted: Literal[True]
    deleted_workspaces: list[Id]
    erasure_receipt_ref: str | None


class WorkspaceOut(View[Workspace]):
    id: Id
    name: str
    current_mode: ModeName
    owner_id: Id
    compliance_frameworks: list[str]
    created_at: Moment
    updated_at: Moment


class MyWorkspaceOut(WorkspaceOut):
    role: Annotated[RoleName, GIVEN]


class MemberOut(View[Member]):
    id: Id
    workspace_id: Id
    user_id: Id
    role: RoleName
    joined_at: Moment
    name: str


class WorkspaceWithMembers(WorkspaceOut):
    members: Annotated[list[MemberOut], GIVEN]


class ClosedOut(View[Workspace]):
    """A closed workspace can be restored until `purgeAt`."""

    id: Id
    deleted_at: Moment
    purge_at: Moment


class TenantOut(Out):
    workspace: WorkspaceOut
    evidence_item_id: Id


class TenantClosedOut(ClosedOut):
    evidence_item_id: Annotated[Id, GIVEN]


class CleanedOut(Out):
    removed: int


class SettingsOut(View[SettingsView]):
    """All three sections, defaults filled in. `version` counts the changes."""

    workspace_id: Id
    policy_config: Annotated[Json, From(lambda view: view.settings.policy.as_json())]
    budget_config: Annotated[Json, From(lambda view: view.settings.budget.as_json())]
    model_config_: Annotated[Json, From(lambda view: view.settings.model.as_json())] = Field(alias="modelConfig")
    version: int
    evidence_item_id: Annotated[Id | None, GIVEN] = None
    integrity: Integrity


class ModeOut(View[Workspace]):
    id: Id
    current_mode: ModeName


class NewInviteOut(View[Invite]):
    """`inviteToken` and `inviteUrl` are shown this once."""

    id: Id
    invite_url: Annotated[str, GIVEN]
    invite_token: Annotated[str, GIVEN]
    role: Literal["partner", "member"]
    expires_in: Annotated[str, GIVEN]
    expires_at: Moment
    evidence_item_id: Annotated[Id | None, GIVEN]
    sent_to: Annotated[str | None, GIVEN] = None


class InviteOut(View[Invite]):
    id: Id
    role: Literal["partner", "member"]
    email: str | None
    created_by: Id
    created_at: Moment
    expires_at: Moment
    accepted_at: Moment | None
    revoked_at: Moment | None


class SecretOut(View[Secret]):
    kind: str
    key_version: int
    expires_at: Moment | None
    created_at: Moment
    updated_at: Moment


class SecretsOut(Out):
    secrets: list[SecretOut]


class SecretStored(View[Secret]):
    stored: Annotated[Literal[True], From(lambda _: True)]
    kind: str
    expires_at: Moment | None


class SecretVerified(Out):
    ok: Literal[True]
