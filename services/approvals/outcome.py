"""The true outcome of an approval, for whoever comes second."""

from typing import Any

from domain.approvals.approval import Approval, ApprovalStatus
from domain.clock import iso
from domain.errors import Conflict, Gone
from storage.outbox import recipient_rows
from storage.transaction import Tx


def already_decided(tx: Tx, approval: Approval) -> Conflict | Gone:
    """What was decided, by whom, when and where."""
    if approval.status is ApprovalStatus.EXPIRED:
        return already_expired(tx, approval)
    message = f"This approval was {approval.status} already"
    return Conflict(message, code="approval_decided", details=_outcome(tx, approval))


def already_expired(tx: Tx, approval: Approval) -> Gone:
    """Nobody decided in time."""
    return Gone("This approval has expired", code="approval_expired", details=_outcome(tx, approval))


def _outcome(tx: Tx, approval: Approval) -> dict[str, Any]:
    return {
        "status": approval.status,
        "resolvedBy": approval.resolved_by,
        "resolvedByName": recipient_rows.name_of_principal(tx, approval.resolved_by),
        "resolvedAt": iso(approval.resolved_at),
        "resolvedVia": approval.resolved_via,
    }
