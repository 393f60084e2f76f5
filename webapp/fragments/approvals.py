"""Approvals and temporary permissions."""

from domain.approvals.approval import ApprovalStatus
from domain.clock import utc_now
from domain.cursors import cursor_of, read_cursor
from domain.identity.actor import Actor
from domain.identity.permissions import Action, allows
from services.container import Services
from services.ledger.audit import AuditFilter
from webapp.fragments.common import (
    Fragment,
    Query,
    choice,
    is_redacted,
    item_id,
    names,
    undo_open,
)

PAGE = 30
# how long a permission given from a card may last, in minutes
GRANTS = (60, 480, 1440, 10_080)


async def approvals(services: Services, actor: Actor, _item: str, query: Query) -> Fragment:
    """Approvals, newest first."""
    status = choice(query, "status", list(ApprovalStatus))
    found = await services.approvals.list(
        actor, status=status or None, limit=PAGE + 1, before=read_cursor(query.get("cursor"))
    )
    shown = found[:PAGE]
    return "approvals.html", {
        "approvals": shown,
        "statuses": ("pending", "approved", "rejected", "changes_requested", "expired"),
        "status": status,
        "cursor": cursor_of(shown[-1].requested_at, shown[-1].id) if len(found) > PAGE else "",
        "rows_only": "cursor" in query,
    }


async def approval(services: Services, actor: Actor, item: str, _query: Query) -> Fragment:
    """One approval with everything that is to be decided, and what happened to it."""
    found = await services.approvals.get(actor, item_id(item))
    history = []
    if allows(actor, Action.AUDIT_READ):
        lines = await services.audit.list(actor, AuditFilter(target=found.id), limit=50, before=None)
        history = list(reversed(lines))
    rights = (await services.approvals.rights(actor, [found]))[found.id]
    by = await services.approvals.approved_by(actor, [found])
    return "approval.html", {
        "approval": found,
        "history": history,
        "names": await names(services, actor),
        "editable": found.step_id is not None,
        "hides": is_redacted(found.action_input),
        "undo": undo_open(found, utc_now()),
        "voters": by.get(found.id, ()),
        "grants": GRANTS
        if allows(actor, Action.GRANT_CREATE) and found.task_id and found.quorum == 1 and not found.critical
        else (),
        "may_decide": rights.refused is None,
        "refused": None if rights.refused is None else rights.refused.code,
        "can_be_met": rights.can_be_met,
    }


async def grants(services: Services, actor: Actor, _item: str, _query: Query) -> Fragment:
    """Temporary permissions that are live."""
    return "grants.html", {
        "grants": await services.approvals.grants.list(actor),
        "names": await names(services, actor),
        "may_revoke": allows(actor, Action.GRANT_REVOKE),
    }
