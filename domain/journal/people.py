"""What is recorded of logins, workspaces and who belongs to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.identity.actor import Channel, Role
from domain.journal.entry import ReceiptFields, Written
from domain.ledger.audit import AuditAction
from domain.receipts.receipt import Kind

# --- logging in ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outside:
    """Something that happened before anybody was in a workspace: it has no receipt."""

    kind = None
    workspace_id = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRequested(_Outside):
    """A login code was sent to an address; `actor` is its hash."""

    action = AuditAction.AUTH_EMAIL_REQUESTED

    actor: str

    def written(self) -> Written:
        return Written()


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRefused(_Outside):
    """A login code was wrong, used or too old; `actor` is the hash of the address."""

    action = AuditAction.AUTH_EMAIL_REFUSED

    actor: str

    def written(self) -> Written:
        return Written(verdict="deny", reason="wrong, used or expired code")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchDataRefused(_Outside):
    """Somebody came with launch data that does not hold."""

    action = AuditAction.AUTH_TELEGRAM_REFUSED
    actor = "anonymous"

    why: str

    def written(self) -> Written:
        return Written(verdict="deny", reason=self.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserLoginRefused(_Outside):
    """A login by an identity provider did not come to its end."""

    action = AuditAction.AUTH_REFUSED
    actor = "system"

    why: str

    def written(self) -> Written:
        return Written(verdict="deny", reason=self.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class _LoggedIn:
    kind = Kind.LOGIN

    workspace_id: str
    user_id: str
    channel: Channel
    first: bool

    @property
    def actor(self) -> str:
        return f"user:{self.user_id}"

    def written(self) -> Written:
        details = {"channel": self.channel.value, **({"firstLogin": True} if self.first else {})}
        return Written(target=self.user_id, details=details)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedInByMail(_LoggedIn):
    """A person proved a mail address."""

    action = AuditAction.AUTH_EMAIL_VERIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedInByTelegram(_LoggedIn):
    """A person came with launch data that Telegram signed."""

    action = AuditAction.AUTH_TELEGRAM_VERIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedInByProvider(_LoggedIn):
    """An identity provider vouched for a person."""

    action = AuditAction.AUTH_OIDC_VERIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedOut:
    """A person ended their login; without a workspace that they are at home in, there is no receipt."""

    action = AuditAction.AUTH_SESSION_DELETED
    kind = Kind.LOGIN

    workspace_id: str | None
    user_id: str

    @property
    def actor(self) -> str:
        return f"user:{self.user_id}"

    def written(self) -> Written:
        return Written(target=self.user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsRevoked(_Outside):
    """A person ended one of their logins, or all of them (`family_id` None)."""

    action = AuditAction.AUTH_SESSIONS_REVOKED

    actor: str
    family_id: str | None
    count: int

    def written(self) -> Written:
        return Written(target=self.family_id, details={"count": self.count})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused:
    """A request was refused at the door; `route` is what was asked for."""

    action = AuditAction.REQUEST_REFUSED
    kind = None

    workspace_id: str | None
    actor: str
    route: str
    code: str

    def written(self) -> Written:
        return Written(target=self.route, verdict="deny", reason=self.code)


# --- workspaces and who belongs to them ---------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Membership:
    kind = Kind.MEMBERSHIP

    workspace_id: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceCreated(_Membership):
    """A workspace was made."""

    action = AuditAction.WORKSPACE_CREATED

    name: str
    mode: str

    def written(self) -> Written:
        receipt = ReceiptFields(args={"name": self.name}, metadata={"mode": self.mode})
        return Written(target=self.workspace_id, receipt=receipt)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceRenamed(_Membership):
    """A workspace got another name."""

    action = AuditAction.WORKSPACE_RENAMED

    before: str
    name: str

    def written(self) -> Written:
        return Written(target=self.workspace_id, details={"from": self.before, "to": self.name})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceDeleted(_Membership):
    """A workspace was closed; it can be opened again for `grace_days`."""

    action = AuditAction.WORKSPACE_DELETED

    grace_days: int
    reason: str | None

    def written(self) -> Written:
        return Written(target=self.workspace_id, reason=self.reason, details={"graceDays": self.grace_days})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceRestored(_Membership):
    """A closed workspace was opened again."""

    action = AuditAction.WORKSPACE_RESTORED

    def written(self) -> Written:
        return Written(target=self.workspace_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspacePurged:
    """A closed workspace was removed; what people wrote is erased, the log stays."""

    action = AuditAction.WORKSPACE_PURGED
    kind = Kind.MEMBERSHIP
    actor = "system"

    workspace_id: str

    def written(self) -> Written:
        return Written(target=self.workspace_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceTransferred(_Membership):
    """Another member owns the workspace now."""

    action = AuditAction.WORKSPACE_TRANSFERRED

    user_id: str
    before: str

    def written(self) -> Written:
        return Written(target=self.user_id, details={"from": self.before})


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRoleChanged(_Membership):
    """A member got another role."""

    action = AuditAction.MEMBER_ROLE_CHANGED

    user_id: str
    role: Role

    def written(self) -> Written:
        return Written(target=self.user_id, details={"role": self.role.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRemoved(_Membership):
    """A member was taken out."""

    action = AuditAction.MEMBER_REMOVED

    user_id: str

    def written(self) -> Written:
        return Written(target=self.user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLeft(_Membership):
    """A member left; `erased` when the person is gone altogether."""

    action = AuditAction.MEMBER_LEFT

    user_id: str
    erased: bool = False

    def written(self) -> Written:
        return Written(target=self.user_id, details={"erased": True} if self.erased else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class UserErased(_Membership):
    """A person was erased, with the workspace they had for themselves."""

    action = AuditAction.USER_ERASED

    user_id: str

    def written(self) -> Written:
        return Written(target=self.user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteCreated(_Membership):
    """Somebody was invited; `bound` to a mail address or not."""

    action = AuditAction.WORKSPACE_INVITE_CREATED

    invite_id: str
    role: Role
    bound: bool

    def written(self) -> Written:
        return Written(target=self.invite_id, details={"role": self.role.value, "bound": self.bound})


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteAccepted(_Membership):
    """An invited person became a member."""

    action = AuditAction.WORKSPACE_INVITE_ACCEPTED

    user_id: str
    invite_id: str
    role: str

    def written(self) -> Written:
        return Written(target=self.user_id, details={"role": self.role, "inviteId": self.invite_id})


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteRevoked(_Membership):
    """An invitation was taken back."""

    action = AuditAction.WORKSPACE_INVITE_REVOKED

    invite_id: str

    def written(self) -> Written:
        return Written(target=self.invite_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyCreated(_Membership):
    """An API key was made; `scopes` None for whatever its role allows."""

    action = AuditAction.API_KEY_CREATED

    key_id: str
    role: str
    scopes: Sequence[str] | None

    def written(self) -> Written:
        details: Mapping[str, Any] = {"role": self.role, "scopes": self.scopes}
        return Written(target=self.key_id, details=details)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRevoked(_Membership):
    """An API key was ended."""

    action = AuditAction.API_KEY_REVOKED

    key_id: str

    def written(self) -> Written:
        return Written(target=self.key_id)
