"""The store in a SQLite file: one thread writes, and commits waiting units together (ADR 2).

Each unit has its own savepoint; one durable commit for many is what makes commits cheap.
"""

import asyncio
import itertools
import queue
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError

from domain.backoff import Backoff
from storage import private
from storage.backend import Backend
from storage.transaction import Tx
from storage.units import GROUP, Unit, fail, run_apart, settle

T = TypeVar("T")
# the file is locked by its second writer
LOCKED = Backoff(first=0.05, longest=0.8, tries=6)


class Sqlite(Backend):
    """A SQLite file, with the one thread that writes to it and some that read."""

    def __init__(self, url: sa.URL, *, readers: int) -> None:
        self.path = Path(url.database or "pilot.db")
        private.database(self.path)
        super().__init__(
            engine=sqlite_engine(self.path),
            read_engine=sqlite_engine(self.path, read_only=True),
            stream_url=url.set(drivername="sqlite+aiosqlite"),
            threads=ThreadPoolExecutor(readers, thread_name_prefix="store-reader"),
        )
        self._local = threading.local()
        self._readers: list[Connection] = []
        self._guard = threading.Lock()
        self._queue: queue.SimpleQueue[Unit | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_forever, name="store-writer", daemon=True)
        self._writer.start()

    def submit(self, fn: Callable[[Tx], T], *, partition: str | None) -> Awaitable[T]:
        """Queue a unit for the writer: whatever waits there is one group, so `partition` makes no difference."""
        del partition
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(Unit(fn, future, loop))
        return future

    async def read(self, fn: Callable[[Tx], T], *, long: bool) -> T:
        """Run a short read right here: it takes less time than handing it to a thread does."""
        if not long:
            return self.read_here(fn)
        return await asyncio.get_running_loop().run_in_executor(self.threads, self.read_here, fn)

    def read_here(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on a connection that the thread keeps."""
        kept: Connection | None = getattr(self._local, "connection", None)
        if kept is None:
            kept = self.read_engine.connect()
            self._local.connection = kept
            with self._guard:
                self._readers.append(kept)
        try:
            return fn(Tx(kept, reading=True))
        finally:
            kept.rollback()

    def file_version(self) -> int:
        """A number that is another one after anybody has committed to the file. Call it on the event loop.

        It tells apart what the thread that reads there has seen: another thread's numbers are others.
        """
        return self.read_here(lambda tx: int(tx.cursor.execute("PRAGMA data_version").fetchone()[0]))

    def close(self) -> None:
        """Let the writer finish what was queued, then close every connection."""
        self._queue.put(None)
        self._writer.join(10)
        self.threads.shutdown()
        with self._guard:
            for connection in self._readers:
                connection.invalidate()
                connection.close()
        super().close()

    # --- the writer's thread ----------------------------------------------------------------------

    def _write_forever(self) -> None:
        connection: Connection | None = None
        while True:
            first = self._queue.get()
            if first is None:
                break
            batch = [first]
            stop = False
            while len(batch) < GROUP:
                try:
                    unit = self._queue.get_nowait()
                except queue.Empty:
                    break
                if unit is None:
                    stop = True
                    break
                batch.append(unit)
            if connection is None:
                connection = self.engine.connect()
            try:
                _commit_group(connection, batch)
            except BaseException as error:  # noqa: BLE001 - every waiting unit must hear of it
                connection.invalidate()
                connection.close()
                connection = None
                fail([unit for unit in batch if not unit.future.done()], error)
            if stop:
                break
        if connection is not None:
            connection.close()


def _commit_group(connection: Connection, batch: list[Unit]) -> None:
    transaction = _begin_patiently(connection)
    try:
        settled = run_apart(connection, batch)
        transaction.commit()
    except BaseException:
        transaction.rollback()
        raise
    settle(settled)


def _begin_patiently(connection: Connection) -> Any:
    # The job engine is a second writer on the file: its short transactions may hold the lock.
    for failure in itertools.count(1):
        try:
            transaction = connection.begin()
        except OperationalError:
            if LOCKED.is_last(failure):
                raise
            connection.rollback()
            time.sleep(LOCKED.pause(failure))
        else:
            return transaction
    raise AssertionError("unreachable")


def sqlite_engine(path: Path, *, read_only: bool = False, driver_begins: bool = False) -> Engine:
    """An engine on the SQLite file: WAL, full durability, immediate transactions for writers.

    `driver_begins` leaves BEGIN IMMEDIATE to the driver, for a library that also begins by hand.
    """
    engine = sa.create_engine(
        f"sqlite:///{path}",
        poolclass=sa.pool.QueuePool,
        pool_size=8,
        max_overflow=16,
        connect_args={"check_same_thread": False, "timeout": 30},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE" if driver_begins else None
        cursor = connection.cursor()
        for pragma in (
            "busy_timeout=10000",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-20000",
            "temp_store=MEMORY",
            *(("query_only=ON",) if read_only else ()),
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    if not driver_begins:

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine
