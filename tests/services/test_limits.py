"""Rate limits of several processes on one Postgres count in the same buckets."""

import asyncio
import math
import time
from pathlib import Path

from services.limits import Limits
from storage.database import Store
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
