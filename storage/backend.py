"""What the store asks of a kind of database: carry units of work out, and read on one snapshot."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from storage.transaction import Tx

T = TypeVar("T")


class Backend(ABC):
    """One database, opened. `stream_url` is where an async engine of SQLAlchemy finds it."""

    def __init__(self, *, engine: Engine, read_engine: Engine, stream_url: sa.URL, threads: ThreadPoolExecutor) -> None:
        self.engine = engine
        self.read_engine = read_engine
        self.stream_url = stream_url
        self.threads = threads

    @abstractmethod
    def submit(self, fn: Callable[[Tx], T], *, partition: str | None) -> Awaitable[T]:
        """Queue a unit of work; its result once it is durably committed. Call it on the event loop."""

    @abstractmethod
    async def read(self, fn: Callable[[Tx], T], *, long: bool) -> T:
        """Run `fn` on one consistent snapshot, `long` ones never on the event loop."""

    @abstractmethod
    def read_here(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on one consistent snapshot, on the thread that asks."""

    def close(self) -> None:
        """Finish what was queued, then close every connection. Blocks."""
        self.threads.shutdown()
        self.read_engine.dispose()
        self.engine.dispose()
