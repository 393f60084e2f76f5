"""Who can be written to in Telegram, and who of them may decide."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from domain.outbox.recipient import Recipient
from storage.prepared import Prepared
from storage.tables import api_keys, users, workspace_members
from storage.transaction import Tx

_open_chat = Prepared(
    sa.select(users.c.telegram_id).where(users.c.id == sa.bindparam("user_id"), users.c.chat_open.is_(True))
)


def _query(workspace_id: str) -> sa.Select[Any]:
    return (
        sa.select(
            users.c.id,
            users.c.name,
            users.c.telegram_id,
            workspace_members.c.role,
            users.c.language,
            users.c.preferences,
        )
        .join(workspace_members, workspace_members.c.user_id == users.c.id)
        .where(
            workspace_members.c.workspace_id == workspace_id,
            users.c.telegram_id.is_not(None),
            users.c.chat_open.is_(True),
            users.c.erased_at.is_(None),
        )
        .order_by(workspace_members.c.joined_at)
    )


def _recipient(row: Any) -> Recipient:
    return Recipient(
        user_id=row[0], name=row[1], telegram_id=int(row[2]), role=row[3], language=row[4], preferences=row[5] or {}
    )


def with_roles(tx: Tx, workspace_id: str, roles: Sequence[str]) -> Sequence[Recipient]:
    """Members with one of these roles, in the order they joined."""
    return [_recipient(r) for r in tx.all(_query(workspace_id).where(workspace_members.c.role.in_(list(roles))))]


def named(tx: Tx, workspace_id: str, user_ids: Sequence[str]) -> Sequence[Recipient]:
    """These members."""
    return [_recipient(r) for r in tx.all(_query(workspace_id).where(users.c.id.in_(list(user_ids))))]


def open_chat(tx: Tx, user_id: str) -> int | None:
    """The private chat of a person, None when they cannot be written to."""
    found = _open_chat.rows(tx, user_id=user_id)
    return int(found[0][0]) if found and found[0][0] is not None else None


def name_of_principal(tx: Tx, principal: str | None) -> str | None:
    """The name of the person or API key behind a principal; others are their own name."""
    kind, _, name = (principal or "").partition(":")
    column = {"user": users.c, "api_key": api_keys.c}.get(kind)
    if column is None:
        return principal
    return tx.scalar(sa.select(column.name).where(column.id == name)) or principal


def person_behind(tx: Tx, principal: str) -> str | None:
    """The user id of the person, or of who made the API key; None for anything else."""
    kind, _, name = principal.partition(":")
    if kind == "api_key":
        found: str | None = tx.scalar(sa.select(api_keys.c.user_id).where(api_keys.c.id == name))
        return found
    return name if kind == "user" else None
