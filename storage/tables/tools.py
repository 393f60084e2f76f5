"""Operators, the notes they keep, and MCP servers whose tools they use."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, UniqueConstraint

from storage.tables.base import ID, created, identifier, metadata, workspace
from storage.types import Json, UtcDateTime

operators = Table(
    "operators",
    metadata,
    identifier(),
    workspace(index=True),
    Column("name", String(200), nullable=False),
    Column("role", String(32), nullable=False),
    Column("goal", Text, nullable=False),
    Column("constraints", Json, nullable=False),
    Column("tools", Json, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("max_iterations", Integer, nullable=False),
    Column("budget_micros", BigInteger),
    created(),
    Column("updated_at", UtcDateTime, nullable=False),
)

notes = Table(
    "notes",
    metadata,
    identifier(),
    workspace(),
    Column("type", String(50), nullable=False),
    Column("title", String(500), nullable=False),
    Column("body", Text, nullable=False),
    Column("tags", Json, nullable=False),
    Column("idempotency_key", String(80), unique=True),
    Column("created_by", ID),
    created(),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("ix_notes_workspace_created", "workspace_id", "created_at"),
)

mcp_servers = Table(
    "mcp_servers",
    metadata,
    identifier(),
    workspace(),
    Column("name", String(40), nullable=False),
    Column("transport", Json, nullable=False),
    Column("tools", Json, nullable=False),
    Column("effects", Json, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("error", Text),
    created(),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("workspace_id", "name"),
)
