"""Where things are shown in chat, and the state of conversations."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from domain.chat.message import ChatMessage
from domain.ids import new_id
from storage.tables import chat_messages, chat_state
from storage.transaction import Tx
from storage.values import columns_of, to_value

COLUMNS = columns_of(chat_messages, ChatMessage)


def remember(
    tx: Tx,
    *,
    workspace_id: str | None,
    kind: str,
    ref: str,
    chat_id: int,
    message_id: int,
    user_id: str | None,
    shown: str,
    now: datetime,
) -> None:
    """Note that a message shows `ref`."""
    tx.upsert(
        chat_messages,
        {
            "id": new_id(),
            "workspace_id": workspace_id,
            "kind": kind,
            "ref": ref,
            "chat_id": chat_id,
            "message_id": message_id,
            "user_id": user_id,
            "shown": shown,
            "created_at": now,
        },
        key=("chat_id", "message_id"),
    )


def shown(tx: Tx, message: ChatMessage, digest: str) -> None:
    """Note what the message shows now."""
    tx.execute(sa.update(chat_messages).where(chat_messages.c.id == message.id).values(shown=digest))


def of(tx: Tx, *, kind: str, ref: str) -> Sequence[ChatMessage]:
    """Every message that shows `ref`."""
    query = sa.select(*COLUMNS).where(chat_messages.c.kind == kind, chat_messages.c.ref == ref)
    return [to_value(ChatMessage, row) for row in tx.all(query.order_by(chat_messages.c.id))]


def newest(tx: Tx, workspace_id: str, *, kind: str, limit: int) -> Sequence[ChatMessage]:
    """The newest messages of a workspace that show such a thing."""
    c = chat_messages.c
    query = sa.select(*COLUMNS).where(c.kind == kind, c.workspace_id == workspace_id).order_by(c.id.desc())
    return [to_value(ChatMessage, row) for row in tx.all(query.limit(limit))]


def at(tx: Tx, *, chat_id: int, message_id: int) -> ChatMessage | None:
    """What a message shows, if it is one of these (a reply to a card names only the message)."""
    row = tx.one(
        sa.select(*COLUMNS).where(chat_messages.c.chat_id == chat_id, chat_messages.c.message_id == message_id)
    )
    return None if row is None else to_value(ChatMessage, row)


def forget(tx: Tx, *, chat_id: int, message_id: int) -> None:
    """A message shows nothing any more that could be brought up to date."""
    tx.execute(
        sa.delete(chat_messages).where(chat_messages.c.chat_id == chat_id, chat_messages.c.message_id == message_id)
    )


def get_state(tx: Tx, key: str) -> tuple[str | None, dict[str, Any]]:
    """State and data of a conversation."""
    row = tx.one(sa.select(chat_state.c.state, chat_state.c.data).where(chat_state.c.key == key))
    return (None, {}) if row is None else (row[0], row[1])


def set_state(tx: Tx, key: str, *, now: datetime, **values: Any) -> None:
    """Set state, data or both of a conversation."""
    tx.insert_if_absent(chat_state, {"key": key, "state": None, "data": {}, "updated_at": now}, key=("key",))
    tx.execute(sa.update(chat_state).where(chat_state.c.key == key).values(updated_at=now, **values))


def purge_states(tx: Tx, *, now: datetime, keep: timedelta) -> int:
    """Drop conversations nobody has gone on with for longer than `keep`; how many."""
    return tx.execute(sa.delete(chat_state).where(chat_state.c.updated_at < now - keep)).rowcount


def forget_person(tx: Tx, telegram_id: int) -> None:
    """Drop what is remembered of somebody's chat: what was shown there, and where a conversation stands."""
    tx.execute(sa.delete(chat_messages).where(chat_messages.c.chat_id == telegram_id))
    keys = (chat_state.c.key.endswith(f":{telegram_id}"), chat_state.c.key.contains(f":{telegram_id}:"))
    tx.execute(sa.delete(chat_state).where(sa.or_(*keys)))
