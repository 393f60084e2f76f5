"""Receipts, the audit log and violations."""

from collections.abc import Callable, Sequence

from domain.cursors import cursor_of, read_cursor
from domain.errors import Invalid
from domain.identity.actor import Actor
from domain.identity.permissions import Action, allows
from domain.ledger.audit import AuditAction
from domain.receipts.checkpoint import open_checkpoint
from domain.receipts.errors import BadKey, BadNote, LedgerError, NotCanonical
from domain.receipts.merkle import leaf_hash, verify_inclusion
from domain.receipts.receipt import Kind, parse, verify
from domain.receipts.signing import KeyRing
from services.container import Services
from services.ledger.audit import AuditFilter
from services.ledger.proofs import Inclusion
from services.ledger.receipts import shown_body
from webapp.fragments.common import (
    Fragment,
    Query,
    choice,
    item_id,
    names,
)

PAGE = 30
VERDICTS = ("allow", "deny", "escalate", "error")


async def receipts(services: Services, actor: Actor, _item: str, query: Query) -> Fragment:
    """Receipts, newest first; `cursor` is the place in the log they go on before."""
    kind = choice(query, "kind", list(Kind))
    cursor = query.get("cursor")
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 18):
        raise Invalid.field("cursor", "is not a cursor of this list")
    found = await services.receipts.list(
        actor,
        limit=PAGE + 1,
        kinds=(kind,) if kind else (),
        before_idx=None if cursor is None else int(cursor),
    )
    rows = found.receipts
    shown = rows[:PAGE]
    return "receipts.html", {
        "receipts": shown,
        "missing": found.missing,
        "problem": found.problem,
        "kinds": ("decision", "resolution", "outcome", "settings"),
        "kind": kind,
        "cursor": str(shown[-1].idx) if len(rows) > PAGE else "",
        "rows_only": cursor is not None,
        "may_export": allows(actor, Action.RECEIPT_EXPORT),
        "may_audit": allows(actor, Action.AUDIT_READ),
    }


async def receipt(services: Services, actor: Actor, item: str, _query: Query) -> Fragment:
    """One receipt: its facts, its exact bytes; the browser checks signature and proof."""
    row = await services.receipts.find(actor, item_id(item))
    return "receipt.html", {"receipt": row, "body": shown_body(row), "names": await names(services, actor)}


async def receipt_check(services: Services, actor: Actor, item: str, _query: Query) -> Fragment:
    """The same checks made here, for a browser that cannot make them; the page says who made them."""
    row = await services.receipts.find(actor, item_id(item))
    found = await services.proofs.inclusion(actor, row.id)
    ring = await services.proofs.ring()
    return "receipt_check.html", {"checks": _checks(found, ring), "size": found.checkpoint.size}


def _checks(found: Inclusion, ring: KeyRing) -> Sequence[tuple[str, bool]]:
    body, leaf = found.body, leaf_hash(found.receipt.leaf)
    differs = found.receipt.differs

    def in_log() -> None:
        verify_inclusion(
            leaf=leaf,
            index=found.receipt.idx,
            size=found.checkpoint.size,
            path=found.path,
            root_hash=found.checkpoint.root,
        )

    def signed() -> None:
        note = open_checkpoint(found.checkpoint.note, keys=[record.public for record in ring])
        if (note.checkpoint.size, note.checkpoint.root) != (found.checkpoint.size, found.checkpoint.root):
            raise BadNote("the note is of another tree")

    return [
        ("app-check-known-key", str(body.get("key_id")) in ring),
        ("app-check-signature", _holds(lambda: verify(parse(found.receipt.leaf), ring=ring))),
        ("app-check-leaf", "leaf_hash" not in differs and "leaf" not in differs),
        ("app-check-inclusion", _holds(in_log)),
        ("app-check-checkpoint", _holds(signed)),
        ("app-check-columns", all(":" in one or one in ("log", "signature") for one in differs)),
        ("app-check-payloads", not any(one.startswith(("payload.", "policy")) for one in differs)),
    ]


def _holds(check: Callable[[], None]) -> bool:
    try:
        check()
    except (LedgerError, BadKey, NotCanonical):
        return False
    return True


async def audit(services: Services, actor: Actor, _item: str, query: Query) -> Fragment:
    """The audit log, newest first, by verdict, action, actor or target."""
    which = AuditFilter(
        actor=query.get("actor", "").strip()[:200] or None,
        action=choice(query, "action", list(AuditAction)) or None,
        target=query.get("target", "").strip()[:200] or None,
        verdict=choice(query, "verdict", VERDICTS) or None,
    )
    found = await services.audit.list(actor, which, limit=PAGE + 1, before=read_cursor(query.get("cursor")))
    shown = found[:PAGE]
    members = await names(services, actor)
    return "audit.html", {
        "entries": shown,
        "names": members,
        "people": sorted(members.people.items(), key=lambda pair: pair[1]),
        "which": which,
        "actions": list(AuditAction),
        "verdicts": VERDICTS,
        "cursor": cursor_of(shown[-1].created_at, shown[-1].id) if len(found) > PAGE else "",
        "rows_only": "cursor" in query,
        "may_export": allows(actor, Action.AUDIT_EXPORT),
    }


async def violations(services: Services, actor: Actor, _item: str, query: Query) -> Fragment:
    """What the policy refused, newest first."""
    severity = choice(query, "severity", ("info", "warning", "critical"))
    found = await services.audit.violations(
        actor, limit=PAGE + 1, severity=severity or None, before=read_cursor(query.get("cursor"))
    )
    shown = found[:PAGE]
    return "violations.html", {
        "violations": shown,
        "severities": ("critical", "warning", "info"),
        "severity": severity,
        "cursor": cursor_of(shown[-1].created_at, shown[-1].id) if len(found) > PAGE else "",
        "rows_only": "cursor" in query,
    }
