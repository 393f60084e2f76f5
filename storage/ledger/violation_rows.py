"""Policy violations: written for every DENY, read newest first."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from domain.ledger.violation import Violation
from storage.tables import violations
from storage.transaction import Tx
from storage.values import columns_of, to_value

COLUMNS = columns_of(violations, Violation)


def add(tx: Tx, violation: Violation) -> None:
    """Insert one."""
    tx.execute(sa.insert(violations).values({c.name: getattr(violation, c.name) for c in COLUMNS}))


def add_once(tx: Tx, violation: Violation) -> bool:
    """Insert one unless there is one of this id; whether it was inserted."""
    return tx.insert_if_absent(violations, {c.name: getattr(violation, c.name) for c in COLUMNS}, key=("id",))


def find(
    tx: Tx,
    workspace_id: str,
    *,
    limit: int,
    severity: str | None = None,
    before: tuple[datetime, str] | None = None,
) -> Sequence[Violation]:
    """Violations of the workspace, newest first."""
    c = violations.c
    query = sa.select(*COLUMNS).where(c.workspace_id == workspace_id)
    if severity is not None:
        query = query.where(c.severity == severity)
    if before is not None:
        moment, violation_id = before
        query = query.where(sa.or_(c.created_at < moment, sa.and_(c.created_at == moment, c.id < violation_id)))
    return [to_value(Violation, row) for row in tx.all(query.order_by(c.created_at.desc(), c.id.desc()).limit(limit))]
