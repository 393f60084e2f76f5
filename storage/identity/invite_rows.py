"""Invites to workspaces. Tokens are kept as hashes only."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from domain.identity.invite import Invite
from storage.tables import invites
from storage.transaction import Tx
from storage.values import columns_of, to_columns, to_value

COLUMNS = columns_of(invites, Invite)


def add(tx: Tx, invite: Invite) -> None:
    """Insert a new invite."""
    tx.execute(sa.insert(invites).values(to_columns(COLUMNS, invite)))


def by_hash(tx: Tx, token_hash: str) -> Invite | None:
    """The invite with this token."""
    row = tx.one(tx.lock(sa.select(*COLUMNS).where(invites.c.token_hash == token_hash)))
    return None if row is None else to_value(Invite, row)


def of_workspace(tx: Tx, workspace_id: str) -> Sequence[Invite]:
    """Invites of a workspace, newest first."""
    query = sa.select(*COLUMNS).where(invites.c.workspace_id == workspace_id).order_by(invites.c.created_at.desc())
    return [to_value(Invite, row) for row in tx.all(query)]


def accept(tx: Tx, invite_id: str, *, user_id: str, now: datetime) -> bool:
    """Use an invite up; only the first caller does it."""
    result = tx.execute(
        sa.update(invites)
        .where(invites.c.id == invite_id, invites.c.accepted_at.is_(None), invites.c.revoked_at.is_(None))
        .values(accepted_at=now, accepted_by=user_id)
    )
    return result.rowcount == 1


def revoke(tx: Tx, workspace_id: str, invite_id: str, *, now: datetime) -> bool:
    """End an invite; False when there is no open one."""
    result = tx.execute(
        sa.update(invites)
        .where(
            invites.c.workspace_id == workspace_id,
            invites.c.id == invite_id,
            invites.c.accepted_at.is_(None),
            invites.c.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )
    return result.rowcount == 1


def revoke_of_member(tx: Tx, workspace_id: str, user_id: str, *, now: datetime) -> None:
    """End the open invites a person made for a workspace."""
    tx.execute(
        sa.update(invites)
        .where(
            invites.c.workspace_id == workspace_id,
            invites.c.created_by == user_id,
            invites.c.accepted_at.is_(None),
            invites.c.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )
