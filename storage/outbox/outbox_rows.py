"""Messages that are to leave: written with the change they tell of, sent by a worker, kept until sent."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from domain.ids import new_id
from domain.outbox.message import Message
from storage.prepared import Prepared
from storage.tables import outbox
from storage.transaction import Tx
from storage.values import columns_of, to_value

_insert = Prepared(
    sa.insert(outbox).values(
        {
            name: sa.bindparam(name, type_=outbox.c[name].type)
            for name in (
                "id",
                "workspace_id",
                "channel",
                "recipient",
                "payload",
                "dedupe_key",
                "state",
                "attempts",
                "not_before",
                "created_at",
            )
        }
    )
)


def put(
    tx: Tx,
    *,
    workspace_id: str | None,
    channel: str,
    recipient: str,
    payload: dict[str, Any],
    now: datetime,
    dedupe_key: str | None = None,
    not_before: datetime | None = None,
) -> str | None:
    """Queue one message; its id, or None when one with this `dedupe_key` was queued before."""
    message_id = new_id()
    values = {
        "id": message_id,
        "workspace_id": workspace_id,
        "channel": channel,
        "recipient": recipient,
        "payload": payload,
        "dedupe_key": dedupe_key,
        "state": "queued",
        "attempts": 0,
        "not_before": not_before or now,
        "created_at": now,
    }
    if dedupe_key is None:
        _insert(tx, **values)
        return message_id
    return message_id if tx.insert_if_absent(outbox, values, key=("dedupe_key",)) else None


def claim(
    tx: Tx, *, channels: Sequence[str], now: datetime, lease: timedelta, limit: int, busy: Sequence[str] = ()
) -> Sequence[Message]:
    """Take up to `limit` due messages, one a recipient, oldest first; nobody else gets them until the lease ends.

    `busy` recipients are left alone, so that what one person is sent stays in order.
    """
    o = outbox.c
    due = sa.and_(
        o.channel.in_(list(channels)),
        o.not_before <= now,
        sa.or_(o.state == "queued", sa.and_(o.state == "claimed", o.claimed_until < now)),
    )
    older = outbox.alias("older")
    waiting_before = sa.exists().where(
        older.c.channel == o.channel,
        older.c.recipient == o.recipient,
        older.c.state.in_(("queued", "claimed")),
        older.c.id < o.id,
    )
    query = sa.select(*columns_of(outbox, Message)).where(due, ~waiting_before).order_by(o.id).limit(limit)
    if busy:
        query = query.where(o.recipient.not_in(list(busy)))
    found = [to_value(Message, row) for row in tx.all(tx.lock_due(query))]
    if found:
        tx.execute(
            sa.update(outbox)
            .where(o.id.in_([m.id for m in found]))
            .values(state="claimed", claimed_until=now + lease, attempts=o.attempts + 1)
        )
    return found


def sent(tx: Tx, message_id: str, *, now: datetime, result: Any = None) -> None:
    """The message is out."""
    tx.execute(
        sa.update(outbox)
        .where(outbox.c.id == message_id)
        .values(state="sent", sent_at=now, result=result, error=None, claimed_until=None)
    )


def later(tx: Tx, message_id: str, *, not_before: datetime, error: str) -> None:
    """Try again at `not_before`."""
    tx.execute(
        sa.update(outbox)
        .where(outbox.c.id == message_id)
        .values(state="queued", not_before=not_before, error=error[:500], claimed_until=None)
    )


def redirect(tx: Tx, *, channel: str, recipient: str, to: str) -> None:
    """What waits for one recipient, or is in hand, goes to another."""
    o = outbox.c
    waiting = sa.and_(o.channel == channel, o.recipient == recipient, o.state.in_(("queued", "claimed")))
    tx.execute(sa.update(outbox).where(waiting).values(recipient=to, state="queued", claimed_until=None))


def failed(tx: Tx, message_id: str, *, now: datetime, error: str) -> None:
    """It can never be sent; kept to be looked at."""
    tx.execute(
        sa.update(outbox)
        .where(outbox.c.id == message_id)
        .values(state="failed", sent_at=now, error=error[:500], claimed_until=None)
    )


def depth(tx: Tx) -> dict[str, int]:
    """How many messages stand in each state (health and metrics)."""
    query = sa.select(outbox.c.state, sa.func.count()).where(outbox.c.state != "sent").group_by(outbox.c.state)
    return {row[0]: int(row[1]) for row in tx.all(query)}


def purge(tx: Tx, *, now: datetime, keep: timedelta) -> int:
    """Drop what was sent longer ago than `keep`; how many."""
    return tx.execute(sa.delete(outbox).where(outbox.c.state == "sent", outbox.c.sent_at < now - keep)).rowcount


def blank(tx: Tx, message_id: str) -> None:
    """Forget what the message said (it held something sealed that is of no more use)."""
    tx.execute(sa.update(outbox).where(outbox.c.id == message_id).values(payload={"kind": "blanked"}))


def forget_workspace(tx: Tx, workspace_id: str) -> None:
    """Drop every message of a workspace, sent or not."""
    tx.execute(sa.delete(outbox).where(outbox.c.workspace_id == workspace_id))


def forget_recipients(tx: Tx, recipients: Sequence[str]) -> None:
    """Drop every message to these addresses or chats, sent or not."""
    tx.execute(sa.delete(outbox).where(outbox.c.recipient.in_(recipients)))
