"""Getting in and out: mail codes, Telegram, API keys, sessions, invites."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from api.schemas.base import (
    GIVEN,
    AnyText,
    Attr,
    Body,
    Id,
    LooseBody,
    MaybeText,
    Moment,
    Out,
    RoleName,
    View,
    needed,
    said,
)
from domain.identity.actor import Role
from domain.identity.credentials import ApiKey, Session
from services.identity.sessions import Login


class EmailRequest(LooseBody):
    model_config = needed("email")

    email: AnyText = None


class EmailVerify(LooseBody):
    model_config = needed("email", "code")

    email: AnyText = None
    code: AnyText = None


# the token of an invite that somebody new comes with
InviteToken = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class LinkLogin(Body):
    token: Annotated[str, StringConstraints(min_length=20, max_length=200)]
    invite: InviteToken | None = None


class TelegramLogin(LooseBody):
    init_data: MaybeText = None
    invite: InviteToken | None = None


class BrowserReturn(Body):
    code: Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(said)]
    state: Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(said)]
    invite: InviteToken | None = None


class NewKey(LooseBody):
    name: Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(said)] = "default"
    role: Role | None = None
    scopes: Annotated[list[str], Field(max_length=50)] | None = None
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = None


class AcceptInvite(LooseBody):
    email: MaybeText = None
    code: MaybeText = None


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


class LoginOut(View[Login]):
    """A fresh session: `token` for `Authorization: Bearer`, `csrfToken` for cookie clients."""

    token: str
    csrf_token: Annotated[str, Attr("csrf")]
    user: Annotated[LoginUser, GIVEN]
    workspace: Annotated[Named, GIVEN]
    role: RoleName
    expires_at: Moment
    evidence_item_id: Annotated[Id | None, Attr("evidence_id")]


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


class NewKeyOut(View[ApiKey]):
    """`key` is shown this once."""

    key: Annotated[str, GIVEN]
    id: Id
    name: str
    role: RoleName
    scopes: list[str] | None
    expires_at: Moment
    evidence_item_id: Annotated[Id | None, GIVEN]


class ApiKeyOut(View[ApiKey]):
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


class SessionOut(View[Session]):
    """One login; `id` stays the same when its token rotates."""

    id: Annotated[Id, Attr("family_id")]
    channel: str
    user_agent: str | None
    current: Annotated[bool, GIVEN]
    created_at: Annotated[Moment, Attr("authenticated_at")]
    expires_at: Moment


class Revoked(Out):
    revoked: int
