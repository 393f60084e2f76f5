"""Updates from Telegram: stored as they came, handled in order, each once."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from storage.database import Tx
from storage.tables import idempotency_keys, inbox
from storage.values import columns_of, to_value

LOOK_AHEAD = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One update. `state` is new, claimed, done or failed; `raw` is the JSON as it came."""

    update_id: int
    raw: str
    state: str
    attempts: int
    claimed_until: datetime | None
    received_at: datetime


COLUMNS = columns_of(inbox, Received)


def put(tx: Tx, *, update_id: int, raw: str, now: datetime) -> bool:
    """Store one update; False when it was delivered before."""
    values = {"update_id": update_id, "raw": raw, "state": "new", "attempts": 0, "received_at": now}
    return tx.insert_if_absent(inbox, values, key=("update_id",))


def claim(
    tx: Tx,
    *,
    now: datetime,
    lease: timedelta,
    limit: int,
    in_hand: Collection[int],
    key_of: Callable[[str], str],
) -> Sequence[Received]:
    """Take up to `limit` updates, oldest first; nobody else gets them until the lease ends.

    `key_of` names what must stay in order (the chat). An update waits while an older one of the
    same key is in the hands of another process; those in `in_hand` are the caller's own.
    """
    open_rows = tx.all(
        tx.lock(
            sa.select(*COLUMNS)
            .where(inbox.c.state.in_(("new", "claimed")))
            .order_by(inbox.c.update_id)
            .limit(LOOK_AHEAD)
        )
    )
    elsewhere: set[str] = set()
    found: list[Received] = []
    for row in (to_value(Received, r) for r in open_rows):
        if row.update_id in in_hand:
            continue
        key = key_of(row.raw)
        if row.state == "claimed" and row.claimed_until is not None and row.claimed_until > now:
            elsewhere.add(key)
        elif key not in elsewhere:
            found.append(row)
            if len(found) == limit:
                break
    if found:
        tx.execute(
            sa.update(inbox)
            .where(inbox.c.update_id.in_([r.update_id for r in found]))
            .values(state="claimed", claimed_until=now + lease, attempts=inbox.c.attempts + 1)
        )
    return found


def renew(tx: Tx, update_ids: Collection[int], *, until: datetime) -> None:
    """Keep claimed updates that are still being handled."""
    tx.execute(
        sa.update(inbox)
        .where(inbox.c.update_id.in_(list(update_ids)), inbox.c.state == "claimed")
        .values(claimed_until=until)
    )


def release(tx: Tx, update_ids: Collection[int] | None = None) -> int:
    """Give claimed updates back (all of them, when None: only a process that is alone may); how many."""
    query = sa.update(inbox).where(inbox.c.state == "claimed")
    if update_ids is not None:
        query = query.where(inbox.c.update_id.in_(list(update_ids)))
    return tx.execute(query.values(state="new", claimed_until=None)).rowcount


def tried(tx: Tx, update_id: int, *, error: str) -> None:
    """One more attempt began, after this error."""
    tx.execute(
        sa.update(inbox).where(inbox.c.update_id == update_id).values(attempts=inbox.c.attempts + 1, error=error[:500])
    )


def finish(tx: Tx, update_id: int, *, now: datetime, error: str | None = None) -> None:
    """The update is handled; with an error it is kept as failed, to be looked at."""
    tx.execute(
        sa.update(inbox)
        .where(inbox.c.update_id == update_id)
        .values(
            state="done" if error is None else "failed",
            done_at=now,
            claimed_until=None,
            **({} if error is None else {"error": error[:500]}),
        )
    )


def get(tx: Tx, update_id: int) -> Received | None:
    """One update, for a replay or a test."""
    row = tx.one(sa.select(*COLUMNS).where(inbox.c.update_id == update_id))
    return None if row is None else to_value(Received, row)


def depth(tx: Tx) -> dict[str, int]:
    """How many updates stand in each state but done (health and metrics)."""
    query = sa.select(inbox.c.state, sa.func.count()).where(inbox.c.state != "done").group_by(inbox.c.state)
    return {row[0]: int(row[1]) for row in tx.all(query)}


def purge(tx: Tx, *, now: datetime, keep: timedelta) -> int:
    """Drop updates handled longer ago than `keep`; how many."""
    return tx.execute(sa.delete(inbox).where(inbox.c.state == "done", inbox.c.done_at < now - keep)).rowcount


def blank(tx: Tx, telegram_id: int) -> None:
    """Take what somebody wrote out of the updates that were handled; that they came stays known."""
    names = [inbox.c.raw.contains(f'"id":{gap}{telegram_id}{end}') for gap in ("", " ") for end in (",", "}")]
    tx.execute(sa.update(inbox).where(inbox.c.state.in_(("done", "failed")), sa.or_(*names)).values(raw="{}"))


def effect_of(tx: Tx, update_id: int) -> str | None:
    """What an update has brought about (the id of a task or run), None when nothing yet."""
    query = sa.select(idempotency_keys.c.body).where(
        idempotency_keys.c.principal == "telegram", idempotency_keys.c.key == f"tg:{update_id}"
    )
    found = tx.scalar(query)
    return None if found is None else str(found)


def remember_effect(tx: Tx, update_id: int, ref: str, *, now: datetime, keep: timedelta = timedelta(days=30)) -> None:
    """Note, in the transaction that does it, what an update brings about: its redelivery finds this."""
    tx.execute(
        sa.insert(idempotency_keys).values(
            principal="telegram",
            key=f"tg:{update_id}",
            request_hash="",
            status=200,
            body=ref,
            created_at=now,
            expires_at=now + keep,
        )
    )
