"""The store: one way to write, one way to read, the same code on SQLite and Postgres.

A unit of work is a plain synchronous function of a `Tx`. On SQLite all writers share one thread
that commits waiting units together (each in its own savepoint), which is what makes durable
commits cheap; on Postgres each unit is its own transaction on a small pool of threads, but
units about one workspace, which would wait for each other's locks, are committed together too.
Never wait for the network inside a unit of work.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, CursorResult, Engine, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage import private

T = TypeVar("T")

GROUP = 64
RETRYABLE = {"40001", "40P01", "55P03"}
# the server closed the connection, or is being shut down or started
GONE = {None, "57P01", "57P02", "57P03"}


class Prepared:
    """A statement compiled once per dialect and run on the bare cursor.

    The ledger's hot appends go this way: building and caching a Core statement costs several
    times what SQLite needs to run it. Parameters are given by bind name.
    """

    __slots__ = ("_compiled", "_statement")

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, tx: "Tx", **params: Any) -> list[Any]:
        """The rows of a select, each value as its column type has it."""
        found = self(tx, **params).fetchall()
        results = self._compiled[tx.connection.dialect.name].results
        if not results:
            return list(found)
        rows: list[Any] = []
        for raw in found:
            row = list(raw)
            for index, process in results:
                row[index] = process(row[index])
            rows.append(row)
        return rows

    def __call__(self, tx: "Tx", **params: Any) -> Any:
        dialect = tx.connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _Compiled.of(self._statement, dialect)
        values: Any = {**compiled.defaults, **params} if compiled.defaults else params
        for name, process in compiled.processors:
            values[name] = process(values[name])
        if compiled.positional is not None:
            values = [values[name] for name in compiled.positional]
        cursor = tx.cursor
        try:
            cursor.execute(compiled.sql, values)
        except Exception as error:
            raise tx.wrap(error) from error
        return cursor


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement of one dialect. `positional` is None where parameters are passed by name."""

    sql: str
    positional: Sequence[str] | None
    defaults: dict[str, Any]
    processors: Sequence[tuple[str, Callable[[Any], Any]]]
    results: Sequence[tuple[int, Callable[[Any], Any]]]

    @classmethod
    def of(cls, statement: Any, dialect: sa.Dialect) -> "_Compiled":
        compiled = statement.compile(dialect=dialect)
        return cls(
            sql=str(compiled),
            positional=tuple(compiled.positiontup) if compiled.positiontup else None,
            defaults={k: v for k, v in compiled.params.items() if v is not None},
            processors=[(k, v) for k, v in compiled._bind_processors.items() if v is not None],  # noqa: SLF001
            results=[
                (index, process)
                for index, column in enumerate(getattr(compiled, "_result_columns", ()))
                if (process := column.type._cached_result_processor(dialect, None)) is not None  # noqa: SLF001
            ],
        )


class PreparedUpdate:
    """Sets whichever columns are named, in the rows with the given values of `key`.

    Each set of columns is compiled once. Plain values only, no expressions.
    """

    __slots__ = ("_by_names", "_key", "_table")

    def __init__(self, table: sa.Table, *key: str) -> None:
        self._table = table
        self._key = key
        self._by_names: dict[tuple[str, ...], Prepared] = {}

    def __call__(self, tx: "Tx", *key: Any, **values: Any) -> int:
        """How many rows were changed."""
        names = tuple(values)
        statement = self._by_names.get(names)
        if statement is None:
            c = self._table.c
            statement = self._by_names[names] = Prepared(
                sa.update(self._table)
                .where(*(c[name] == sa.bindparam(f"key_{name}", type_=c[name].type) for name in self._key))
                .values({name: sa.bindparam(name, type_=c[name].type) for name in names})
            )
        wanted = {f"key_{name}": value for name, value in zip(self._key, key, strict=True)}
        return int(statement(tx, **wanted, **values).rowcount)


