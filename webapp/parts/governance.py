"""Approvals, receipts and the audit log."""

from domain.actor import Actor
from domain.permissions import Action, allows
from domain.receipts.receipt import parse
from services.audit import AuditFilter
from services.container import Services
from webapp.parts.common import Part, Query

PAGE = 50


async def approvals(services: Services, actor: Actor, _item: str, query: Query) -> Part:
    """Approvals, the waiting ones first."""
    status = query.get("status") or None
    return "approvals.html", {
        "approvals": await services.approvals.list(actor, status=status, limit=PAGE),
        "status": status or "",
    }


async def approval(services: Services, actor: Actor, item: str, _query: Query) -> Part:
    """One approval with everything that is to be decided."""
    found = await services.approvals.get(actor, item)
    return "approval.html", {
        "approval": found,
        "may_decide": allows(actor, Action.APPROVAL_RESOLVE),
    }


async def receipts(services: Services, actor: Actor, _item: str, query: Query) -> Part:
    """Receipts, newest first."""
    kind = query.get("kind", "")
    found = await services.receipts.list(actor, limit=PAGE, kinds=(kind,) if kind else ())
    return "receipts.html", {"receipts": found, "kind": kind}


async def receipt(services: Services, actor: Actor, item: str, _query: Query) -> Part:
    """One receipt: its facts, its exact bytes; the browser checks signature and proof."""
    row = await services.receipts.find(actor, item)
    return "receipt.html", {"receipt": row, "body": parse(row.leaf).body}


async def audit(services: Services, actor: Actor, _item: str, query: Query) -> Part:
    """The audit log and the violations."""
    which = AuditFilter(action=query.get("action") or None, verdict=query.get("verdict") or None)
    return "audit.html", {
        "entries": await services.audit.list(actor, which, limit=PAGE, before=None),
        "violations": await services.audit.violations(actor, limit=10),
        "verdict": query.get("verdict", ""),
    }
