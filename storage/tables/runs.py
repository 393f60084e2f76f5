"""Tasks, their runs with steps and effects, what they spent, and who carries them out."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from storage.tables.base import ID, created, identifier, metadata, workspace
from storage.types import Json, UtcDateTime

tasks = Table(
    "tasks",
    metadata,
    identifier(),
    workspace(),
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
    created(),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("completed_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
    Index("ix_tasks_workspace_created", "workspace_id", "created_at", "id"),
    Index("ix_tasks_next_run_at", "next_run_at"),
)

runs = Table(
    "runs",
    metadata,
    identifier(),
    workspace(),
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
    created(),
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
    identifier(),
    workspace(),
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
    created(),
    Column("started_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    UniqueConstraint("run_id", "seq"),
    Index("ix_steps_workspace_created", "workspace_id", "created_at"),
)

# a call that leaves the process: the intent is committed before it, the outcome after it
effects = Table(
    "effects",
    metadata,
    identifier(),
    workspace(index=True),
    Column("run_id", ID, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("step_id", ID, ForeignKey("steps.id", ondelete="CASCADE"), nullable=False),
    Column("idempotency_key", String(80), nullable=False, unique=True),
    Column("tool", String(120), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("resolved_by", ID),
    Column("resolution", String(16)),
    created(),
    Column("finished_at", UtcDateTime),
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
    created(),
)
