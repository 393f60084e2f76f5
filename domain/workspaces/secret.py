"""Secrets of a workspace, and the failure to open one."""

from dataclasses import dataclass
from datetime import datetime

from domain.errors import PilotError


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One secret of a workspace. `kind` says what it is for; `sealed` opens only with the vault."""

    id: str
    workspace_id: str
    kind: str
    sealed: str
    key_version: int
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


class CannotOpen(PilotError):
    """What was stored cannot be decrypted with the present key."""

    status = 422
    code = "decryption_failed"
