"""The store on Postgres: a transaction a unit, and one for all that waits in a partition (ADR 7)."""

import asyncio
import itertools
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from domain.backoff import Backoff
from storage.backend import Backend
from storage.transaction import Tx
from storage.units import GROUP, RETRYABLE, Settled, Unit, fail, run, run_all, run_apart, settle, sqlstate

T = TypeVar("T")

# the server closed the connection, or is being shut down or started
GONE = {None, "57P01", "57P02", "57P03"}
# Of a pooled connection that was used this recently nobody asks whether it still lives.
FRESH_SECONDS = 5.0
# what Postgres refuses just now, or a connection it closed
TROUBLED = Backoff(first=0.005, longest=0.32, tries=8)


class Postgres(Backend):
    """A database of Postgres, with a small pool of threads and connections."""

    def __init__(self, url: sa.URL, *, pool: int) -> None:
        engine = _engine(url, pool=pool)
        super().__init__(
            engine=engine,
            read_engine=engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
            stream_url=url,
            threads=ThreadPoolExecutor(pool, thread_name_prefix="store"),
        )
        self._guard = threading.Lock()
        # what waits, by partition
        self._lanes: dict[str, deque[Unit]] = {}

    def submit(self, fn: Callable[[Tx], T], *, partition: str | None) -> Awaitable[T]:
        """Queue a unit behind those of its partition; without one it has a thread and a transaction of its own."""
        loop = asyncio.get_running_loop()
        if partition is None:
            return loop.run_in_executor(self.threads, self._write, fn, loop)
        future: asyncio.Future[T] = loop.create_future()
        self._join_lane(partition, Unit(fn, future, loop))
        return future

    async def read(self, fn: Callable[[Tx], T], *, long: bool) -> T:
        """Run every read on a thread: the server is asked, which takes time."""
        del long
        return await asyncio.get_running_loop().run_in_executor(self.threads, self.read_here, fn)

    def read_here(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn`, again when the server went away meanwhile."""
        for failure in itertools.count(1):
            try:
                with self.read_engine.connect() as connection:
                    return fn(Tx(connection, reading=True))
            except DBAPIError as error:
                if TROUBLED.is_last(failure) or not self._lost(error):
                    raise
                time.sleep(TROUBLED.pause(failure))
        raise AssertionError("unreachable")

    # --- a unit alone -----------------------------------------------------------------------------

    def _write(self, fn: Callable[[Tx], T], loop: asyncio.AbstractEventLoop) -> T:
        for failure in itertools.count(1):
            done = False
            try:
                with self.engine.begin() as connection:
                    tx = Tx(connection)
                    result = run(fn, tx)
                    done = True
            except DBAPIError as error:
                # of a commit that broke off nobody knows whether it was kept
                if not TROUBLED.is_last(failure) and (sqlstate(error) in RETRYABLE or (not done and self._lost(error))):
                    time.sleep(TROUBLED.pause(failure))
                    continue
                raise
            for call in tx.after_commit:
                loop.call_soon_threadsafe(call)
            return result
        raise AssertionError("unreachable")

    def _lost(self, error: DBAPIError) -> bool:
        """Whether the server went away; then the other connections of the pool are dropped, as they are dead too."""
        gone = isinstance(error, OperationalError) and sqlstate(error) in GONE
        if gone:
            self.engine.dispose()
        return gone

    # --- units of a partition together ------------------------------------------------------------

    def _join_lane(self, name: str, unit: Unit) -> None:
        """Queue the unit behind those of its partition; whoever finds no lane opens one."""
        with self._guard:
            lane = self._lanes.get(name)
            if lane is not None:
                lane.append(unit)
                return
            self._lanes[name] = deque((unit,))
        self.threads.submit(self._drain, name)

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
                settle(self._commit_together(batch))
            except BaseException as error:  # noqa: BLE001 - every waiting unit must hear of it
                fail(batch, error)
            with self._guard:
                if not self._lanes[name]:
                    del self._lanes[name]
                    return
            try:
                self.threads.submit(self._drain, name)
            except RuntimeError:  # closing: what waits is still to be done
                continue
            return

    def _commit_together(self, batch: list[Unit]) -> list[Settled]:
        """One transaction for all, hoping that none fails; if one does, each in a savepoint of its own."""
        for run_batch in (run_all, run_apart) if len(batch) > 1 else ():
            done = False
            try:
                with self.engine.begin() as connection:
                    settled = run_batch(connection, batch)
                    done = True
            except Exception:
                if done:
                    raise
            else:
                return settled
        return [self._alone(unit) for unit in batch]

    def _alone(self, unit: Unit) -> Settled:
        try:
            return unit, self._write(unit.fn, unit.loop), None, []
        except Exception as error:  # noqa: BLE001 - handed to the caller of this unit
            return unit, None, error, []


def _engine(url: sa.URL, *, pool: int) -> Engine:
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
