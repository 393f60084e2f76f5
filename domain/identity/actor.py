"""Who asks: every way in ends as one Actor."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.errors import Invalid


class Role(StrEnum):
    """What a member may do, weakest first."""

    MEMBER = "member"
    PARTNER = "partner"
    OWNER = "owner"

    @property
    def rank(self) -> int:
        return (Role.MEMBER, Role.PARTNER, Role.OWNER).index(self) + 1


class Channel(StrEnum):
    """The way a person or program came in."""

    EMAIL = "email"
    TELEGRAM = "telegram"
    OIDC = "oidc"
    API_KEY = "api_key"
    CHAT = "chat"
    CLI = "cli"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A person, or a program acting for one, in at most one workspace.

    `scopes` None means: whatever the role allows (sessions). `fresh_at` is when the person last
    proved who they are, for steps that ask for a recent proof.
    """

    user_id: str
    name: str
    channel: Channel
    workspace_id: str | None = None
    role: Role | None = None
    session_id: str | None = None
    api_key_id: str | None = None
    scopes: frozenset[str] | None = None
    fresh_at: datetime | None = None

    @property
    def principal(self) -> str:
        """How audit lines and receipts name this actor."""
        if self.api_key_id is not None:
            return f"api_key:{self.api_key_id}"
        return "system" if self.channel is Channel.SYSTEM else f"user:{self.user_id}"

    @property
    def in_workspace(self) -> str:
        """The workspace this actor is in; Invalid when none was chosen."""
        if self.workspace_id is None:
            raise Invalid("workspaceId required", code="workspace_required")
        return self.workspace_id
