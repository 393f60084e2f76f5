"""Units of work that are committed together: how they are carried out, and how their callers hear of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from storage.transaction import Tx

T = TypeVar("T")

# at most so many are committed together
GROUP = 64
# SQL states of Postgres after which only a new transaction can go on: serialization failure, deadlock, no lock
RETRYABLE = {"40001", "40P01", "55P03"}


@dataclass(slots=True)
class Unit:
    """A function that waits for its transaction, and the future its caller waits for."""

    fn: Callable[[Tx], Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop


# a unit, its result or its error, and what is to be called once it is committed
Settled = tuple[Unit, Any, BaseException | None, list[Callable[[], None]]]


def run(fn: Callable[[Tx], T], tx: Tx) -> T:
    """Do the work of one unit, with what it put off to its end."""
    result = fn(tx)
    tx.close()
    return result


def run_all(connection: Connection, batch: list[Unit]) -> list[Settled]:
    """Do the work of all units, and commit nothing; raises as soon as one fails."""
    memo: dict[str, Any] = {}
    settled: list[Settled] = []
    for unit in batch:
        tx = Tx(connection, shared_memo=memo)
        settled.append((unit, run(unit.fn, tx), None, tx.after_commit))
    return settled


def run_apart(connection: Connection, batch: list[Unit]) -> list[Settled]:
    """Do the work of all units, and commit nothing; what a failing one did is undone, its error kept for its caller.

    Raises when one fell out with another transaction: only a new transaction can mend that.
    """
    memo: dict[str, Any] = {}
    settled: list[Settled] = []
    raw = connection.connection.cursor()
    for unit in batch:
        tx = Tx(connection, shared_memo=memo)
        raw.execute("SAVEPOINT unit")
        try:
            result = run(unit.fn, tx)
        except Exception as error:
            if sqlstate(error) in RETRYABLE:
                raise
            raw.execute("ROLLBACK TO unit")
            memo.clear()
            settled.append((unit, None, error, []))
        else:
            settled.append((unit, result, None, tx.after_commit))
        raw.execute("RELEASE unit")
    return settled


def settle(settled: list[Settled]) -> None:
    """Tell the callers, each on its event loop, how their units ended."""
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


def fail(batch: list[Unit], error: BaseException) -> None:
    """Tell the callers that none of these units was committed."""
    settle([(unit, None, error, []) for unit in batch])


def sqlstate(error: BaseException) -> str | None:
    """The SQL state of a database error of Postgres."""
    return getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
