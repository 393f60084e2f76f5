"""The worker: an update that ends the process whenever it is tried is set aside, and a slow one holds up its own chat."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from bot.worker import MAX_STARTS, Worker
from domain.chat.updates import AT_ONCE, Arrived, InboxState, Received, Unreadable, arrived
from domain.clock import utc_now
from services.chat.inbox import InboxService
from services.platform.bus import Bus
from storage import tables
from storage.chat import inbox_rows
from storage.database import Store
from tests.bot.dying import KILLER
from tests.databases import fresh_url
from tests.processes import ROOT


def update(number: int, chat: int) -> Arrived:
    message = {"message_id": 1, "chat": {"id": chat, "type": "private"}, "text": "x"}
    return arrived(json.dumps({"update_id": number, "message": message}).encode())


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_url(request.param, tmp_path)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[InboxService]:
    store = Store(url)
    try:
        yield InboxService(store, Bus(), utc_now)
    finally:
        await store.close()


async def states(service: InboxService) -> dict[int, tuple[str, int]]:
    query = tables.inbox.select()
    return {row.update_id: (row.state, row.starts) for row in await service.store.read(lambda tx: tx.all(query))}


def start(url: str, how: str, minutes: int) -> int:
    """One life of the process: its exit code. One that hangs is killed, as whoever runs it would."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bot.dying", url, how, str(minutes)], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        begun = process.stdout.readline()
        if begun and how == "hangs":
            process.kill()
        return process.wait(60)


@pytest.mark.parametrize("how", ["dies", "hangs"])
async def test_an_update_that_ends_the_process_is_set_aside_at_a_later_start(url: str, how: str) -> None:
    """And those that were in hand beside it each time are not counted for it."""
    async with opened(url) as service:
        beside = [update(number, number) for number in range(KILLER - 20, KILLER + 20)]
        behind = [update(number, KILLER) for number in range(KILLER + 100, KILLER + 103)]
        await service.take([*beside, *behind])
    lives = 0
    while await asyncio.to_thread(start, url, how, lives) != 0:
        lives += 1
        assert lives <= MAX_STARTS
    assert lives == MAX_STARTS
    async with opened(url) as service:
        found = await states(service)
        assert found.pop(KILLER)[0] == InboxState.SET_ASIDE
        assert {state for state, _ in found.values()} == {"done"}
        # begun beside it in its first try, and then at most once alone
        assert max(starts for _, starts in found.values()) <= 2
        assert (await service.backlog()).set_aside == 1


async def test_a_try_that_comes_back_counts_for_nothing(url: str) -> None:
    """A store that is busy for a while, or stops of the process in order, do not make an update a suspect."""
    async with opened(url) as service:
        await service.take([update(1, 1)])
        for _ in range(MAX_STARTS + 2):
            [mine] = await service.claim(limit=1, in_hand={})
            assert mine.starts == 0
            assert await service.begin(1) == 1
            await service.came_back(1, "busy")
            await service.release([1])


async def test_a_busy_chat_takes_no_room_from_others(url: str) -> None:
    """Hundreds of updates of one chat whose first does not end; the others are handled meanwhile."""
    async with opened(url) as service:
        await service.take([update(number, 1) for number in range(1, 1201)])
        await service.take([update(number, number) for number in range(2001, 2021)])
        let_go, handled = asyncio.Event(), []

        async def handle(received: Received) -> None:
            if received.chat_key == "1":
                await let_go.wait()
            handled.append(received.update_id)

        async def give_up(_received: Received, error: Exception) -> str | None:
            raise error

        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(Worker(service, service.bus, handle=handle, give_up=give_up).run(stop))
            async with asyncio.timeout(60):
                while len(handled) < 20:
                    await asyncio.sleep(0.02)
            assert sorted(handled) == list(range(2001, 2021))
            held = [number for number, (state, _) in (await states(service)).items() if state == "claimed"]
            assert sum(number < 2000 for number in held) <= AT_ONCE
            stop.set()
            let_go.set()
    assert handled[20:] == [1]


async def test_what_one_chat_sends_is_handled_in_order_and_completely(url: str) -> None:
    async with opened(url) as service:
        await service.take([update(number, 1) for number in range(1, 101)])
        handled: list[int] = []

        async def handle(received: Received) -> None:
            handled.append(received.update_id)
            if received.update_id % 7 == 0:
                raise Unreadable("x")

        async def give_up(_received: Received, error: Exception) -> str | None:
            raise error

        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(Worker(service, service.bus, handle=handle, give_up=give_up).run(stop))
            async with asyncio.timeout(60):
                while await service.store.read(inbox_rows.waits):
                    await asyncio.sleep(0.02)
            stop.set()
        assert handled == list(range(1, 101))
        assert (await service.depth()) == {"set_aside": 14}


async def test_rows_of_before_have_their_keys_found(url: str) -> None:
    """Written by a version that kept no key; whatever stands in them."""
    odd = ('{"update_id":5,"future_kind":{"message":"thanks"}}', "", "null", '{"message":{"chat":7}}', "[" * 5000)
    async with opened(url) as service:
        now = utc_now()

        def before(tx: object) -> None:
            for number, raw in enumerate((*odd, *(one.body.decode() for one in (update(20, 7), update(21, 7))))):
                inbox_rows.put(tx, update_id=number, raw=raw, now=now)  # type: ignore[arg-type]

        await service.store.write(before)
        first = await service.claim(limit=len(odd) + 1, in_hand={})
        assert [one.update_id for one in first] == list(range(len(odd) + 1))
        # the second of chat 7 waits behind the first, which is in the hands of another process
        assert await service.claim(limit=9, in_hand={}) == ()


async def test_what_is_at_its_end_is_forgotten_after_its_time(url: str) -> None:
    async with opened(url) as service:
        await service.take([update(1, 1), arrived(b"{"), arrived(b'{"update_id":3,"poll":{}}'), update(4, 4)])
        await service.finish(1)
        await service.finish(4, error="x")
        later = InboxService(service.store, service.bus, lambda: utc_now() + timedelta(days=8))
        assert await later.purge(keep_troubled=timedelta(days=30)) == 2
        assert await later.depth() == {"set_aside": 1, "failed": 1}
        later = InboxService(service.store, service.bus, lambda: utc_now() + timedelta(days=31))
        assert await later.purge(keep_troubled=timedelta(days=30)) == 2
        assert await states(service) == {}