@dataclass(slots=True)
class Tx:
    """One unit of work.

    `after` holds what is to be called on the event loop once it is committed, `last` what is to be
    done in the transaction when the unit's own work is. `cache` is the unit's own; `held` is shared with
    the units that are committed together, and forgotten whenever one of them is undone.
    """

    connection: Connection
    after: list[Callable[[], None]] = field(default_factory=list)
    last: list[Callable[[], None]] = field(default_factory=list)
    cache: dict[str, Any] = field(default_factory=dict)
    held: dict[str, Any] = field(default_factory=dict)
    reading: bool = False
    _cursor: Any = None

    @property
    def postgres(self) -> bool:
        return self.connection.dialect.name == "postgresql"

    @property
    def cursor(self) -> Any:
        if self._cursor is None:
            if not self.connection.in_transaction():
                self.connection.begin()
            self._cursor = self.connection.connection.cursor()
        return self._cursor

    def execute(self, statement: Any, params: Any = None) -> CursorResult[Any]:
        return self.connection.execute(statement, params)

    def one(self, statement: Any) -> Any | None:
        """The first row or None."""
        return self.connection.execute(statement).first()

    def all(self, statement: Any) -> list[Any]:
        return list(self.connection.execute(statement).all())

    def scalar(self, statement: Any) -> Any:
        return self.connection.execute(statement).scalar()

    def insert_if_absent(self, table: sa.Table, values: dict[str, Any], *, key: tuple[str, ...]) -> bool:
        """Insert unless a row with this key stands already; True when it was inserted."""
        # values bound by name, so that the statement is built once for each set of columns
        kept = (self.connection.dialect.name, table.name, tuple(values), key)
        prepared = _absent.get(kept)
        if prepared is None:
            names = {name: sa.bindparam(name, type_=table.c[name].type) for name in values}
            insert = _insert(self, table).values(names).on_conflict_do_nothing(index_elements=list(key))
            prepared = _absent[kept] = Prepared(insert)
        return int(prepared(self, **values).rowcount) == 1

    def upsert(self, table: sa.Table, values: dict[str, Any], *, key: tuple[str, ...]) -> None:
        insert = _insert(self, table).values(**values)
        changed = {k: insert.excluded[k] for k in values if k not in key}
        self.execute(insert.on_conflict_do_update(index_elements=list(key), set_=changed))

    def lock(self, statement: Any) -> Any:
        """`statement` with FOR UPDATE on Postgres; on SQLite the writer is alone anyway, and a reader locks nothing."""
        return statement.with_for_update() if self.postgres and not self.reading else statement

    def lock_due(self, statement: Any) -> Any:
        """`statement` with FOR UPDATE SKIP LOCKED on Postgres, for sweeps shared by several processes."""
        return statement.with_for_update(skip_locked=True) if self.postgres else statement

    def on_commit(self, call: Callable[[], None]) -> None:
        self.after.append(call)

    def at_end(self, call: Callable[[], None]) -> None:
        """Have `call` done in this transaction, after everything else of the unit."""
        self.last.append(call)

    def wrap(self, error: Exception) -> Exception:
        """A bare driver error as SQLAlchemy would have raised it, so that callers catch one kind."""
        dbapi = self.connection.dialect.dbapi
        if dbapi is None or not isinstance(error, dbapi.Error):
            return error
        return DBAPIError.instance(None, None, error, dbapi.Error, dialect=self.connection.dialect)


def _insert(tx: Tx, table: sa.Table) -> Any:
    if tx.postgres:
        from sqlalchemy.dialects.postgresql import insert as pg_insert  # noqa: PLC0415

        return pg_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert  # noqa: PLC0415

    return sqlite_insert(table)


_absent: dict[tuple[str, str, tuple[str, ...], tuple[str, ...]], Prepared] = {}


def is_conflict(error: BaseException) -> bool:
    """Whether a unique or foreign key constraint refused the write."""
    return isinstance(error, IntegrityError)


# What every write of the current request is to commit along with itself.
also: ContextVar[Callable[[Tx], None] | None] = ContextVar("also", default=None)


