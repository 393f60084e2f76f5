"""Workspaces and their members."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A workspace; `deleted_at` starts the grace in which it can be restored, `purge_at` ends it."""

    id: str
    name: str
    owner_id: str
    current_mode: str
    compliance_frameworks: list[str]
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    purge_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Who belongs to a workspace, in which role."""

    id: str
    workspace_id: str
    user_id: str
    role: str
    joined_at: datetime
    name: str
    email: str | None
    username: str | None
