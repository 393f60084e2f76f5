"""What a person or a program proves itself with: sessions, API keys, codes sent by mail."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One login or a rotation of it; `family_id` joins them. The token itself is nowhere."""

    id: str
    family_id: str
    token_hash: str
    user_id: str
    channel: str
    csrf_hash: str | None
    user_agent: str | None
    ip: str | None
    created_at: datetime
    authenticated_at: datetime
    expires_at: datetime
    rotated_at: datetime | None
    successor_sealed: str | None
    grace_until: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key of one workspace. `scopes` None = whatever the role allows a key."""

    id: str
    workspace_id: str
    user_id: str
    name: str
    prefix: str
    key_hash: str
    role: str
    scopes: list[str] | None
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailCode:
    """The one live code of an address."""

    id: str
    email: str
    purpose: str
    code_hash: str
    link_hash: str
    attempts: int
    first_attempt_at: datetime | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