# Of a pooled connection that was used this recently nobody asks whether it still lives.
FRESH_SECONDS = 5.0

Settled = tuple["_Unit", Any, BaseException | None, list[Callable[[], None]]]


class _Unit:
    __slots__ = ("fn", "future", "loop")

    def __init__(self, fn: Callable[[Tx], Any], future: "asyncio.Future[Any]", loop: asyncio.AbstractEventLoop) -> None:
        self.fn = fn
        self.future = future
        self.loop = loop


class Store:
    """The database of one installation. Open with `Store(url)`, close with `await close()`."""

    def __init__(self, url: str, *, readers: int = 4, pool: int = 8) -> None:
        self.url = url
        self._parsed = make_url(url)
        self.sqlite = self._parsed.get_backend_name() == "sqlite"
        self._closed = False
        self._local = threading.local()
        self._connections: list[Connection] = []
        self._guard = threading.Lock()
        self._stream_engine: AsyncEngine | None = None
        if self.sqlite:
            self.path = Path(self._parsed.database or "pilot.db")
            private.database(self.path)
            self.engine = sqlite_engine(self.path)
            self._read_engine = sqlite_engine(self.path, read_only=True)
            self._queue: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
            self._writer = threading.Thread(target=self._write_forever, name="store-writer", daemon=True)
            self._writer.start()
            self._readers = ThreadPoolExecutor(readers, thread_name_prefix="store-reader")
        else:
            self._lanes: dict[str, deque[_Unit]] = {}
            self.engine = _postgres_engine(self._parsed, pool=pool)
            self._read_engine = self.engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            self._readers = ThreadPoolExecutor(pool, thread_name_prefix="store")

    # --- units of work ----------------------------------------------------------------------------

    async def write(self, fn: Callable[[Tx], T], *, partition: str | None = None) -> T:
        """Run `fn` in a write transaction; its result once it is durably committed.

        Any exception of `fn` rolls its work back and is raised here. `fn` may be run again after a
        serialization failure, or when a neighbour failed, so it must have no effect but its statements.
        `together` names what the unit locks first (a workspace's log): on Postgres those that wait
        with the same name are committed together, as on SQLite all are.
        """
        fn = _with(fn, also.get())
        loop = asyncio.get_running_loop()
        if self._closed:
            raise RuntimeError("the store is closed")
        if not self.sqlite and partition is None:
            return await loop.run_in_executor(self._readers, self._write_postgres, fn, loop)
        future: asyncio.Future[Any] = loop.create_future()
        unit = _Unit(fn, future, loop)
        if self.sqlite:
            self._queue.put(unit)
        else:
            self._join_lane(str(partition), unit)
        return await future  # type: ignore[no-any-return]

    async def read(self, fn: Callable[[Tx], T], *, long: bool = False) -> T:
        """Run `fn` on one consistent snapshot; it cannot write.

        On SQLite a short read runs right here: it takes less time than handing it to a thread does.
        `long` says that it may take more than a few milliseconds (exports, replays).
        """
        if self.sqlite and not long:
            return self._read(fn)
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, fn)

    def file_version(self) -> int:
        """A number that is another one after anybody has committed to the SQLite file. Call it on the event loop.

        It tells apart what the thread that reads there has seen: another thread's numbers are others.
        """
        return self._read(lambda tx: int(tx.cursor.execute("PRAGMA data_version").fetchone()[0]))

    async def stream(self, statement: Any) -> AsyncIterator[Any]:
        """Rows of a long select, a few at a time, without holding a reader thread (exports)."""
        if self._stream_engine is None:
            url = self._parsed.set(drivername="sqlite+aiosqlite") if self.sqlite else self._parsed
            self._stream_engine = create_async_engine(url, pool_size=2)
        async with self._stream_engine.connect() as connection:
            result = await connection.stream(statement)
            async for row in result:
                yield row

    async def close(self) -> None:
        """Finish what was queued, then close every connection."""
        self._closed = True
        if self.sqlite:
            self._queue.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._writer.join, 10)
        await asyncio.get_running_loop().run_in_executor(None, self._readers.shutdown)
        with self._guard:
            for connection in self._connections:
                connection.invalidate()
                connection.close()
        if self._stream_engine is not None:
            await self._stream_engine.dispose()
        self._read_engine.dispose()
        self.engine.dispose()

    def abandon(self) -> None:
        """Close from outside an event loop (command line, preparation)."""
        self._closed = True
        if self.sqlite:
            self._queue.put(None)
            self._writer.join(10)
        self._readers.shutdown()
        self._read_engine.dispose()
        self.engine.dispose()

    # --- SQLite: one writer thread, group commit --------------------------------------------------

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
                self._commit_group(connection, batch)
            except BaseException as error:  # noqa: BLE001 - every waiting unit must hear of it
                connection.invalidate()
                connection.close()
                connection = None
                _settle([(unit, None, error, []) for unit in batch if not unit.future.done()])
            if stop:
                break
        if connection is not None:
            connection.close()

    def _commit_group(self, connection: Connection, batch: list[_Unit]) -> None:
        transaction = _begin_patiently(connection)
        try:
            settled = _run_apart(connection, batch)
            transaction.commit()
        except BaseException:
            transaction.rollback()
            raise
        _settle(settled)

    # --- Postgres: a transaction a unit -----------------------------------------------------------

    def _write_postgres(self, fn: Callable[[Tx], T], loop: asyncio.AbstractEventLoop) -> T:
        for attempt in range(8):
            done = False
            try:
                with self.engine.begin() as connection:
                    tx = Tx(connection)
                    result = _run(fn, tx)
                    done = True
            except DBAPIError as error:
                # of a commit that broke off nobody knows whether it was kept
                if attempt < 7 and (_sqlstate(error) in RETRYABLE or (not done and self._lost(error))):
                    time.sleep(0.005 * 2**attempt)
                    continue
                raise
            for call in tx.after:
                loop.call_soon_threadsafe(call)
            return result
        raise AssertionError("unreachable")

    def _lost(self, error: DBAPIError) -> bool:
        """Whether the server went away; then the other connections of the pool are dropped, as they are dead too."""
        gone = isinstance(error, OperationalError) and _sqlstate(error) in GONE
        if gone:
            self.engine.dispose()
        return gone

    # --- Postgres: units of one workspace together ------------------------------------------------

    def _join_lane(self, name: str, unit: _Unit) -> None:
        """Queue the unit behind those of its name; whoever finds no lane opens one."""
        with self._guard:
            lane = self._lanes.get(name)
            if lane is not None:
                lane.append(unit)
                return
            self._lanes[name] = deque((unit,))
        self._readers.submit(self._drain, name)

    def _drain(self, name: str) -> None:
        """Commit what waits in a lane, group after group, letting other work have the thread in between."""
        while True:
            with self._guard:
                lane = self._lanes[name]
                if not lane:
                    del self._lanes[name]
                    return
                batch = [lane.popleft() for _ in range(min(GROUP, len(lane)))]
            try:
                _settle(self._commit_together(batch))
            except BaseException as error:  # noqa: BLE001 - every waiting unit must hear of it
                _settle([(unit, None, error, []) for unit in batch])
            with self._guard:
                if not self._lanes[name]:
                    del self._lanes[name]
                    return
            try:
                self._readers.submit(self._drain, name)
            except RuntimeError:  # closing: what waits is still to be done
                continue
            return

    def _commit_together(self, batch: list[_Unit]) -> list[Settled]:
        """One transaction for all, hoping that none fails; if one does, each in a savepoint of its own."""
        for run in (_run_all, _run_apart) if len(batch) > 1 else ():
            done = False
            try:
                with self.engine.begin() as connection:
                    settled = run(connection, batch)
                    done = True
            except Exception:
                if done:
                    raise
            else:
                return settled
        return [self._alone(unit) for unit in batch]

    def _alone(self, unit: _Unit) -> Settled:
        try:
            return unit, self._write_postgres(unit.fn, unit.loop), None, []
        except Exception as error:  # noqa: BLE001 - handed to the caller of this unit
            return unit, None, error, []

    def _read(self, fn: Callable[[Tx], T]) -> T:
        if not self.sqlite:
            for attempt in range(8):
                try:
                    with self._read_engine.connect() as connection:
                        return fn(Tx(connection, reading=True))
                except DBAPIError as error:
                    if attempt == 7 or not self._lost(error):
                        raise
                    time.sleep(0.005 * 2**attempt)
        held: Connection | None = getattr(self._local, "connection", None)
        if held is None:
            held = self._read_engine.connect()
            self._local.connection = held
            with self._guard:
                self._connections.append(held)
        try:
            return fn(Tx(held, reading=True))
        finally:
            held.rollback()


