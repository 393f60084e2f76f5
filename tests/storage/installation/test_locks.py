"""Locks between processes: one holder, free when it is gone."""

from functools import partial
from pathlib import Path

from storage.database import Store
from storage.installation.locks import Lock, own_name
from tests.databases import fresh_url


async def test_one_holder_until_it_lets_go(tmp_path: Path) -> None:
    store = Store(fresh_url("postgres", tmp_path))
    try:
        one, two = Lock(store, "telegram"), Lock(store, "telegram")
        assert await one.take()
        assert await one.take()
        assert not await two.take()
        assert not await two.held()
        await one.release()
        assert not await one.held()
        assert await two.take()
        await two.release()
    finally:
        await store.close()


async def test_a_lost_session_is_a_lost_lock(tmp_path: Path) -> None:
    store = Store(fresh_url("postgres", tmp_path))
    try:
        one, two = Lock(store, "telegram"), Lock(store, "telegram")
        assert await one.take()
        assert one._session is not None
        one._session.close()
        assert not await one.held()
        assert await two.take()
        await two.release()
    finally:
        await store.close()


async def test_processes_of_one_name_get_names_of_their_own(tmp_path: Path) -> None:
    store = Store(fresh_url("postgres", tmp_path))
    try:
        make = partial(Lock, store)
        first = await own_name(make, "pilot")
        second = await own_name(make, "pilot", tries=1)
        third = await own_name(make, "pilot", tries=1)
        assert [lock.name for lock in (first, second, third)] == ["pilot", "pilot-2", "pilot-3"]
        await second.release()
        again = await own_name(make, "pilot", tries=1)
        assert again.name == "pilot-2"
        for lock in (first, third, again):
            await lock.release()
    finally:
        await store.close()


async def test_on_sqlite_the_one_process_always_has_it(tmp_path: Path) -> None:
    store = Store(fresh_url("sqlite", tmp_path))
    try:
        lock = Lock(store, "telegram")
        assert await lock.take()
        assert await lock.held()
        await lock.release()
    finally:
        await store.close()
