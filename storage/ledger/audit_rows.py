"""Audit rows: appended in the caller's transaction, read newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.ledger.audit import AuditEntry
from storage.prepared import Prepared
from storage.tables import audit_log
from storage.transaction import Tx
from storage.values import columns_of, to_value

_append = Prepared(sa.insert(audit_log).values({c.name: sa.bindparam(c.name) for c in audit_log.c}))


def append(
    tx: Tx,
    *,
    entry_id: str,
    workspace_id: str | None,
    action: str,
    actor: str,
    target: str | None,
    verdict: str,
    reason: str | None,
    metadata: dict[str, Any],
    salt: str | None,
    now: datetime,
) -> None:
    """Write one line."""
    _append(
        tx,
        id=entry_id,
        workspace_id=workspace_id,
        action=action,
        actor=actor,
        target=target,
        verdict=verdict,
        reason=reason,
        metadata=metadata,
        salt=salt,
        created_at=now,
    )


def select_entries(
    workspace_id: str,
    *,
    actor: str | None = None,
    action: str | None = None,
    target: str | None = None,
    verdict: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: tuple[datetime, str] | None = None,
) -> sa.Select[Any]:
    """The lines of one workspace, newest first; `before` is the (created_at, id) to go on from."""
    c = audit_log.c
    query = sa.select(*columns_of(audit_log, AuditEntry)).where(c.workspace_id == workspace_id)
    for column, wanted in ((c.actor, actor), (c.action, action), (c.target, target), (c.verdict, verdict)):
        if wanted is not None:
            query = query.where(column == wanted)
    if since is not None:
        query = query.where(c.created_at >= since)
    if until is not None:
        query = query.where(c.created_at < until)
    if before is not None:
        moment, entry_id = before
        query = query.where(sa.or_(c.created_at < moment, sa.and_(c.created_at == moment, c.id < entry_id)))
    return query.order_by(c.created_at.desc(), c.id.desc())


def find(tx: Tx, query: sa.Select[Any], *, limit: int) -> Sequence[AuditEntry]:
    """Up to `limit` lines of a `select_entries` query."""
    return [to_value(AuditEntry, row) for row in tx.all(query.limit(limit))]


def entry_of(row: Any) -> AuditEntry:
    """The line a row of a `select_entries` query holds."""
    return to_value(AuditEntry, row)


def blank(tx: Tx, workspace_id: str) -> None:
    """Forget what the lines of a workspace quote (titles, reasons); who did what to which id, and when, stays."""
    forgotten: dict[str, Any] = {"metadata": {}, "reason": None, "salt": None}
    tx.execute(sa.update(audit_log).where(audit_log.c.workspace_id == workspace_id).values(**forgotten))
