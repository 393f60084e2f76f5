"""All SQL about who has been on an installation, and what they own."""

import sqlalchemy as sa

from domain.ledger.audit import AuditAction
from storage.installation.locks import take_in
from storage.tables import audit_log, users, workspaces
from storage.transaction import Tx


def lock_claim(tx: Tx) -> None:
    """Let no other transaction decide who is the first person until this one ends."""
    take_in(tx, "sign-up")


def anybody_but(tx: Tx, user_id: str | None) -> bool:
    """Whether anybody else has ever had an account here; people who erased themselves count."""
    query = sa.select(users.c.id).limit(1)
    if user_id is not None:
        query = query.where(users.c.id != user_id)
    return tx.one(query) is not None


def any_workspace(tx: Tx) -> bool:
    """Whether there is a workspace, open or closed."""
    return tx.one(sa.select(workspaces.c.id).limit(1)) is not None


def people(tx: Tx) -> int:
    """How many people have an account."""
    return int(tx.scalar(sa.select(sa.func.count()).select_from(users).where(users.c.erased_at.is_(None))))


def owned(tx: Tx, user_id: str) -> int:
    """How many workspaces a person owns; a closed one counts until it is removed. Nobody else counts meanwhile."""
    tx.execute(tx.lock(sa.select(users.c.id).where(users.c.id == user_id)))
    query = sa.select(sa.func.count()).select_from(workspaces).where(workspaces.c.owner_id == user_id)
    return int(tx.scalar(query))


def owns_any(tx: Tx, user_id: str, *, unless_closed_by: str) -> bool:
    """Whether a person owns a workspace that is open, or that somebody else than this principal closed."""
    found = tx.all(sa.select(workspaces.c.id, workspaces.c.deleted_at).where(workspaces.c.owner_id == user_id))
    return any(row[1] is None or closed_by(tx, row[0]) != unless_closed_by for row in found)


def closed_by(tx: Tx, workspace_id: str) -> str | None:
    """The principal who closed a workspace the last time."""
    c = audit_log.c
    query = (
        sa.select(c.actor)
        .where(c.workspace_id == workspace_id, c.action == AuditAction.WORKSPACE_DELETED.value)
        .order_by(c.created_at.desc(), c.id.desc())
        .limit(1)
    )
    found = tx.scalar(query)
    return None if found is None else str(found)