def _run(fn: Callable[[Tx], T], tx: Tx) -> T:
    result = fn(tx)
    for call in tx.last:
        call()
    return result


def _run_all(connection: Connection, batch: list[_Unit]) -> list[Settled]:
    """The work of all units, not committed; raises as soon as one fails."""
    held: dict[str, Any] = {}
    settled: list[Settled] = []
    for unit in batch:
        tx = Tx(connection, held=held)
        settled.append((unit, _run(unit.fn, tx), None, tx.after))
    return settled


def _run_apart(connection: Connection, batch: list[_Unit]) -> list[Settled]:
    """The work of all units, not committed; what a failing one did is undone and its error kept for its caller.

    Raises when one fell out with another transaction: only a new transaction can mend that.
    """
    held: dict[str, Any] = {}
    settled: list[Settled] = []
    raw = connection.connection.cursor()
    for unit in batch:
        tx = Tx(connection, held=held)
        raw.execute("SAVEPOINT unit")
        try:
            result = _run(unit.fn, tx)
        except Exception as error:
            if _sqlstate(error) in RETRYABLE:
                raise
            raw.execute("ROLLBACK TO unit")
            held.clear()
            settled.append((unit, None, error, []))
        else:
            settled.append((unit, result, None, tx.after))
        raw.execute("RELEASE unit")
    return settled


