"""All SQL about tasks; every query names the workspace."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.errors import NotFound
from domain.runs.task import Task, TaskStatus
from storage.prepared import Prepared, PreparedUpdate
from storage.tables import tasks, workspaces
from storage.transaction import Tx
from storage.values import columns_of, to_value, without

COLUMNS = columns_of(tasks, Task)

_insert = Prepared(sa.insert(tasks).values({c.name: sa.bindparam(c.name) for c in COLUMNS}))
_select_one = sa.select(*COLUMNS).where(tasks.c.workspace_id == sa.bindparam("ws"), tasks.c.id == sa.bindparam("id"))
_get = Prepared(_select_one)
_get_locked = Prepared(_select_one.with_for_update())
_change = PreparedUpdate(tasks, "workspace_id", "id")
_move = PreparedUpdate(tasks, "workspace_id", "id", "status")
_first_page = Prepared(
    sa.select(*COLUMNS)
    .where(tasks.c.workspace_id == sa.bindparam("ws"), tasks.c.deleted_at.is_(None))
    .order_by(tasks.c.created_at.desc(), tasks.c.id.desc())
    .limit(sa.bindparam("n", type_=sa.Integer))
)


def add(tx: Tx, task: Task) -> None:
    """Insert a new task."""
    _insert(tx, **{c.name: getattr(task, c.name) for c in COLUMNS})


def exists(tx: Tx, workspace_id: str, task_id: str) -> bool:
    """Whether the task is one of this workspace, and not deleted."""
    query = sa.select(tasks.c.id).where(
        tasks.c.workspace_id == workspace_id, tasks.c.id == task_id, tasks.c.deleted_at.is_(None)
    )
    return tx.one(query) is not None


def get(tx: Tx, workspace_id: str, task_id: str, *, lock: bool = False, deleted: bool = False) -> Task:
    """The task; NotFound when it is not in this workspace, or was deleted (unless `deleted` ones are wanted too)."""
    statement = _get_locked if lock and tx.postgres and not tx.reading else _get
    found = statement.rows(tx, ws=workspace_id, id=task_id)
    task = to_value(Task, found[0]) if found else None
    if task is None or (task.deleted_at is not None and not deleted):
        raise NotFound("Task not found")
    return task


def find(
    tx: Tx,
    workspace_id: str,
    *,
    limit: int,
    status: Sequence[str] = (),
    operator_id: str | None = None,
    search: str | None = None,
    before: tuple[datetime, str] | None = None,
) -> Sequence[Task]:
    """Tasks of the workspace, newest first; `before` is the (created_at, id) to go on from."""
    if not status and operator_id is None and not search and before is None:
        return [to_value(Task, row) for row in _first_page.rows(tx, ws=workspace_id, n=limit)]
    c = tasks.c
    query = sa.select(*COLUMNS).where(c.workspace_id == workspace_id, c.deleted_at.is_(None))
    if status:
        query = query.where(c.status.in_(list(status)))
    if operator_id is not None:
        query = query.where(c.operator_id == operator_id)
    if search:
        query = query.where(c.title.icontains(search, autoescape=True))
    if before is not None:
        moment, task_id = before
        query = query.where(sa.or_(c.created_at < moment, sa.and_(c.created_at == moment, c.id < task_id)))
    query = query.order_by(c.created_at.desc(), c.id.desc()).limit(limit)
    return [to_value(Task, row) for row in tx.all(query)]


def change(tx: Tx, workspace_id: str, task_id: str, **values: Any) -> None:
    """Set columns of one task."""
    _change(tx, workspace_id, task_id, **without(values, "status"))


def move(tx: Tx, task: Task, to: TaskStatus, **values: Any) -> bool:
    """Set the status, and columns with it, if the task still has the one it was read with; whether that was so."""
    return _move(tx, task.workspace_id, task.id, task.status, **values, status=to) == 1


def counts(tx: Tx, workspace_id: str) -> dict[str, int]:
    """How many tasks stand in each status."""
    query = (
        sa.select(tasks.c.status, sa.func.count())
        .where(tasks.c.workspace_id == workspace_id, tasks.c.deleted_at.is_(None))
        .group_by(tasks.c.status)
    )
    return {row[0]: int(row[1]) for row in tx.all(query)}


def due(tx: Tx, *, now: datetime, limit: int) -> Sequence[Task]:
    """Tasks of all open workspaces whose scheduled time has come (for the sweep, which looks at each again)."""
    query = (
        sa.select(*COLUMNS)
        .where(
            tasks.c.workspace_id.in_(sa.select(workspaces.c.id).where(workspaces.c.deleted_at.is_(None))),
            tasks.c.next_run_at.is_not(None),
            tasks.c.next_run_at <= now,
            tasks.c.paused.is_(False),
            tasks.c.deleted_at.is_(None),
        )
        .order_by(tasks.c.next_run_at)
        .limit(limit)
    )
    return [to_value(Task, row) for row in tx.all(query)]


def made_by_step(tx: Tx, workspace_id: str, step_id: str) -> Task | None:
    """The task an operator's step made, if it did."""
    query = sa.select(*COLUMNS).where(
        tasks.c.workspace_id == workspace_id,
        tasks.c.origin == "operator",
        tasks.c.metadata == {"createdByStep": step_id},
    )
    row = tx.one(query)
    return None if row is None else to_value(Task, row)
