"""Locks of an installation: held by one process until it lets go, or dies, or by a transaction until it ends."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable

import psycopg
import sqlalchemy as sa

from storage.database import Store
from storage.transaction import Tx


def lock_number(name: str) -> int:
    """The number of an advisory lock of Postgres with this name."""
    return int.from_bytes(hashlib.sha256(f"pilot:{name}".encode()).digest()[:8], "big", signed=True)


def take_in(tx: Tx, name: str) -> None:
    """Wait for the lock and hold it until the transaction ends. On SQLite a writer is alone anyway."""
    if tx.postgres and not tx.reading:
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(lock_number(name))))


class Lock:
    """`take` never waits. On SQLite there is one process, so it is always had.

    On Postgres it belongs to a connection of its own: when the process dies the server sees the
    connection close and the lock is free; when the machine dies, keepalives tell within half a minute.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.name = name
        self._alone = store.sqlite is not None
        self._url = store.url.replace("postgresql+psycopg://", "postgresql://")
        self._session: psycopg.Connection[tuple[bool]] | None = None

    async def take(self) -> bool:
        """Whether this process has the lock now."""
        return self._alone or await asyncio.to_thread(self._take)

    async def held(self) -> bool:
        """Whether it still has it: a lost connection is a lost lock."""
        return self._alone or await asyncio.to_thread(self._ping)

    async def release(self) -> None:
        """Let go."""
        await asyncio.to_thread(self._close)

    def _take(self) -> bool:
        if self._session is not None:
            return self._ping()
        session: psycopg.Connection[tuple[bool]] = psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=5,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
        )
        try:
            row = session.execute("SELECT pg_try_advisory_lock(%s)", (lock_number(self.name),)).fetchone()
        except psycopg.Error:
            session.close()
            raise
        if row is None or not row[0]:
            session.close()
            return False
        self._session = session
        return True

    def _ping(self) -> bool:
        if self._session is None:
            return False
        try:
            self._session.execute("SELECT true")
        except psycopg.Error:
            self._close()
            return False
        return True

    def _close(self) -> None:
        if self._session is not None:
            with contextlib.suppress(psycopg.Error):
                self._session.close()
            self._session = None


async def own_name(make: Callable[[str], Lock], wanted: str, *, tries: int = 4, pause: float = 0.25) -> Lock:
    """The lock on `wanted`, or on `wanted-2`, `wanted-3` ... when living processes have those before it.

    The first name is asked for a few times: the server may not have seen yet that a predecessor died.
    """
    lock = make(wanted)
    for attempt in range(tries):
        if await lock.take():
            return lock
        if attempt + 1 < tries:
            await asyncio.sleep(pause)
    number = 2
    while True:
        lock = make(f"{wanted}-{number}")
        if await lock.take():
            return lock
        number += 1