def _sqlstate(error: BaseException) -> str | None:
    """The SQL state of a database error of Postgres."""
    return getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None


def _with(fn: Callable[[Tx], T], more: Callable[[Tx], None] | None) -> Callable[[Tx], T]:
    if more is None:
        return fn

    def both(tx: Tx) -> T:
        result = fn(tx)
        more(tx)
        return result

    return both


def _settle(settled: list[Settled]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[Settled]] = {}
    for item in settled:
        by_loop.setdefault(item[0].loop, []).append(item)
    for loop, items in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, items)


def _resolve(items: list[Settled]) -> None:
    for unit, result, error, after in items:
        for call in after:
            call()
        if unit.future.done():
            continue
        if error is None:
            unit.future.set_result(result)
        else:
            unit.future.set_exception(error)


def _begin_patiently(connection: Connection) -> Any:
    # The job engine is a second writer on the file: its short transactions may hold the lock.
    for attempt in range(6):
        try:
            transaction = connection.begin()
        except OperationalError:
            if attempt == 5:
                raise
            connection.rollback()
            time.sleep(0.05 * 2**attempt)
        else:
            return transaction
    raise AssertionError("unreachable")


def _postgres_engine(url: sa.URL, *, pool: int) -> Engine:
    """A pooled engine that asks a connection whether it lives only when it has lain idle for a while.

    Asking at every checkout is a round trip a transaction.
    """
    engine = sa.create_engine(url, pool_size=pool + 2, max_overflow=8, isolation_level="READ COMMITTED")

    @event.listens_for(engine, "checkin")
    def _note(_connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ask(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("used", time.monotonic()) < FRESH_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise sa.exc.DisconnectionError from error

    return engine


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
