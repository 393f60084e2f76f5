"""The closed vocabulary of the audit log: `subject:action`, and what a line of it holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.integrity import differs_field
from domain.receipts.canonical import payload_hash
from domain.receipts.signing import rfc3339


class AuditAction(StrEnum):
    """Everything the audit log can say. The reference's names stand beside ours for its clients."""

    AUTH_EMAIL_REQUESTED = "auth:email_requested"
    AUTH_EMAIL_VERIFIED = "auth:email_verified"
    AUTH_EMAIL_REFUSED = "auth:email_refused"
    AUTH_TELEGRAM_VERIFIED = "auth:telegram_verified"
    AUTH_TELEGRAM_REFUSED = "auth:telegram_refused"
    AUTH_OIDC_VERIFIED = "auth:oidc_verified"
    AUTH_SESSION_DELETED = "auth:session_deleted"
    AUTH_SESSIONS_REVOKED = "auth:sessions_revoked"
    AUTH_REFUSED = "auth:refused"
    API_KEY_CREATED = "api_key:created"
    API_KEY_REVOKED = "api_key:revoked"
    WORKSPACE_CREATED = "workspace:created"
    WORKSPACE_RENAMED = "workspace:renamed"
    WORKSPACE_MODE_CHANGED = "workspace:mode_changed"
    WORKSPACE_SETTINGS_CREATED = "workspace:settings_created"
    WORKSPACE_SETTINGS_UPDATED = "workspace:settings_updated"
    WORKSPACE_DELETED = "workspace:deleted"
    WORKSPACE_RESTORED = "workspace:restored"
    WORKSPACE_PURGED = "workspace:purged"
    WORKSPACE_TRANSFERRED = "workspace:transferred"
    WORKSPACE_INVITE_CREATED = "invite:created"
    WORKSPACE_INVITE_ACCEPTED = "invite:accepted"
    WORKSPACE_INVITE_REVOKED = "invite:revoked"
    MEMBER_ROLE_CHANGED = "member:role_changed"
    MEMBER_REMOVED = "member:removed"
    MEMBER_LEFT = "member:left"
    USER_ERASED = "user:erased"
    SECRET_STORED = "secret:stored"  # noqa: S105 - a word of the vocabulary
    SECRET_DELETED = "secret:deleted"  # noqa: S105
    TASK_CREATED = "task:created"
    TASK_UPDATED = "task:updated"
    TASK_STATUS_UPDATED = "task:status_updated"
    TASK_DELETED = "task:deleted"
    TASK_RUN_DISPATCHED = "run:dispatched"
    RUN_FINISHED = "run:finished"
    RUN_CANCELLED = "run:cancelled"
    RUN_INTERRUPTED = "run:interrupted"
    OPERATOR_CREATED = "operator:created"
    OPERATOR_UPDATED = "operator:updated"
    WORKSPACE_OPERATOR_SCOPE_REJECTED = "operator:scope_rejected"
    TOOL_DECIDED = "tool:decided"
    TOOL_EXECUTED = "tool:executed"
    APPROVAL_REQUESTED = "approval:requested"
    APPROVAL_RESOLVED = "approval:resolved"
    APPROVAL_VOTED = "approval:voted"
    APPROVAL_EXPIRED = "approval:expired"
    APPROVAL_EDITED = "approval:edited"
    APPROVAL_UNDONE = "approval:undone"
    APPROVAL_WITHDRAWN = "approval:withdrawn"
    APPROVAL_CALLBACK_FAILED = "approval:callback_failed"
    EFFECT_RESOLVED = "effect:resolved"
    GRANT_CREATED = "grant:created"
    GRANT_REVOKED = "grant:revoked"
    POLICY_EVALUATED = "policy:evaluated"
    KILL_SWITCH_CHANGED = "policy:kill_switch_changed"
    KNOWLEDGE_WRITTEN = "knowledge:written"
    KEY_ROTATED = "ledger:key_rotated"
    LEDGER_EXPORTED = "ledger:exported"
    REQUEST_REFUSED = "request:refused"
    MCP_CHANGED = "mcp:changed"
    EVAL_RECORDED = "eval:recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the audit log. `verdict` is allow, deny, escalate or error."""

    id: str
    workspace_id: str | None
    action: str
    actor: str
    target: str | None
    verdict: str
    reason: str | None
    metadata: dict[str, Any]
    created_at: datetime
    # of the hash of the line in its receipt; None where it has none
    salt: str | None = None
    differs: tuple[str, ...] = differs_field()

    @property
    def receipt_id(self) -> str | None:
        """The receipt of the same deed."""
        found = self.metadata.get("evidenceItemId")
        return found if isinstance(found, str) else None


def line_hash(
    *,
    salt: bytes,
    line_id: str,
    action: str,
    actor: str,
    target: str | None,
    verdict: str,
    reason: str | None,
    metadata: Mapping[str, Any],
    created_at: datetime,
) -> str:
    """64 hex digits that bind a whole line to its receipt (`metadata.line_hash`)."""
    line = {
        "id": line_id,
        "action": action,
        "actor": actor,
        "target": target,
        "verdict": verdict,
        "reason": reason,
        "metadata": metadata,
        "created_at": rfc3339(created_at),
    }
    return payload_hash(line, salt=salt)
