"""Every table of Pilot, by wing. They stay in storage: other rooms see frozen values."""

from storage.tables.approvals import approval_votes, approvals, evaluations, grants
from storage.tables.base import metadata
from storage.tables.chat import chat_messages, chat_state, inbox, intake
from storage.tables.identity import api_keys, email_codes, invites, rate_buckets, seen_proofs, sessions, users
from storage.tables.installation import eval_runs, idempotency_keys, installation_spend
from storage.tables.ledger import (
    IS_RARE,
    RARE,
    audit_log,
    checkpoints,
    event_heads,
    events,
    log_heads,
    log_nodes,
    payloads,
    receipts,
    signing_keys,
    violations,
)
from storage.tables.outbox import outbox
from storage.tables.policy import helm_snapshots, policies, workspace_settings
from storage.tables.runs import effects, executors, runs, spend, steps, task_spend, tasks, ticks
from storage.tables.tools import mcp_servers, notes, operators
from storage.tables.workspaces import secrets, workspace_members, workspaces

__all__ = [
    "IS_RARE",
    "RARE",
    "api_keys",
    "approval_votes",
    "approvals",
    "audit_log",
    "chat_messages",
    "chat_state",
    "checkpoints",
    "effects",
    "email_codes",
    "eval_runs",
    "evaluations",
    "event_heads",
    "events",
    "executors",
    "grants",
    "helm_snapshots",
    "idempotency_keys",
    "inbox",
    "installation_spend",
    "intake",
    "invites",
    "log_heads",
    "log_nodes",
    "mcp_servers",
    "metadata",
    "notes",
    "operators",
    "outbox",
    "payloads",
    "policies",
    "rate_buckets",
    "receipts",
    "runs",
    "secrets",
    "seen_proofs",
    "sessions",
    "signing_keys",
    "spend",
    "steps",
    "task_spend",
    "tasks",
    "ticks",
    "users",
    "violations",
    "workspace_members",
    "workspace_settings",
    "workspaces",
]
