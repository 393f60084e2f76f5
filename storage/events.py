"""What happened in a workspace, numbered, for clients that watch it live and resume by number."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storage.database import Prepared, Tx
from storage.tables import event_heads, events
from storage.values import columns_of, to_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`kind` is `<noun>.<verb>`, `ref` the id of the thing, `payload` small JSON without secrets."""

    workspace_id: str
    seq: int
    kind: str
    ref: str
    payload: dict[str, Any]
    created_at: datetime


_bump = Prepared(
    sa.update(event_heads)
    .where(event_heads.c.workspace_id == sa.bindparam("ws"))
    .values(seq=event_heads.c.seq + 1)
    .returning(event_heads.c.seq)
)
_append = Prepared(sa.insert(events).values({c.name: sa.bindparam(c.name) for c in events.c}))


def append(tx: Tx, *, workspace_id: str, kind: str, ref: str, payload: dict[str, Any], now: datetime) -> int:
    """Write one event; its number. Numbers of a workspace have no gaps once committed."""
    row = _bump(tx, ws=workspace_id).fetchone()
    if row is None:
        tx.insert_if_absent(event_heads, {"workspace_id": workspace_id, "seq": 0}, key=("workspace_id",))
        row = _bump(tx, ws=workspace_id).fetchone()
    seq = int(row[0])
    _append(tx, workspace_id=workspace_id, seq=seq, kind=kind, ref=ref, payload=payload, created_at=now)
    return seq


def after(tx: Tx, workspace_id: str, seq: int, *, limit: int = 500) -> Sequence[Event]:
    """The events numbered above `seq`, oldest first."""
    query = (
        sa.select(*columns_of(events, Event))
        .where(events.c.workspace_id == workspace_id, events.c.seq > seq)
        .order_by(events.c.seq)
        .limit(limit)
    )
    return [to_value(Event, row) for row in tx.all(query)]


def head(tx: Tx, workspace_id: str) -> int:
    """The number of the newest event, 0 when there is none."""
    return int(tx.scalar(sa.select(event_heads.c.seq).where(event_heads.c.workspace_id == workspace_id)) or 0)


def heads(tx: Tx, workspace_ids: Sequence[str]) -> dict[str, int]:
    """The newest numbers of several workspaces."""
    query = sa.select(event_heads.c.workspace_id, event_heads.c.seq).where(
        event_heads.c.workspace_id.in_(list(workspace_ids))
    )
    return {row[0]: int(row[1]) for row in tx.all(query)}


def purge(tx: Tx, *, now: datetime, keep: timedelta) -> int:
    """Drop events older than `keep`; how many."""
    return tx.execute(sa.delete(events).where(events.c.created_at < now - keep)).rowcount
