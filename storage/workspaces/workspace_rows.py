"""All SQL about workspaces and their members."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.errors import NotFound
from domain.workspaces.workspace import Member, Workspace
from storage.prepared import Prepared
from storage.tables import users, workspace_members, workspaces
from storage.transaction import Tx
from storage.values import columns_of, to_value

COLUMNS = columns_of(workspaces, Workspace)
_M = workspace_members.c


_of_user = Prepared(
    sa.select(*COLUMNS, _M.role)
    .join(workspace_members, _M.workspace_id == workspaces.c.id)
    .where(_M.user_id == sa.bindparam("user"), workspaces.c.deleted_at.is_(None))
    .order_by(_M.joined_at, _M.id)
)


def add(tx: Tx, workspace: Workspace) -> None:
    """Insert a new workspace."""
    tx.execute(sa.insert(workspaces).values({c.name: getattr(workspace, c.name) for c in COLUMNS}))


def exists(tx: Tx, workspace_id: str) -> bool:
    """Whether there is such a workspace, closed ones too."""
    return tx.one(sa.select(workspaces.c.id).where(workspaces.c.id == workspace_id)) is not None


def get(tx: Tx, workspace_id: str, *, deleted: bool = False, lock: bool = False) -> Workspace:
    """The workspace; NotFound when it does not exist or (unless `deleted`) was deleted."""
    query = sa.select(*COLUMNS).where(workspaces.c.id == workspace_id)
    if not deleted:
        query = query.where(workspaces.c.deleted_at.is_(None))
    row = tx.one(tx.lock(query) if lock else query)
    if row is None:
        raise NotFound("Workspace not found")
    return to_value(Workspace, row)


def change(tx: Tx, workspace_id: str, *, now: datetime, **values: Any) -> None:
    """Set columns of one workspace."""
    tx.execute(sa.update(workspaces).where(workspaces.c.id == workspace_id).values(**values, updated_at=now))


def of_user(tx: Tx, user_id: str) -> Sequence[tuple[Workspace, str]]:
    """The workspaces of a person with their role, in the order they joined."""
    return [(to_value(Workspace, row[:-1]), row[-1]) for row in _of_user.rows(tx, user=user_id)]


def closed_of(tx: Tx, user_id: str, *, now: datetime) -> Sequence[Workspace]:
    """Closed workspaces of this owner whose grace is not over, the last closed first."""
    c = workspaces.c
    query = (
        sa.select(*COLUMNS)
        .where(c.owner_id == user_id, c.deleted_at.is_not(None), c.purge_at > now)
        .order_by(c.deleted_at.desc(), c.id)
    )
    return [to_value(Workspace, row) for row in tx.all(query)]


def role_of(tx: Tx, workspace_id: str, user_id: str) -> str | None:
    """The person's role in a workspace that is not deleted, None when they are no member."""
    found = tx.scalar(
        sa.select(_M.role)
        .join(workspaces, workspaces.c.id == _M.workspace_id)
        .where(_M.workspace_id == workspace_id, _M.user_id == user_id, workspaces.c.deleted_at.is_(None))
    )
    return None if found is None else str(found)


def members(tx: Tx, workspace_id: str) -> Sequence[Member]:
    """Everybody in the workspace, in the order they joined."""
    query = (
        sa.select(
            _M.id, _M.workspace_id, _M.user_id, _M.role, _M.joined_at, users.c.name, users.c.email, users.c.username
        )
        .join(users, users.c.id == _M.user_id)
        .where(_M.workspace_id == workspace_id)
        .order_by(_M.joined_at, _M.id)
    )
    return [to_value(Member, row) for row in tx.all(query)]


def join(tx: Tx, *, member_id: str, workspace_id: str, user_id: str, role: str, now: datetime) -> bool:
    """Make a person a member; False when they were one (their role stays)."""
    return tx.insert_if_absent(
        workspace_members,
        {"id": member_id, "workspace_id": workspace_id, "user_id": user_id, "role": role, "joined_at": now},
        key=("workspace_id", "user_id"),
    )


def set_role(tx: Tx, workspace_id: str, user_id: str, role: str) -> bool:
    """Change a member's role; False when they are no member."""
    result = tx.execute(
        sa.update(workspace_members).where(_M.workspace_id == workspace_id, _M.user_id == user_id).values(role=role)
    )
    return result.rowcount == 1


def leave(tx: Tx, workspace_id: str, user_id: str) -> bool:
    """End a membership; False when there was none."""
    result = tx.execute(sa.delete(workspace_members).where(_M.workspace_id == workspace_id, _M.user_id == user_id))
    return result.rowcount == 1


def page(tx: Tx, *, limit: int, after: str | None, closed: bool) -> Sequence[Workspace]:
    """Workspaces of the whole installation by id, after the id `after` (for its administrator)."""
    c = workspaces.c
    query = sa.select(*COLUMNS).where(c.deleted_at.is_not(None) if closed else c.deleted_at.is_(None))
    if after is not None:
        query = query.where(c.id > after)
    return [to_value(Workspace, row) for row in tx.all(query.order_by(c.id).limit(limit))]


def oldest(tx: Tx) -> str | None:
    """The id of the open workspace that was made first, of the whole installation."""
    c = workspaces.c
    found = tx.scalar(sa.select(c.id).where(c.deleted_at.is_(None)).order_by(c.created_at, c.id).limit(1))
    return None if found is None else str(found)


def due_for_purge(tx: Tx, *, now: datetime, limit: int) -> Sequence[Workspace]:
    """Deleted workspaces whose grace is over (for the sweep)."""
    query = sa.select(*COLUMNS).where(workspaces.c.purge_at.is_not(None), workspaces.c.purge_at <= now).limit(limit)
    return [to_value(Workspace, row) for row in tx.all(tx.lock_due(query))]


def purge(tx: Tx, workspace_id: str) -> None:
    """Remove a workspace and everything in it but its log and audit trail."""
    tx.execute(sa.delete(workspaces).where(workspaces.c.id == workspace_id))
