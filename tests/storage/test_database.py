"""The store: units of work that commit whole or not at all, and say truly what they did."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from storage import tables
from storage.database import Store
from storage.transaction import Tx


def tick(name: str) -> dict[str, Any]:
    return {"id": name, "created_at": datetime.now(UTC)}


KEY = ("id",)


def add(tx: Tx, name: str) -> bool:
    return tx.insert_if_absent(tables.ticks, tick(name), key=KEY)


def count(tx: Tx) -> int:
    return int(tx.scalar(sa.select(sa.func.count()).select_from(tables.ticks)))


async def test_an_insert_says_whether_it_was_the_first(store: Store) -> None:
    """On Postgres the driver's row count of an insert is -1 unless it is asked to keep it."""
    assert await store.write(lambda tx: add(tx, "a")) is True
    assert await store.write(lambda tx: add(tx, "a")) is False
    assert await store.read(count) == 1


async def test_of_many_at_once_one_is_the_first(store: Store) -> None:
    answers = await asyncio.gather(*(store.write(lambda tx: add(tx, "a")) for _ in range(40)))
    assert answers.count(True) == 1


async def test_a_failed_unit_leaves_nothing_and_its_neighbours_alone(store: Store) -> None:
    def fails(tx: Tx) -> None:
        add(tx, "gone")
        raise ValueError("no")

    answers = await asyncio.gather(
        *(store.write(fails if n % 2 else (lambda tx, n=n: add(tx, f"kept-{n}"))) for n in range(20)),
        return_exceptions=True,
    )
    assert [isinstance(a, ValueError) for a in answers] == [bool(n % 2) for n in range(20)]
    assert await store.read(count) == 10


async def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(sa.exc.DBAPIError, match=r"read.?only"):
        await store.read(lambda tx: add(tx, "a"))
    assert await store.write(lambda tx: add(tx, "a")) is True


async def test_a_reader_sees_one_moment(store: Store) -> None:
    loop = asyncio.get_running_loop()

    def twice(tx: Tx) -> tuple[int, int]:
        first = count(tx)
        asyncio.run_coroutine_threadsafe(store.write(lambda t: add(t, "a")), loop).result(10)
        return first, count(tx)

    assert await store.read(twice, long=True) == (0, 0)
    assert await store.read(count) == 1
