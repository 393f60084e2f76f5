"""What was done: audit lines, receipts in their Merkle log, violations, and events for whoever watches."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, text

from storage.tables.base import ID, created, identifier, metadata, workspace
from storage.types import Json, UtcDateTime

violations = Table(
    "policy_violations",
    metadata,
    identifier(),
    workspace(),
    Column("policy_rule", String(120), nullable=False),
    Column("violation", Text, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("action", String(120), nullable=False),
    Column("blocked", Boolean, nullable=False),
    Column("metadata", Json, nullable=False),
    created(),
    Index("ix_policy_violations_workspace_created", "workspace_id", "created_at", "id"),
)

audit_log = Table(
    "audit_log",
    metadata,
    identifier(),
    # no foreign key: an erased workspace's audit trail of the deletion itself stays
    Column("workspace_id", ID),
    Column("action", String(80), nullable=False),
    Column("actor", String(80), nullable=False),
    Column("target", String(200)),
    Column("verdict", String(16), nullable=False),
    Column("reason", Text),
    Column("metadata", Json, nullable=False),
    # of the hash of this line in its receipt; None for lines of before, and for those that have no receipt
    Column("salt", String(32)),
    created(),
    Index("ix_audit_log_workspace_created", "workspace_id", "created_at", "id"),
)

# What is looked up when a call is decided: changes of settings, mode, permissions and tools, and erasures. There are
# few of them among many receipts, so that an index of theirs costs an ordinary append nothing.
RARE = (
    "api_key:created",
    "api_key:revoked",
    "grant:created",
    "grant:revoked",
    "mcp:changed",
    "operator:created",
    "operator:updated",
    "policy:kill_switch_changed",
    "user:erased",
    "workspace:created",
    "workspace:mode_changed",
    "workspace:purged",
    "workspace:settings_created",
    "workspace:settings_updated",
)

IS_RARE = "action IN ({})".format(", ".join(f"'{action}'" for action in RARE))

receipts = Table(
    "receipts",
    metadata,
    Column("workspace_id", ID, primary_key=True),
    Column("idx", BigInteger, primary_key=True),
    Column("id", ID, nullable=False, unique=True),
    Column("decision_id", String(80), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("reason_code", String(64), nullable=False),
    Column("action", String(120), nullable=False),
    Column("resource", String(200), nullable=False),
    Column("principal", String(120), nullable=False),
    Column("task_id", ID),
    Column("run_id", ID),
    Column("step_id", ID),
    Column("approval_id", ID),
    Column("policy_hash", String(64), nullable=False),
    # the exact signed bytes; never serialised again
    Column("leaf", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    created(),
    Index("ix_receipts_decision", "workspace_id", "decision_id"),
    Index("ix_receipts_task", "workspace_id", "task_id"),
    Index(
        "ix_receipts_rare",
        "workspace_id",
        "resource",
        "idx",
        sqlite_where=text(IS_RARE),
        postgresql_where=text(IS_RARE),
    ),
)

log_heads = Table(
    "log_heads",
    metadata,
    Column("workspace_id", ID, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("chain_hash", String(64), nullable=False),
    Column("lamport", BigInteger, nullable=False),
    # right-edge hashes of complete subtrees, 32 bytes each
    Column("frontier", LargeBinary, nullable=False),
)

log_nodes = Table(
    "log_nodes",
    metadata,
    Column("workspace_id", ID, primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("idx", BigInteger, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("workspace_id", ID, primary_key=True),
    Column("size", BigInteger, primary_key=True),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    created(),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("key_id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("public", String(64), nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("retired_at", UtcDateTime),
)

# what receipts only hash: erasing these leaves the log whole
payloads = Table(
    "payloads",
    metadata,
    Column("workspace_id", ID, primary_key=True),
    Column("receipt_id", ID, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("salt", String(64), nullable=False),
    Column("body", Text),
    Column("erased_at", UtcDateTime),
)

events = Table(
    "events",
    metadata,
    Column("workspace_id", ID, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("ref", ID, nullable=False),
    Column("payload", Json, nullable=False),
    created(),
    Index("ix_events_created", "created_at"),
)

event_heads = Table(
    "event_heads",
    metadata,
    Column("workspace_id", ID, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)
