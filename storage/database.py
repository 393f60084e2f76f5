"""The store: one way to write, one way to read, the same code on SQLite and Postgres.

A unit of work is a plain synchronous function of a `Tx`. How it is carried out is its backend's to know
(`storage.sqlite`, `storage.postgres`). Never wait for the network inside a unit of work.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.engine import Engine, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage.backend import Backend
from storage.ledger import log_rows
from storage.postgres import Postgres
from storage.sqlite import Sqlite
from storage.transaction import Tx

T = TypeVar("T")

# What takes part in every write of the current request. It is a context variable since a request writes in many places,
# none of which is to know of it: see `Store.with_participant`.
transaction_participant: ContextVar[Callable[[Tx], None] | None] = ContextVar("transaction_participant", default=None)


class Store:
    """The database of one installation. Open with `Store(url)`, close with `await close()`.

    `sqlite` is the SQLite file it lies in, None on Postgres.
    """

    def __init__(self, url: str, *, readers: int = 4, pool: int = 8) -> None:
        self.url = url
        parsed = make_url(url)
        self.sqlite = Sqlite(parsed, readers=readers) if parsed.get_backend_name() == "sqlite" else None
        self._backend: Backend = self.sqlite or Postgres(parsed, pool=pool)
        self._stream_engine: AsyncEngine | None = None
        self._closed = False

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine, for what no unit of work can do: migrations."""
        return self._backend.engine

    async def write(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` in a write transaction; its result once it is durably committed.

        Any exception of `fn` rolls its work back and is raised here. `fn` may be run again after a
        serialization failure, or when a neighbour failed, so it must have no effect but its statements.
        """
        return await self._write(fn, None)

    def workspace(self, workspace_id: str) -> "WorkspaceStore":
        """The store, for units of work about one workspace."""
        return WorkspaceStore(workspace_id, self._write)

    async def _write(self, fn: Callable[[Tx], T], partition: str | None) -> T:
        if self._closed:
            raise RuntimeError("the store is closed")
        participant = transaction_participant.get()
        unit = fn if participant is None else _with(fn, participant)
        return await self._backend.submit(unit, partition=partition)

    async def read(self, fn: Callable[[Tx], T], *, long: bool = False) -> T:
        """Run `fn` on one consistent snapshot; it cannot write.

        `long` says that it may take more than a few milliseconds (exports, replays).
        """
        return await self._backend.read(fn, long=long)

    def read_here(self, fn: Callable[[Tx], T]) -> T:
        """The same, on the thread that asks."""
        return self._backend.read_here(fn)

    async def stream(self, statement: Any) -> AsyncIterator[Any]:
        """Rows of a long select, a few at a time, without holding a reader thread (exports)."""
        if self._stream_engine is None:
            self._stream_engine = create_async_engine(self._backend.stream_url, pool_size=2)
        async with self._stream_engine.connect() as connection:
            result = await connection.stream(statement)
            async for row in result:
                yield row

    @contextmanager
    def with_participant(self, call: Callable[[Tx], None]) -> Iterator[None]:
        """Within the block `call` is part of every write of this task, after its own work: they commit together."""
        token = transaction_participant.set(call)
        try:
            yield
        finally:
            transaction_participant.reset(token)

    async def close(self) -> None:
        """Finish what was queued, then close every connection."""
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._backend.close)
        if self._stream_engine is not None:
            await self._stream_engine.dispose()

    def abandon(self) -> None:
        """Close from outside an event loop (command line, preparation)."""
        self._closed = True
        self._backend.close()


@dataclass(frozen=True, slots=True)
class WorkspaceStore:
    """Units of work about one workspace, each of which begins by locking the workspace's log.

    So all of them take their locks in one order (see `log_rows.lock`), and since each would wait for the one before it
    anyway, on Postgres those that wait are committed together (ADR 7), as on SQLite all are.
    """

    workspace_id: str
    _write: Callable[..., Awaitable[Any]]

    async def write(self, fn: Callable[[Tx], T]) -> T:
        """As `Store.write`, with the log locked when `fn` begins."""

        def unit(tx: Tx) -> T:
            log_rows.lock(tx, self.workspace_id)
            return fn(tx)

        found: T = await self._write(unit, self.workspace_id)
        return found


def _with(fn: Callable[[Tx], T], participant: Callable[[Tx], None]) -> Callable[[Tx], T]:
    def both(tx: Tx) -> T:
        result = fn(tx)
        participant(tx)
        return result

    return both
