"""An approval: one durable question to a person, its states and its answer. No I/O here."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from domain.receipts.canonical import payload_hash


def digest_of_call(tool: str, args: Any) -> str:
    """64 hex digits that name exactly this call: SHA-256 over the canonical form of tool and input."""
    return payload_hash({"tool": tool, "input": args})


class ApprovalStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    CHANGES_REQUESTED = "changes_requested"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


# Saying yes to a critical call takes a proof of who says it that is no older than this: a phone left
# on a table, a key, or a tap in chat is not enough.
STEP_UP_FROM = 4
STEP_UP_WITHIN = timedelta(minutes=5)

DECISIONS = frozenset({ApprovalStatus.APPROVED, ApprovalStatus.REJECTED, ApprovalStatus.CHANGES_REQUESTED})


class Via(StrEnum):
    """Where a decision was made."""

    CHAT = "chat"
    MINI_APP = "mini_app"
    API = "api"
    CLI = "cli"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """`action_hash` (64 hex) is the digest of exactly what was shown; what runs is checked against it."""

    id: str
    workspace_id: str
    task_id: str | None
    run_id: str | None
    step_id: str | None
    action: str
    action_input: Any
    action_hash: str
    effect: int
    policy_version: str
    approval_context: dict[str, Any]
    reason: str
    status: str
    version: int
    quorum: int
    deciders: list[str] | None
    requested_by: str
    resolved_by: str | None
    resolved_via: str | None
    resolution_note: str | None
    grant_id: str | None
    callback_url: str | None
    callback_secret: str | None
    requested_at: datetime
    resolved_at: datetime | None
    execute_after: datetime | None
    expires_at: datetime | None
    reminded: int

    @property
    def pending(self) -> bool:
        return self.status == ApprovalStatus.PENDING

    @property
    def short_digest(self) -> str:
        """The first 12 hex digits: what the card shows and the button carries."""
        return self.action_hash[:12]

    @property
    def critical(self) -> bool:
        """Whether saying yes takes a fresh proof of who says it."""
        return self.effect >= STEP_UP_FROM


def proven_lately(fresh_at: datetime | None, *, now: datetime) -> bool:
    """Whether somebody proved who they are recently enough for a critical approval; None is "never"."""
    return fresh_at is not None and now - fresh_at <= STEP_UP_WITHIN
