"""Rate limit buckets that several processes share."""

import sqlalchemy as sa

from storage.tables import rate_buckets
from storage.transaction import Tx


def hit(tx: Tx, *, key: str, now: float, interval: float, capacity: int) -> tuple[float, bool]:
    """One GCRA step: the bucket's theoretical arrival time in seconds, and whether the request passes."""
    micros = int(now * 1e6)
    query = tx.lock(sa.select(rate_buckets.c.tat_micros).where(rate_buckets.c.key == key))
    tx.insert_if_absent(rate_buckets, {"key": key, "tat_micros": micros}, key=("key",))
    while (found := tx.scalar(query)) is None:
        # `purge` was here in between
        tx.insert_if_absent(rate_buckets, {"key": key, "tat_micros": micros}, key=("key",))
    arrival = max(int(found), micros)
    if arrival - micros > (capacity - 1) * interval * 1e6:
        return arrival / 1e6, False
    moved = arrival + int(interval * 1e6)
    tx.execute(sa.update(rate_buckets).where(rate_buckets.c.key == key).values(tat_micros=moved))
    return moved / 1e6, True


def purge(tx: Tx, *, now: float) -> None:
    """Drop the buckets that are full again."""
    tx.execute(sa.delete(rate_buckets).where(rate_buckets.c.tat_micros < int(now * 1e6)))
