"""Permissions: what the receipt of one signs of it, and what the log lets its row say."""

from collections.abc import Sequence
from typing import Any

from domain.evidence.statement import UNPROVEN, Statement, moment_text, near, same, unequal
from domain.ledger.audit import AuditAction

# what is signed of a permission, by its columns
_GRANT_COLUMNS = {
    "tool": "tool",
    "scope": "scope",
    "taskId": "task_id",
    "maxUses": "max_uses",
    "maxEffect": "max_effect",
    "createdBy": "created_by",
    "approvalId": "approval_id",
    "createdAt": "created_at",
    "expiresAt": "expires_at",
}


def grant_facts(grant: Any) -> dict[str, Any]:
    """What the receipt of a permission binds of it: its hashed arguments."""
    return {
        "tool": grant.tool,
        "scope": grant.scope,
        "taskId": grant.task_id,
        "maxUses": grant.max_uses,
        "maxEffect": grant.max_effect,
        "createdBy": grant.created_by,
        "approvalId": grant.approval_id,
        "createdAt": moment_text(grant.created_at),
        "expiresAt": moment_text(grant.expires_at),
    }


def _person(said: Statement, shown: str | None) -> str | None:
    """The person who did it; an API key is not its maker's name, so what is shown stands."""
    return said.principal.removeprefix("user:") if said.principal.startswith("user:") else shown


def grant_differs(grant: Any, said: Sequence[Statement], *, uses: int | None) -> tuple[str, ...]:
    """`said` is what the log says of a permission; `uses` how often it was used, None where that is not told.

    A permission without its receipt is none.
    """
    made = next((one for one in said if one.action == AuditAction.GRANT_CREATED), None)
    if made is None:
        return ("id",)
    ended = next((one for one in said if one.action == AuditAction.GRANT_REVOKED), None)
    found = [UNPROVEN] if made.differs or (ended is not None and ended.differs) else []
    found += unequal(
        grant,
        {
            "task_id": made.task_id,
            "approval_id": made.approval_id,
            "created_by": _person(made, grant.created_by),
            "revoked_by": None if ended is None else _person(ended, grant.revoked_by),
        },
    )
    if isinstance(made.args, dict):
        now = grant_facts(grant)
        found += [column for key, column in _GRANT_COLUMNS.items() if not same(now[key], made.args.get(key))]
    if not near(grant.created_at, made.at):
        found.append("created_at")
    if not near(grant.revoked_at, None if ended is None else ended.at):
        found.append("revoked_at")
    if uses is not None and (grant.uses != uses if isinstance(made.args, dict) else grant.uses < uses):
        found.append("uses")
    return tuple(dict.fromkeys(found))
