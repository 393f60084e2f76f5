"""All SQL about calls that agents of others asked about."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from domain.approvals.evaluation import Evaluation, GatewaySession
from storage.tables import evaluations, log_heads
from storage.tables import receipts as receipts_table
from storage.transaction import Tx
from storage.values import columns_of

COLUMNS = columns_of(evaluations, Evaluation)


def add(tx: Tx, evaluation: Evaluation) -> None:
    """Remember a question."""
    tx.execute(sa.insert(evaluations).values({c.name: getattr(evaluation, c.name) for c in COLUMNS}))


def asked_before(tx: Tx, workspace_id: str, call_digest: str) -> str | None:
    """The approval that was last asked for about this very call and has not served yet."""
    c = evaluations.c
    query = (
        sa.select(c.approval_id)
        .where(
            c.workspace_id == workspace_id,
            c.call_digest == call_digest,
            c.approval_id.is_not(None),
            c.used.is_(False),
        )
        .order_by(c.idx.desc())
        .limit(1)
    )
    found = tx.scalar(query)
    return None if found is None else str(found)


def use(tx: Tx, workspace_id: str, approval_id: str) -> None:
    """The answer has served: it counts for no further call."""
    c = evaluations.c
    tx.execute(
        sa.update(evaluations).where(c.workspace_id == workspace_id, c.approval_id == approval_id).values(used=True)
    )


def sessions(tx: Tx, workspace_id: str, *, limit: int, offset: int) -> Sequence[GatewaySession]:
    """The sessions agents named here, in the order they began."""
    c = evaluations.c
    query = (
        sa.select(c.session, sa.func.min(c.created_at), sa.func.count(), sa.func.max(c.idx))
        .where(c.workspace_id == workspace_id)
        .group_by(c.session)
        .order_by(sa.func.min(c.idx))
        .limit(limit)
        .offset(offset)
    )
    return [GatewaySession(name=row[0], began_at=row[1], count=row[2], last_idx=row[3]) for row in tx.all(query)]


def log_session(tx: Tx, workspace_id: str) -> GatewaySession | None:
    """The whole log as the one session its receipts are signed in; None while it is empty."""
    r = receipts_table.c
    size = tx.scalar(sa.select(log_heads.c.size).where(log_heads.c.workspace_id == workspace_id))
    if not size:
        return None
    began_at = tx.scalar(sa.select(r.created_at).where(r.workspace_id == workspace_id, r.idx == 0))
    return GatewaySession(name=workspace_id, began_at=began_at, count=size, last_idx=size - 1)


def leaves(
    tx: Tx,
    workspace_id: str,
    *,
    after: int,
    limit: int,
    session: str | None = None,
    newest: bool = False,
    verdict: str | None = None,
    reason_code: str | None = None,
    principal: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Sequence[tuple[int, datetime, str, bytes]]:
    """Place, time, id and exact bytes of receipts from place `after` on, in the order of the log.

    `session` is what an agent called it; `newest` takes the last `limit` ones instead of the first. `since` is
    inclusive, `until` exclusive.
    """
    r = receipts_table.c
    query = sa.select(r.idx, r.created_at, r.id, r.leaf).where(r.workspace_id == workspace_id, r.idx >= after)
    if session is not None:
        e = evaluations.c
        query = query.join(evaluations, sa.and_(e.workspace_id == r.workspace_id, e.idx == r.idx)).where(
            e.session == session
        )
    for column, value in ((r.verdict, verdict), (r.reason_code, reason_code), (r.principal, principal)):
        if value is not None:
            query = query.where(column == value)
    if since is not None:
        query = query.where(r.created_at >= since)
    if until is not None:
        query = query.where(r.created_at < until)
    rows = tx.all(query.order_by(r.idx.desc() if newest else r.idx).limit(limit))
    found = [(int(row[0]), row[1], str(row[2]), bytes(row[3])) for row in rows]
    return found[::-1] if newest else found
