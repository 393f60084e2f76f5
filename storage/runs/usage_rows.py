"""All SQL about what was spent, as it is shown: sums over the books by day, model, operator or task."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from storage.runs.run_rows import MEASURES
from storage.tables import operators, spend, task_spend, tasks
from storage.transaction import Tx


def _within(table: sa.Table, workspace_id: str, since: str, until: str, task_id: str | None) -> list[Any]:
    found = [table.c.workspace_id == workspace_id, table.c.day >= since, table.c.day <= until]
    return found if task_id is None else [*found, table.c.task_id == task_id]


def _sums(table: sa.Table) -> list[Any]:
    return [sa.func.coalesce(sa.func.sum(table.c[name]), 0).label(name) for name in MEASURES]


def total(tx: Tx, workspace_id: str, *, since: str, until: str, task_id: str | None = None) -> dict[str, int]:
    """The sum of each of MEASURES from one day to another (`YYYY-MM-DD`, both included)."""
    table = spend if task_id is None else task_spend
    row = tx.one(sa.select(*_sums(table)).where(*_within(table, workspace_id, since, until, task_id)))
    assert row is not None
    return {name: int(getattr(row, name)) for name in MEASURES}


def lines(
    tx: Tx,
    workspace_id: str,
    by: str,
    *,
    since: str,
    until: str,
    task_id: str | None = None,
    limit: int,
    after: tuple[int, str] | None = None,
) -> Sequence[tuple[str, dict[str, int]]]:
    """Sums by `day`, `model`, `operator_id` or `task_id`: days in their order, everything else the dearest first.

    `after` is the (cost, key) of the last line of the page before.
    """
    table = task_spend if by == "task_id" or task_id is not None else spend
    key, cost = table.c[by], sa.func.sum(table.c.cost_micros)
    query = sa.select(key, *_sums(table)).where(*_within(table, workspace_id, since, until, task_id)).group_by(key)
    if after is not None:
        micros, last = after
        further = key > last if by == "day" else sa.or_(cost < micros, sa.and_(cost == micros, key > last))
        query = query.having(further)
    query = query.order_by(key) if by == "day" else query.order_by(cost.desc(), key)
    return [(str(row[0]), {name: int(getattr(row, name)) for name in MEASURES}) for row in tx.all(query.limit(limit))]


def names(tx: Tx, workspace_id: str, by: str, keys: Sequence[str]) -> dict[str, str]:
    """What operators or tasks are called; a deleted task has no name any more."""
    if by == "operator_id":
        query = sa.select(operators.c.id, operators.c.name).where(operators.c.workspace_id == workspace_id)
        return {row[0]: row[1] for row in tx.all(query.where(operators.c.id.in_(keys)))}
    if by == "task_id":
        query = sa.select(tasks.c.id, tasks.c.title).where(
            tasks.c.workspace_id == workspace_id, tasks.c.deleted_at.is_(None)
        )
        return {row[0]: row[1] for row in tx.all(query.where(tasks.c.id.in_(keys)))}
    return {}
