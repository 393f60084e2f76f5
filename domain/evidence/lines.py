"""Audit lines: what the receipt that a line names lets it say."""

from domain.evidence.statement import UNPROVEN, Statement
from domain.ledger.audit import AuditAction, AuditEntry, line_hash
from domain.receipts.errors import NotCanonical
from domain.runs.run import RunState

# lines of a workspace that are written without a receipt: refusals at the door, where nothing was done
WITHOUT_RECEIPT = frozenset({AuditAction.REQUEST_REFUSED})


def line_differs(entry: AuditEntry, said: Statement | None, *, erased: bool = False) -> tuple[str, ...]:
    """`said` is the receipt the line names. `erased`: a later receipt tells that the words of lines were erased."""
    if entry.receipt_id is None:
        return () if entry.action in WITHOUT_RECEIPT or (erased and not entry.metadata) else ("metadata",)
    if said is None:
        return ("metadata",)
    found = [UNPROVEN] if said.differs else []
    expected = {
        "action": said.action,
        "actor": said.principal,
        "verdict": verdict_said(said),
        "created_at": said.at,
    }
    found += [name for name, wanted in expected.items() if getattr(entry, name) != wanted]
    if (entry.target or "")[:200] != said.resource:
        found.append("target")
    bound = said.metadata.get("line_hash")
    if bound is None or any(name in found for name in ("action", "actor", "verdict", "created_at", "target")):
        return tuple(found)
    if not _line_fits(entry, str(bound)):
        # which of them, one hash over all does not tell
        found += ["reason", "metadata"]
    return tuple(found)


def _line_fits(entry: AuditEntry, bound: str) -> bool:
    try:
        salt = bytes.fromhex(entry.salt or "")
        found = line_hash(
            salt=salt,
            line_id=entry.id,
            action=entry.action,
            actor=entry.actor,
            target=entry.target,
            verdict=entry.verdict,
            reason=entry.reason,
            metadata=entry.metadata,
            created_at=entry.created_at,
        )
    except (ValueError, TypeError, NotCanonical):
        return False
    return bool(salt) and found == bound


def verdict_said(said: Statement) -> str:
    """The word of the audit log for what a receipt says."""
    if said.action == AuditAction.TOOL_EXECUTED:
        return "allow" if said.status == "done" else "error"
    if said.action == AuditAction.RUN_FINISHED:
        return "allow" if said.status == RunState.COMPLETED else "error"
    if said.action in (AuditAction.RUN_INTERRUPTED, AuditAction.APPROVAL_CALLBACK_FAILED):
        return "error"
    if said.action in (AuditAction.APPROVAL_EDITED, AuditAction.EFFECT_RESOLVED):
        return "allow"
    return said.verdict.lower()
