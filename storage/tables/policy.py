"""A workspace's settings, the policies that were in force, and how the sidecar was."""

from sqlalchemy import Boolean, Column, ForeignKey, Integer, String, Table, Text

from storage.tables.base import ID, created, identifier, metadata
from storage.types import Json, UtcDateTime

workspace_settings = Table(
    "workspace_settings",
    metadata,
    Column("workspace_id", ID, ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("policy_config", Json, nullable=False),
    Column("budget_config", Json, nullable=False),
    Column("model_config", Json, nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column("workspace_id", ID, ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("policy_hash", String(64), primary_key=True),
    Column("snapshot", Text, nullable=False),
    created(),
)

helm_snapshots = Table(
    "helm_health_snapshots",
    metadata,
    identifier(),
    Column("gateway_ok", Boolean, nullable=False),
    Column("version", String(40)),
    Column("latency_ms", Integer, nullable=False),
    Column("error", Text),
    Column("checked_at", UtcDateTime, nullable=False, index=True),
)
