"""Notes of a workspace: its knowledge."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One page of knowledge."""

    id: str
    workspace_id: str
    type: str
    title: str
    body: str
    tags: list[str]
    created_by: str | None
    created_at: datetime
    updated_at: datetime
