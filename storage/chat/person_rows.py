"""What the chat side needs to know of people: names, language, and whether their chat is open."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.chat.person import Person
from storage.tables import users, workspaces
from storage.transaction import Tx


def at_chat(tx: Tx, chat_id: int) -> Person | None:
    """Whose private chat this is, None for a group or a stranger."""
    u = users.c
    row = tx.one(
        sa.select(u.id, u.name, u.telegram_id, u.language, u.preferences, u.chat_open).where(
            u.telegram_id == chat_id, u.erased_at.is_(None)
        )
    )
    if row is None:
        return None
    preferences = row[4] or {}
    # what the person chose outranks what their client said
    chosen = preferences.get("language")
    return Person(
        id=row[0],
        name=row[1],
        telegram_id=row[2],
        language=chosen if isinstance(chosen, str) else row[3],
        preferences=preferences,
        chat_open=bool(row[5]),
    )


def names(tx: Tx, user_ids: Sequence[str]) -> Mapping[str, str]:
    """The names of these users by id."""
    if not user_ids:
        return {}
    rows = tx.all(sa.select(users.c.id, users.c.name).where(users.c.id.in_(list(user_ids))))
    return {row[0]: row[1] for row in rows}


def set_chat_open(tx: Tx, chat_id: int, *, is_open: bool, now: datetime) -> None:
    """Note whether the private chat may be written to."""
    tx.execute(sa.update(users).where(users.c.telegram_id == chat_id).values(chat_open=is_open, updated_at=now))


def set_preference(tx: Tx, user_id: str, name: str, value: Any, *, now: datetime) -> None:
    """Set one preference of a person; None takes it away."""
    query = tx.lock(sa.select(users.c.preferences).where(users.c.id == user_id))
    kept = dict(tx.scalar(query) or {})
    kept.pop(name, None)
    if value is not None:
        kept[name] = value
    tx.execute(sa.update(users).where(users.c.id == user_id).values(preferences=kept, updated_at=now))


def workspace_name(tx: Tx, workspace_id: str) -> str:
    """The name of a workspace, "" when it is gone."""
    return str(tx.scalar(sa.select(workspaces.c.name).where(workspaces.c.id == workspace_id)) or "")
