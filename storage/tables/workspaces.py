"""Workspaces, their members and their sealed secrets."""

from sqlalchemy import Column, ForeignKey, Integer, String, Table, Text, UniqueConstraint

from storage.tables.base import ID, created, identifier, metadata, workspace
from storage.types import Json, UtcDateTime

workspaces = Table(
    "workspaces",
    metadata,
    identifier(),
    Column("name", String(200), nullable=False),
    Column("owner_id", ID, ForeignKey("users.id"), nullable=False),
    Column("current_mode", String(16), nullable=False),
    Column("compliance_frameworks", Json, nullable=False, server_default="[]"),
    created(),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("deleted_at", UtcDateTime),
    Column("purge_at", UtcDateTime, index=True),
)

workspace_members = Table(
    "workspace_members",
    metadata,
    identifier(),
    workspace(),
    Column("user_id", ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    Column("joined_at", UtcDateTime, nullable=False),
    UniqueConstraint("workspace_id", "user_id"),
)

secrets = Table(
    "secrets",
    metadata,
    identifier(),
    workspace(),
    Column("kind", String(64), nullable=False),
    Column("sealed", Text, nullable=False),
    Column("key_version", Integer, nullable=False),
    Column("expires_at", UtcDateTime),
    created(),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("workspace_id", "kind"),
)
