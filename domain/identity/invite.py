"""Invitations into a workspace."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """An invitation into one workspace, bound to an address when one was given."""

    id: str
    workspace_id: str
    token_hash: str
    role: str
    email: str | None
    created_by: str
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    accepted_by: str | None
    revoked_at: datetime | None
