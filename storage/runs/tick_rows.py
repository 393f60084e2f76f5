"""Marks of clock ticks that were done, and of the processes that are alive."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from storage.tables import executors, ticks
from storage.transaction import Tx


def take(tx: Tx, tick_id: str, *, now: datetime) -> bool:
    """Whether this process is the first to come for the tick."""
    return tx.insert_if_absent(ticks, {"id": tick_id, "created_at": now}, key=("id",))


def purge(tx: Tx, *, now: datetime, keep: timedelta) -> None:
    """Forget old ticks."""
    tx.execute(sa.delete(ticks).where(ticks.c.created_at < now - keep))


def alive(tx: Tx, executor_id: str, *, role: str, now: datetime) -> None:
    """Say that this process lives."""
    tx.insert_if_absent(
        executors, {"executor_id": executor_id, "role": role, "started_at": now, "seen_at": now}, key=("executor_id",)
    )
    tx.execute(sa.update(executors).where(executors.c.executor_id == executor_id).values(seen_at=now, role=role))


def dead(tx: Tx, *, before: datetime) -> Mapping[str, datetime]:
    """Processes not heard of since `before`, and when they were last."""
    query = sa.select(executors.c.executor_id, executors.c.seen_at).where(executors.c.seen_at < before)
    return {row.executor_id: row.seen_at for row in tx.all(query)}


def forget(tx: Tx, executor_id: str) -> None:
    """A process is gone for good."""
    tx.execute(sa.delete(executors).where(executors.c.executor_id == executor_id))
