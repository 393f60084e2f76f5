"""Approvals with their votes, standing grants, and calls that other agents asked about."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from storage.tables.base import ID, created, identifier, metadata, workspace
from storage.types import Json, UtcDateTime

approvals = Table(
    "approvals",
    metadata,
    identifier(),
    workspace(),
    Column("task_id", ID),
    Column("run_id", ID),
    Column("step_id", ID),
    Column("action", String(120), nullable=False),
    Column("action_input", Json),
    Column("action_hash", String(64), nullable=False),
    Column("effect", Integer, nullable=False),
    Column("policy_version", String(80), nullable=False),
    Column("approval_context", Json, nullable=False),
    Column("reason", Text, nullable=False),
    Column("status", String(24), nullable=False),
    Column("version", Integer, nullable=False),
    Column("quorum", Integer, nullable=False),
    Column("deciders", Json),
    Column("requested_by", String(80), nullable=False),
    Column("resolved_by", String(80)),
    Column("resolved_via", String(16)),
    Column("resolution_note", Text),
    Column("grant_id", ID),
    Column("callback_url", Text),
    Column("callback_secret", Text),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("resolved_at", UtcDateTime),
    Column("execute_after", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("reminded", Integer, nullable=False, server_default="0"),
    Index("ix_approvals_workspace_status", "workspace_id", "status", "requested_at"),
    Index("ix_approvals_expiry", "status", "expires_at"),
)

approval_votes = Table(
    "approval_votes",
    metadata,
    Column("approval_id", ID, ForeignKey("approvals.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("user_id", ID, primary_key=True),
    Column("workspace_id", ID, nullable=False),
    Column("vote", String(16), nullable=False),
    created(),
)

grants = Table(
    "grants",
    metadata,
    identifier(),
    workspace(index=True),
    Column("tool", String(120), nullable=False),
    Column("scope", Json, nullable=False),
    Column("task_id", ID),
    Column("max_uses", Integer),
    Column("uses", Integer, nullable=False),
    Column("max_effect", Integer, nullable=False),
    Column("created_by", ID, nullable=False),
    Column("approval_id", ID),
    created(),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("revoked_by", ID),
)

# calls that agents of others asked about: `idx` is the place of the decision's receipt in the log
evaluations = Table(
    "evaluations",
    metadata,
    Column("workspace_id", ID, ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("session", String(200), nullable=False),
    Column("call_digest", String(64), nullable=False),
    Column("approval_id", ID),
    # the approval's answer has served, or is too old to
    Column("used", Boolean, nullable=False),
    created(),
    Index("ix_evaluations_session", "workspace_id", "session", "idx"),
    Index("ix_evaluations_call", "workspace_id", "call_digest", "idx"),
)
