"""Signed checkpoints of logs."""

from collections.abc import Sequence

import sqlalchemy as sa

from domain.ledger.rows import CheckpointRow
from storage.tables import checkpoints, log_heads
from storage.transaction import Tx
from storage.values import columns_of, to_value


def newest(tx: Tx, workspace_id: str) -> CheckpointRow | None:
    """The largest checkpoint signed so far."""
    query = (
        sa.select(*columns_of(checkpoints, CheckpointRow))
        .where(checkpoints.c.workspace_id == workspace_id)
        .order_by(checkpoints.c.size.desc())
        .limit(1)
    )
    row = tx.one(query)
    return None if row is None else to_value(CheckpointRow, row)


def add(tx: Tx, row: CheckpointRow) -> None:
    """Keep a signed checkpoint; one a size."""
    tx.insert_if_absent(
        checkpoints,
        {c.name: getattr(row, c.name) for c in columns_of(checkpoints, CheckpointRow)},
        key=("workspace_id", "size"),
    )


def unsigned_logs(tx: Tx, *, limit: int) -> Sequence[str]:
    """Workspaces whose log has grown since its last checkpoint."""
    last = (
        sa.select(checkpoints.c.workspace_id, sa.func.max(checkpoints.c.size).label("size"))
        .group_by(checkpoints.c.workspace_id)
        .subquery()
    )
    query = (
        sa.select(log_heads.c.workspace_id)
        .outerjoin(last, last.c.workspace_id == log_heads.c.workspace_id)
        .where(log_heads.c.size > sa.func.coalesce(last.c.size, 0))
        .limit(limit)
    )
    return [row[0] for row in tx.all(query)]
