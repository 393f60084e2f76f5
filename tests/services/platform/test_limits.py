"""Rate limits of several processes on one Postgres count in the same buckets."""

import asyncio
import math
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.platform.limits import Limits
from storage import tables
from storage.database import Store
from storage.identity import rate_rows
from tests.databases import fresh_url


async def test_two_processes_share_what_one_may_ask(tmp_path: Path) -> None:
    url = fresh_url("postgres", tmp_path)
    stores = [Store(url), Store(url)]
    try:
        here, there = (Limits(store, {"write": 10}, shared=True) for store in stores)
        hits = [(here if n % 2 else there).hit([("write", "user:ada")]) for n in range(40)]
        began = time.monotonic()
        answers = [state for [state] in await asyncio.gather(*hits)]
        # ten, and what has flowed back meanwhile: one every six seconds
        flowed = math.ceil((time.monotonic() - began) / 6)
        assert 10 <= sum(state.allowed for state in answers) <= 10 + flowed
        assert all(state.retry_after >= 1 for state in answers if not state.allowed)
        [other] = await there.hit([("write", "user:bob")])
        assert other.allowed
    finally:
        for store in stores:
            await store.close()


@pytest.mark.parametrize("shared", [True, False])
async def test_what_may_happen_once_in_a_while_happens_once(tmp_path: Path, shared: bool) -> None:
    store = Store(fresh_url("postgres" if shared else "sqlite", tmp_path))
    try:
        # it holds whether or not requests are limited
        limits = Limits(store, {}, shared=shared, enabled=False)
        waits = await asyncio.gather(*(limits.pace("code:ada", seconds=3000) for _ in range(5)))
        assert waits.count(0) == 1
        assert all(2900 <= wait <= 3010 for wait in sorted(waits)[1:])
        assert await limits.pace("code:bob", seconds=3000) == 0
        several = [await limits.pace("invite", seconds=3000, at_once=3) for _ in range(4)]
        assert several[:3] == [0, 0, 0]
        assert 2900 <= several[3] <= 3010
    finally:
        await store.close()


async def test_full_buckets_are_forgotten_while_others_ask(tmp_path: Path) -> None:
    store = Store(fresh_url("postgres", tmp_path))
    try:
        limits = Limits(store, {}, shared=True)
        assert await limits.pace("ada", seconds=3000) == 0
        asking = [limits.pace(f"p{n % 3}", seconds=0.001) for n in range(60)]
        await asyncio.gather(*asking, *(limits.purge() for _ in range(20)))
        await store.write(lambda tx: rate_rows.purge(tx, now=time.time() + 100))
        kept = await store.read(lambda tx: tx.all(sa.select(tables.rate_buckets.c.key)))
        assert [row[0] for row in kept] == ["pace:ada"]
    finally:
        await store.close()
