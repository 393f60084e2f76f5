"""Standing permissions: what a person allowed for more than one call."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.integrity import differs_field


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A standing permission given from a card: `tool` within `scope`, until it expires, is used up or revoked."""

    id: str
    workspace_id: str
    tool: str
    scope: dict[str, Any]
    task_id: str | None
    max_uses: int | None
    uses: int
    max_effect: int
    created_by: str
    approval_id: str | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    differs: tuple[str, ...] = differs_field()
