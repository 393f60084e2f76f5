"""Approvals: what the receipt of a question signs of it, and what question and answer let the row say."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from domain.approvals.approval import Approval, ApprovalStatus, digest_of_call
from domain.evidence.statement import UNPROVEN, Statement, moment_text, near, same, unequal
from domain.ledger.audit import AuditAction
from domain.runs.run import Step

# how a question is answered, whoever or whatever answers it
RESOLUTIONS = (
    AuditAction.APPROVAL_RESOLVED,
    AuditAction.APPROVAL_EXPIRED,
    AuditAction.APPROVAL_WITHDRAWN,
    AuditAction.APPROVAL_UNDONE,
)
# what a question signs of an approval, by its columns
_QUESTION_COLUMNS = {
    "action": "action",
    "input": "action_input",
    "reason": "reason",
    "context": "approval_context",
    "quorum": "quorum",
    "deciders": "deciders",
    "expiresAt": "expires_at",
    "requestedAt": "requested_at",
    "callbackUrl": "callback_url",
}


def approval_facts(approval: Approval) -> dict[str, Any]:
    """What the receipt of a question binds of it: its hashed arguments."""
    return {
        "action": approval.action,
        "input": approval.action_input,
        "reason": approval.reason,
        "context": approval.approval_context,
        "quorum": approval.quorum,
        "deciders": approval.deciders,
        "expiresAt": moment_text(approval.expires_at),
        "requestedAt": moment_text(approval.requested_at),
        "callbackUrl": approval.callback_url,
    }


def approval_differs(approval: Approval, said: Sequence[Statement]) -> tuple[str, ...]:
    """`said` is what the log says of the approval, in order."""
    mine = [one for one in said if approval.id in (one.approval_id, one.decision_id)]
    asked = next((one for one in mine if one.action == AuditAction.APPROVAL_REQUESTED), None)
    if asked is None:
        return ("id",)
    found = [UNPROVEN] if any(one.differs for one in mine) else []
    edits = [one for one in mine if one.action == AuditAction.APPROVAL_EDITED]
    found += unequal(
        approval,
        {
            "task_id": asked.task_id,
            "run_id": asked.run_id,
            "step_id": asked.step_id,
            "effect": asked.effect,
            "policy_version": asked.policy_hash,
            "requested_by": asked.principal,
            "action_hash": (edits or [asked])[-1].call_digest,
            "version": 1 + len(edits),
        },
    )
    found += _question_differs(approval, asked, edits)
    found += _answer_differs(approval, mine)
    return tuple(dict.fromkeys(found))


def _question_differs(approval: Approval, asked: Statement, edits: Sequence[Statement]) -> list[str]:
    found = [] if near(approval.requested_at, asked.at) else ["requested_at"]
    if isinstance(asked.args, dict) and "requestedAt" in asked.args:
        columns = dict(_QUESTION_COLUMNS)
        if edits:
            del columns["input"]
        now = approval_facts(approval)
        found += [column for key, column in columns.items() if not same(now[key], asked.args.get(key))]
    elif (
        # an older receipt: the digest names action and input of a question from outside
        approval.step_id is None
        and not edits
        and digest_of_call(approval.action, approval.action_input) != approval.action_hash
    ):
        found.append("action_input")
    if edits and isinstance(edits[-1].args, dict) and not same(approval.action_input, edits[-1].args.get("input")):
        found.append("action_input")
    return found


def resolution_of(said: Sequence[Statement]) -> Statement | None:
    """How an approval was answered last, None while it is open."""
    found = [one for one in said if one.action in RESOLUTIONS]
    return found[-1] if found else None


def _answer_differs(approval: Approval, said: Sequence[Statement]) -> list[str]:
    answer = resolution_of(said)
    if answer is None:
        wanted: dict[str, Any] = dict.fromkeys(
            ("resolved_by", "resolved_via", "resolution_note", "grant_id", "resolved_at", "execute_after")
        )
        return unequal(approval, {"status": ApprovalStatus.PENDING.value, **wanted})
    undone = answer.action == AuditAction.APPROVAL_UNDONE
    withdrawn = answer.action == AuditAction.APPROVAL_WITHDRAWN
    expected: dict[str, Any] = {"status": answer.status, "resolved_by": answer.principal}
    via = "system" if withdrawn else answer.metadata.get("via")
    if via is not None:
        expected["resolved_via"] = via
    note = answer.args.get("note") if isinstance(answer.args, dict) else None
    if answer.knows_args:
        expected["resolution_note"] = "undone" if undone else note
    grants = [one.resource for one in said if one.action == AuditAction.GRANT_CREATED]
    expected["grant_id"] = answer.metadata.get("grant_id", grants[-1] if grants else None) or None
    found = unequal(approval, expected)
    if not near(approval.resolved_at, answer.at):
        found.append("resolved_at")
    undo = int(approval.approval_context.get("undoSeconds") or 0)
    waits = undo and answer.status == ApprovalStatus.APPROVED and approval.resolved_at is not None
    until = approval.resolved_at + timedelta(seconds=undo) if waits and approval.resolved_at else None
    if approval.execute_after != until:
        found.append("execute_after")
    return found


def allows_step(said: Sequence[Statement], *, approval_id: str, step: Step) -> str:
    """Why the answer to a question does not allow exactly this call; "" when it does.

    `said` is what the log says of approval and step, in order, each of it proved.
    """
    mine = [one for one in said if one.approval_id == approval_id]
    asked = next((one for one in mine if one.action == AuditAction.APPROVAL_REQUESTED), None)
    if asked is None:
        return "no receipt asked for this approval"
    if (asked.step_id, asked.run_id) != (step.id, step.run_id):
        return "the approval is about another call"
    answer = resolution_of(mine)
    if answer is None or answer.status != ApprovalStatus.APPROVED or answer.verdict != "ALLOW":
        return "no receipt says that it was approved"
    changes = [one for one in mine if one.action in (AuditAction.APPROVAL_REQUESTED, AuditAction.APPROVAL_EDITED)]
    if changes[-1].idx > answer.idx or answer.call_digest not in ("", changes[-1].call_digest):
        return "what was approved was changed"
    return ""
