"""Every table of Pilot. They stay in this room: other rooms see frozen values."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from storage.types import Json, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID = String(36)


def _id() -> Column[str]:
    return Column("id", ID, primary_key=True)


def _workspace(*, index: bool = False) -> Column[str]:
    return Column("workspace_id", ID, ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False, index=index)


def _created() -> Column[object]:
    return Column("created_at", UtcDateTime, nullable=False)


# --- who ------------------------------------------------------------------------------------------

users = Table(
    "users",
    metadata,
    _id(),
    Column("email", String(320), unique=True),
    Column("telegram_id", BigInteger, unique=True),
    Column("oidc_subject", String(255), unique=True),
    Column("name", String(200), nullable=False),
    Column("username", String(64)),
    Column("language", String(16)),
    Column("photo_url", Text),
    # the chat may be written to: set by /start, cleared when the bot is blocked
    Column("chat_open", Boolean, nullable=False, server_default=text("false")),
    Column("preferences", Json, nullable=False, server_default="{}"),
    _created(),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("erased_at", UtcDateTime),
)

workspaces = Table(
    "workspaces",
    metadata,
    _id(),
    Column("name", String(200), nullable=False),
    Column("owner_id", ID, ForeignKey("users.id"), nullable=False),
    Column("current_mode", String(16), nullable=False),
    Column("compliance_frameworks", Json, nullable=False, server_default="[]"),
    _created(),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("deleted_at", UtcDateTime),
    Column("purge_at", UtcDateTime, index=True),
)

workspace_members = Table(
    "workspace_members",
    metadata,
    _id(),
    _workspace(),
    Column("user_id", ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    Column("joined_at", UtcDateTime, nullable=False),
    UniqueConstraint("workspace_id", "user_id"),
)

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

sessions = Table(
    "sessions",
    metadata,
    _id(),
    # one login and all its rotations; logging out ends the family
    Column("family_id", ID, nullable=False, index=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("user_id", ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("channel", String(16), nullable=False),
    Column("csrf_hash", String(64)),
    Column("user_agent", String(200)),
    Column("ip", String(64)),
    _created(),
    # start of the family: step-up asks how long ago the person really proved who they are
    Column("authenticated_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("last_used_at", UtcDateTime),
    Column("rotated_at", UtcDateTime),
    # the successor's token, sealed with a key derived from the old token: parallel requests in the
    # grace period all get the same new token, and the row alone reveals none
    Column("successor_sealed", Text),
    Column("grace_until", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

email_codes = Table(
    "email_codes",
    metadata,
    _id(),
    Column("email", String(320), nullable=False, unique=True),
    Column("purpose", String(16), nullable=False),
    Column("code_hash", String(64), nullable=False),
    Column("link_hash", String(64), nullable=False, unique=True),
    Column("attempts", Integer, nullable=False),
    Column("first_attempt_at", UtcDateTime),
    _created(),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("used_at", UtcDateTime),
)

# what has been presented before: initData digests, OIDC states
seen_proofs = Table(
    "seen_proofs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("session_family", ID),
    Column("data", Json),
    _created(),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    _id(),
    _workspace(index=True),
    Column("user_id", ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("prefix", String(12), nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("scopes", Json),
    _created(),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

invites = Table(
    "invites",
    metadata,
    _id(),
    _workspace(index=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("email", String(320)),
    Column("created_by", ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    _created(),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("accepted_at", UtcDateTime),
    Column("accepted_by", ID),
    Column("revoked_at", UtcDateTime),
)

# --- work -----------------------------------------------------------------------------------------

operators = Table(
    "operators",
    metadata,
    _id(),
    _workspace(index=True),
    Column("name", String(200), nullable=False),
    Column("role", String(32), nullable=False),
    Column("goal", Text, nullable=False),
    Column("constraints", Json, nullable=False),
    Column("tools", Json, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("max_iterations", Integer, nullable=False),
    Column("budget_micros", BigInteger),
    _created(),
    Column("updated_at", UtcDateTime, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    _id(),
    _workspace(),
    Column("operator_id", ID, ForeignKey("operators.id", ondelete="SET NULL")),
    Column("parent_task_id", ID, ForeignKey("tasks.id", ondelete="SET NULL")),
    Column("title", String(500), nullable=False),
    Column("description", Text, nullable=False),
    Column("mode", String(16), nullable=False),
    Column("status", String(24), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("created_by", ID),
    Column("origin", String(16), nullable=False),
    Column("iteration_budget", Integer, nullable=False),
    Column("schedule", Json),
    Column("next_run_at", UtcDateTime),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("deadline_at", UtcDateTime),
    _created(),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("completed_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
    Index("ix_tasks_workspace_created", "workspace_id", "created_at", "id"),
    Index("ix_tasks_next_run_at", "next_run_at"),
)

runs = Table(
    "runs",
    metadata,
    _id(),
    _workspace(),
    Column("task_id", ID, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(24), nullable=False),
    # the next segment to be enqueued is segment + 1; epoch fences a segment that was given up for dead
    Column("segment", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("wake_at", UtcDateTime),
    Column("wait_reason", String(24)),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("iterations_used", Integer, nullable=False),
    Column("iteration_budget", Integer, nullable=False),
    Column("model", String(200), nullable=False),
    Column("tokens_in", BigInteger, nullable=False),
    Column("tokens_out", BigInteger, nullable=False),
    Column("cost_micros", BigInteger, nullable=False),
    Column("history", Json),
    Column("history_steps", Integer, nullable=False, server_default="0"),
    Column("context", Text, nullable=False),
    Column("started_by", ID),
    Column("origin", Json, nullable=False),
    Column("summary", Text),
    Column("error", Text),
    Column("error_code", String(64)),
    Column("parent_run_id", ID),
    Column("root_run_id", ID),
    Column("budget_micros", BigInteger),
    # what a model call under way may cost at most: other runs must not count on it
    Column("reserved_micros", BigInteger, nullable=False, server_default="0"),
    # the part of it that the installation may have to pay: other workspaces must not count on it either
    Column("reserved_installation_micros", BigInteger, nullable=False, server_default="0"),
    # the last words of an answer that a model is writing
    Column("partial_text", Text),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("deadline_at", UtcDateTime),
    _created(),
    Column("started_at", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("completed_at", UtcDateTime),
    UniqueConstraint("task_id", "number"),
    Index("ix_runs_workspace_created", "workspace_id", "created_at"),
    Index("ix_runs_wake_at", "wake_at"),
    Index("ix_runs_state", "state"),
    # only the few that hold something back are in it
    Index(
        "ix_runs_reserved",
        "workspace_id",
        sqlite_where=text("reserved_micros > 0"),
        postgresql_where=text("reserved_micros > 0"),
    ),
    Index(
        "ix_runs_reserved_installation",
        "state",
        sqlite_where=text("reserved_installation_micros > 0"),
        postgresql_where=text("reserved_installation_micros > 0"),
    ),
)

steps = Table(
    "steps",
    metadata,
    _id(),
    _workspace(),
    Column("run_id", ID, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("task_id", ID, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("tool", String(120), nullable=False),
    Column("effect", Integer, nullable=False),
    Column("call_id", String(120), nullable=False),
    Column("args", Json),
    Column("args_hash", String(64), nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("state", String(24), nullable=False),
    Column("verdict", String(16)),
    Column("reason_code", String(64)),
    Column("rule_id", String(120)),
    Column("reason", Text),
    Column("policy_hash", String(64)),
    Column("decision_receipt_id", ID),
    Column("outcome_receipt_id", ID),
    Column("approval_id", ID),
    Column("output", Json),
    Column("output_hash", String(64)),
    Column("error", Text),
    Column("model", String(200), nullable=False, server_default=""),
    Column("tokens_in", BigInteger, nullable=False, server_default="0"),
    Column("tokens_out", BigInteger, nullable=False, server_default="0"),
    Column("cost_micros", BigInteger, nullable=False, server_default="0"),
    _created(),
    Column("started_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    UniqueConstraint("run_id", "seq"),
    Index("ix_steps_workspace_created", "workspace_id", "created_at"),
)

# a call that leaves the process: the intent is committed before it, the outcome after it
effects = Table(
    "effects",
    metadata,
    _id(),
    _workspace(index=True),
    Column("run_id", ID, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("step_id", ID, ForeignKey("steps.id", ondelete="CASCADE"), nullable=False),
    Column("idempotency_key", String(80), nullable=False, unique=True),
    Column("tool", String(120), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("resolved_by", ID),
    Column("resolution", String(16)),
    _created(),
    Column("finished_at", UtcDateTime),
)

notes = Table(
    "notes",
    metadata,
    _id(),
    _workspace(),
    Column("type", String(50), nullable=False),
    Column("title", String(500), nullable=False),
    Column("body", Text, nullable=False),
    Column("tags", Json, nullable=False),
    Column("idempotency_key", String(80), unique=True),
    Column("created_by", ID),
    _created(),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("ix_notes_workspace_created", "workspace_id", "created_at"),
)

spend = Table(
    "spend",
    metadata,
    Column("workspace_id", ID, ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("day", String(10), primary_key=True),
    # "" for work without an operator: a primary key may not hold NULL
    Column("operator_id", String(36), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("tokens_in", BigInteger, nullable=False),
    Column("tokens_out", BigInteger, nullable=False),
    Column("cost_micros", BigInteger, nullable=False),
    # the part of the cost that is a guess: no price is known, or no tokens were reported
    Column("guessed_micros", BigInteger, nullable=False, server_default="0"),
    Column("calls", Integer, nullable=False),
)

# the same money by task; kept apart so that a day's sum stays a sum over a few rows
task_spend = Table(
    "task_spend",
    metadata,
    Column("workspace_id", ID, ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("task_id", ID, primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("tokens_in", BigInteger, nullable=False),
    Column("tokens_out", BigInteger, nullable=False),
    Column("cost_micros", BigInteger, nullable=False),
    Column("guessed_micros", BigInteger, nullable=False, server_default="0"),
    Column("calls", Integer, nullable=False),
    Index("ix_task_spend_workspace_day", "workspace_id", "day"),
)

# what the installation's own keys paid for all workspaces together; it does not go with any of them
installation_spend = Table(
    "installation_spend",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("cost_micros", BigInteger, nullable=False),
)

# --- governance -----------------------------------------------------------------------------------

approvals = Table(
    "approvals",
    metadata,
    _id(),
    _workspace(),
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
    _created(),
)

grants = Table(
    "grants",
    metadata,
    _id(),
    _workspace(index=True),
    Column("tool", String(120), nullable=False),
    Column("scope", Json, nullable=False),
    Column("task_id", ID),
    Column("max_uses", Integer),
    Column("uses", Integer, nullable=False),
    Column("max_effect", Integer, nullable=False),
    Column("created_by", ID, nullable=False),
    Column("approval_id", ID),
    _created(),
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
    _created(),
    Index("ix_evaluations_session", "workspace_id", "session", "idx"),
    Index("ix_evaluations_call", "workspace_id", "call_digest", "idx"),
)

policies = Table(
    "policies",
    metadata,
    Column("workspace_id", ID, ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("policy_hash", String(64), primary_key=True),
    Column("snapshot", Text, nullable=False),
    _created(),
)

violations = Table(
    "policy_violations",
    metadata,
    _id(),
    _workspace(),
    Column("policy_rule", String(120), nullable=False),
    Column("violation", Text, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("action", String(120), nullable=False),
    Column("blocked", Boolean, nullable=False),
    Column("metadata", Json, nullable=False),
    _created(),
    Index("ix_policy_violations_workspace_created", "workspace_id", "created_at", "id"),
)

audit_log = Table(
    "audit_log",
    metadata,
    _id(),
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
    _created(),
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
    _created(),
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
    _created(),
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

# --- moving parts ---------------------------------------------------------------------------------

events = Table(
    "events",
    metadata,
    Column("workspace_id", ID, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("ref", ID, nullable=False),
    Column("payload", Json, nullable=False),
    _created(),
    Index("ix_events_created", "created_at"),
)

event_heads = Table(
    "event_heads",
    metadata,
    Column("workspace_id", ID, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    _id(),
    Column("workspace_id", ID),
    # telegram | email | callback
    Column("channel", String(16), nullable=False),
    # messages of one recipient leave in order
    Column("recipient", String(320), nullable=False),
    Column("payload", Json, nullable=False),
    Column("dedupe_key", String(120), unique=True),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("error", Text),
    Column("result", Json),
    Column("claimed_until", UtcDateTime),
    _created(),
    Column("sent_at", UtcDateTime),
    Index("ix_outbox_due", "state", "not_before"),
)

# where a thing is shown in chat, so that every copy can be edited to the truth
chat_messages = Table(
    "chat_messages",
    metadata,
    _id(),
    Column("workspace_id", ID),
    # approval | batch | run | uncertain | deny | changes | edit
    Column("kind", String(16), nullable=False),
    Column("ref", ID, nullable=False),
    Column("chat_id", BigInteger, nullable=False),
    Column("message_id", BigInteger, nullable=False),
    Column("user_id", ID),
    Column("shown", Text, nullable=False),
    _created(),
    UniqueConstraint("chat_id", "message_id"),
    Index("ix_chat_messages_ref", "kind", "ref"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("update_id", BigInteger, primary_key=True, autoincrement=False),
    Column("raw", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    Column("claimed_until", UtcDateTime),
    Column("received_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
    # what updates stay in order by (the chat); empty in rows of before, filled in when they are claimed
    Column("chat_key", String(40)),
    # tries begun since one last came back: more than one means that a process died over it
    Column("starts", Integer, nullable=False, server_default="0"),
    Index("ix_inbox_state", "state", "update_id"),
)

# how updates come in, said by the process that fetches them, read by every process and by the doctor
intake = Table(
    "intake",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("way", String(16), nullable=False),
    # ok, or a word for what is wrong
    Column("word", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    # when it last went well
    Column("well_at", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
)

chat_state = Table(
    "chat_state",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("state", String(200)),
    Column("data", Json, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("principal", String(80), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("status", Integer),
    Column("body", Text),
    _created(),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

rate_buckets = Table(
    "rate_buckets",
    metadata,
    Column("key", String(200), primary_key=True),
    # theoretical arrival time in microseconds since the epoch (GCRA)
    Column("tat_micros", BigInteger, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    _id(),
    _workspace(),
    Column("kind", String(64), nullable=False),
    Column("sealed", Text, nullable=False),
    Column("key_version", Integer, nullable=False),
    Column("expires_at", UtcDateTime),
    _created(),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("workspace_id", "kind"),
)

executors = Table(
    "executors",
    metadata,
    Column("executor_id", String(120), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)

ticks = Table(
    "ticks",
    metadata,
    # "job:slot": the first process to insert it does the tick
    Column("id", String(120), primary_key=True),
    _created(),
)

mcp_servers = Table(
    "mcp_servers",
    metadata,
    _id(),
    _workspace(),
    Column("name", String(40), nullable=False),
    Column("transport", Json, nullable=False),
    Column("tools", Json, nullable=False),
    Column("effects", Json, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("error", Text),
    _created(),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("workspace_id", "name"),
)

eval_runs = Table(
    "eval_runs",
    metadata,
    _id(),
    Column("name", String(120), nullable=False, index=True),
    Column("passed", Boolean, nullable=False),
    Column("details", Json, nullable=False),
    Column("version", String(40), nullable=False),
    _created(),
)

helm_snapshots = Table(
    "helm_health_snapshots",
    metadata,
    _id(),
    Column("gateway_ok", Boolean, nullable=False),
    Column("version", String(40)),
    Column("latency_ms", Integer, nullable=False),
    Column("error", Text),
    Column("checked_at", UtcDateTime, nullable=False, index=True),
)
