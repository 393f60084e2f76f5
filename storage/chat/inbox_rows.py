"""Updates from Telegram: stored as they came, handled in order, each once."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from domain.chat.updates import AT_ONCE, ENCODED, Backlog, InboxState, Received, as_bytes
from storage.tables import idempotency_keys, inbox
from storage.transaction import Tx
from storage.values import columns_of, to_value

LOOK_AHEAD = 500


OPEN = (InboxState.NEW.value, InboxState.CLAIMED.value)
ENDED = tuple(state.value for state in InboxState if state.value not in OPEN)


COLUMNS = columns_of(inbox, Received)


def put(
    tx: Tx,
    *,
    update_id: int,
    raw: str,
    now: datetime,
    chat_key: str | None = None,
    state: InboxState = InboxState.NEW,
    error: str | None = None,
) -> bool:
    """Store one update; False when it was delivered before."""
    values = {
        "update_id": update_id,
        "raw": raw,
        "state": state.value,
        "attempts": 0,
        "starts": 0,
        "chat_key": chat_key,
        "error": error,
        "received_at": now,
        "done_at": None if state.value in OPEN else now,
    }
    return tx.insert_if_absent(inbox, values, key=("update_id",))


def waits(tx: Tx) -> bool:
    """Whether any update is not at its end."""
    return tx.scalar(sa.select(inbox.c.update_id).where(inbox.c.state.in_(OPEN)).limit(1)) is not None


def claim(
    tx: Tx,
    *,
    now: datetime,
    lease: timedelta,
    limit: int,
    in_hand: Mapping[int, str],
    key_of: Callable[[bytes], str],
) -> Sequence[Received]:
    """Take up to `limit` updates, oldest first; nobody else gets them until the lease ends.

    What must stay in order is told by `chat_key`, which `key_of` finds for rows that lack it. An update waits while
    an older one of the same key is in the hands of another process, or while the caller has `AT_ONCE` of that key:
    `in_hand` holds the keys of what the caller has, by update id. No body is read but of what is taken.
    """
    held = Counter(in_hand.values())
    elsewhere: set[str] = set()
    found: list[int] = []
    after: int | None = None
    while len(found) < limit:
        full = [key for key, count in held.items() if count >= AT_ONCE] + list(elsewhere)
        page = _page(tx, after, full, key_of)
        for update_id, key, claimed_until in page:
            if update_id in in_hand or held[key] >= AT_ONCE or key in elsewhere:
                continue
            if claimed_until is not None and claimed_until > now:
                elsewhere.add(key)
                continue
            held[key] += 1
            found.append(update_id)
            if len(found) == limit:
                break
        if len(page) < LOOK_AHEAD:
            break
        after = page[-1][0]
    if not found:
        return ()
    values = {"state": InboxState.CLAIMED.value, "claimed_until": now + lease}
    tx.execute(sa.update(inbox).where(inbox.c.update_id.in_(found)).values(values))
    rows = tx.all(sa.select(*COLUMNS).where(inbox.c.update_id.in_(found)).order_by(inbox.c.update_id))
    return [to_value(Received, row) for row in rows]


def _page(
    tx: Tx, after: int | None, full: Sequence[str], key_of: Callable[[bytes], str]
) -> list[tuple[int, str, datetime | None]]:
    """The next open updates as (id, key, claimed until), those of keys in `full` left out."""
    c = inbox.c
    query = sa.select(c.update_id, c.chat_key, c.state, c.claimed_until).where(c.state.in_(OPEN))
    if after is not None:
        query = query.where(c.update_id > after)
    if full:
        query = query.where(sa.or_(c.chat_key.is_(None), c.chat_key.not_in(full)))
    rows = tx.all(tx.lock(query.order_by(c.update_id).limit(LOOK_AHEAD)))
    keys = _fill_in_keys(tx, [row[0] for row in rows if row[1] is None], key_of)
    return [(row[0], row[1] or keys[row[0]], row[3] if row[2] == InboxState.CLAIMED else None) for row in rows]


def _fill_in_keys(tx: Tx, update_ids: Sequence[int], key_of: Callable[[bytes], str]) -> dict[int, str]:
    """Find and keep the keys of rows that an older version wrote."""
    keys: dict[int, str] = {}
    for update_id in update_ids:
        raw = tx.scalar(sa.select(inbox.c.raw).where(inbox.c.update_id == update_id))
        keys[update_id] = key_of(as_bytes(raw))
        tx.execute(sa.update(inbox).where(inbox.c.update_id == update_id).values(chat_key=keys[update_id]))
    return keys


def renew(tx: Tx, update_ids: Collection[int], *, until: datetime) -> None:
    """Keep claimed updates that are still being handled."""
    tx.execute(
        sa.update(inbox)
        .where(inbox.c.update_id.in_(list(update_ids)), inbox.c.state == InboxState.CLAIMED)
        .values(claimed_until=until)
    )


def release(tx: Tx, update_ids: Collection[int] | None = None) -> int:
    """Give claimed updates back (all of them, when None: only a process that is alone may); how many."""
    query = sa.update(inbox).where(inbox.c.state == InboxState.CLAIMED)
    if update_ids is not None:
        query = query.where(inbox.c.update_id.in_(list(update_ids)))
    return tx.execute(query.values(state=InboxState.NEW.value, claimed_until=None)).rowcount


def begin(tx: Tx, update_id: int) -> int:
    """Count a try before it is made; how many were begun since one last came back, this one included."""
    c = inbox.c
    query = sa.update(inbox).where(c.update_id == update_id)
    counted = query.values(attempts=c.attempts + 1, starts=c.starts + 1).returning(c.starts)
    return int(tx.execute(counted).scalar() or 0)


def came_back(tx: Tx, update_id: int, *, error: str) -> None:
    """A try ended with this error, and the process lives on."""
    tx.execute(sa.update(inbox).where(inbox.c.update_id == update_id).values(starts=0, error=error[:500]))


def end(tx: Tx, update_id: int, state: InboxState, *, now: datetime, error: str | None = None) -> None:
    """The update is at its end; what failed or was set aside is kept with its reason, to be looked at."""
    values: dict[str, Any] = {"state": state.value, "done_at": now, "claimed_until": None}
    if error is not None:
        values["error"] = error[:500]
    tx.execute(sa.update(inbox).where(inbox.c.update_id == update_id).values(values))


def get(tx: Tx, update_id: int) -> Received | None:
    """One update, for a replay or a test."""
    row = tx.one(sa.select(*COLUMNS).where(inbox.c.update_id == update_id))
    return None if row is None else to_value(Received, row)


def newest_numbers(tx: Tx, *, limit: int = 20) -> Sequence[int]:
    """The numbers of the updates that came last."""
    return [row[0] for row in tx.all(sa.select(inbox.c.update_id).order_by(inbox.c.received_at.desc()).limit(limit))]


def depth(tx: Tx) -> dict[str, int]:
    """How many updates stand in each state but those that need nothing more (metrics)."""
    well = (InboxState.DONE.value, InboxState.DROPPED.value)
    query = sa.select(inbox.c.state, sa.func.count()).where(inbox.c.state.not_in(well)).group_by(inbox.c.state)
    return {row[0]: int(row[1]) for row in tx.all(query)}


def backlog(tx: Tx) -> Backlog:
    """What health and the doctor say of the inbox."""
    counts = depth(tx)
    oldest = sa.select(inbox.c.received_at).where(inbox.c.state.in_(OPEN)).order_by(inbox.c.received_at).limit(1)
    return Backlog(
        waiting=sum(counts.get(state, 0) for state in OPEN),
        oldest=tx.scalar(oldest),
        set_aside=counts.get(InboxState.SET_ASIDE.value, 0),
        failed=counts.get(InboxState.FAILED.value, 0),
    )


def purge(tx: Tx, *, now: datetime, keep: timedelta, keep_troubled: timedelta) -> int:
    """Drop updates that ended longer ago than `keep`, those that failed or were set aside `keep_troubled`; how many."""
    c = inbox.c
    troubled = c.state.in_((InboxState.FAILED.value, InboxState.SET_ASIDE.value))
    well = c.state.in_((InboxState.DONE.value, InboxState.DROPPED.value))
    old = sa.or_(sa.and_(well, c.done_at < now - keep), sa.and_(troubled, c.done_at < now - keep_troubled))
    return tx.execute(sa.delete(inbox).where(old)).rowcount


def blank(tx: Tx, telegram_id: int) -> None:
    """Take what somebody wrote, or what names them, out of updates at their end; that they came stays known."""
    c = inbox.c
    named = re.compile(rf"(?<!\d){telegram_id}(?!\d)".encode())
    last: int | None = None
    while True:
        query = sa.select(c.update_id, c.raw).where(c.state.in_(ENDED))
        query = query.where(sa.or_(c.raw.contains(str(telegram_id)), c.raw.startswith(ENCODED)))
        if last is not None:
            query = query.where(c.update_id > last)
        rows = tx.all(query.order_by(c.update_id).limit(LOOK_AHEAD))
        found = [row[0] for row in rows if named.search(as_bytes(row[1]))]
        if found:
            tx.execute(sa.update(inbox).where(c.update_id.in_(found)).values(raw="{}"))
        if len(rows) < LOOK_AHEAD:
            return
        last = rows[-1][0]


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
