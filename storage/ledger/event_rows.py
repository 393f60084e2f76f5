"""What happened in a workspace, numbered, for clients that watch it live and resume by number."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

import sqlalchemy as sa

from domain.ledger.events import StoredEvent
from storage.prepared import Prepared
from storage.tables import event_heads, events
from storage.transaction import Tx
from storage.values import columns_of, to_value

# more of one unit are written by several statements
AT_ONCE = 8

_bump_by = (
    sa.update(event_heads)
    .where(event_heads.c.workspace_id == sa.bindparam("ws"))
    .values(seq=event_heads.c.seq + sa.bindparam("count", type_=sa.BigInteger))
)
_bump = Prepared(_bump_by.returning(event_heads.c.seq))
_append = Prepared(sa.insert(events).values({c.name: sa.bindparam(c.name) for c in events.c}))
_COLUMNS = ("kind", "ref", "payload", "created_at")


@cache
def _append_at_once(count: int) -> Prepared:
    """The number taken and the rows written in one statement, for Postgres. Names end with the row's number."""
    head = _bump_by.returning(event_heads.c.seq, event_heads.c.workspace_id).cte("head")
    rows = [
        sa.select(
            head.c.workspace_id,
            head.c.seq - (count - 1 - number),
            *(sa.bindparam(f"{name}_{number}", type_=events.c[name].type) for name in _COLUMNS),
        )
        for number in range(count)
    ]
    return Prepared(sa.insert(events).from_select(["workspace_id", "seq", *_COLUMNS], sa.union_all(*rows)))


def append(tx: Tx, *, workspace_id: str, kind: str, ref: str, payload: dict[str, Any], now: datetime) -> None:
    """Write one event at the end of the unit. Numbers of a workspace have no gaps once committed."""
    key = f"events:{workspace_id}"
    waiting: list[dict[str, Any]] | None = tx.memo.get(key)
    if waiting is None:
        waiting = tx.memo[key] = []
        tx.before_commit(partial(_write, tx, workspace_id, waiting))
    waiting.append({"kind": kind, "ref": ref, "payload": payload, "created_at": now})


def _write(tx: Tx, workspace_id: str, waiting: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(waiting), AT_ONCE):
        some = waiting[start : start + AT_ONCE]
        if not _written(tx, workspace_id, some):
            tx.insert_if_absent(event_heads, {"workspace_id": workspace_id, "seq": 0}, key=("workspace_id",))
            _written(tx, workspace_id, some)


def _written(tx: Tx, workspace_id: str, some: Sequence[dict[str, Any]]) -> bool:
    """Whether they were written: not when the workspace has no head yet."""
    if tx.postgres:
        values = {f"{name}_{number}": row[name] for number, row in enumerate(some) for name in _COLUMNS}
        return int(_append_at_once(len(some))(tx, ws=workspace_id, count=len(some), **values).rowcount) > 0
    head = _bump(tx, ws=workspace_id, count=len(some)).fetchone()
    if head is None:
        return False
    for number, row in enumerate(some, start=int(head[0]) - len(some) + 1):
        _append(tx, workspace_id=workspace_id, seq=number, **row)
    return True


def after(tx: Tx, workspace_id: str, seq: int, *, limit: int = 500) -> Sequence[StoredEvent]:
    """The events numbered above `seq`, oldest first."""
    query = (
        sa.select(*columns_of(events, StoredEvent))
        .where(events.c.workspace_id == workspace_id, events.c.seq > seq)
        .order_by(events.c.seq)
        .limit(limit)
    )
    return [to_value(StoredEvent, row) for row in tx.all(query)]


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
