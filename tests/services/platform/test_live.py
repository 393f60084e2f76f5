"""Watching a workspace: many listeners ask the store once, and none of them misses anything."""

import asyncio

import pytest

from domain.errors import NotFound
from domain.ids import new_id
from domain.ledger.events import Event, EventKind
from services.platform.live import LIMIT, LiveService
from storage.transaction import Tx
from tests.kit import Kit, open_kit

LISTENERS = 40


async def tell(kit: Kit, count: int) -> None:
    """Write events the way services do."""

    def work(tx: Tx) -> None:
        for _ in range(count):
            event = Event(kind=EventKind.SETTINGS_UPDATED, ref=new_id())
            kit.recorder.event(tx, workspace_id=kit.owner.in_workspace, event=event)

    await kit.store.write(work)


async def test_every_listener_hears_everything_in_order(url: str) -> None:
    counts = [1, 1, LIMIT + 30, 2, 1]
    async with open_kit(url, work=False) as kit:
        live = LiveService(kit.store, kit.bus)
        # half of them hear from now on, half go on after what they saw last
        listening = asyncio.Semaphore(0)

        async def listen(after: int | None) -> list[int]:
            heard: list[int] = []
            async for event in live.follow(kit.owner, after=after, idle_seconds=0.05):
                if event is None:
                    listening.release()
                    continue
                heard.append(event.seq)
                if len(heard) == sum(counts):
                    return heard
            raise AssertionError("a stream has no end of its own")

        start = await live.head(kit.owner)
        everybody = [asyncio.ensure_future(listen(None if n % 2 else start)) for n in range(LISTENERS)]
        for _ in everybody:
            await listening.acquire()
        for count in counts:
            await tell(kit, count)
        async with asyncio.timeout(60):
            heard = await asyncio.gather(*everybody)
        assert heard == [list(range(start + 1, start + 1 + sum(counts)))] * LISTENERS
        assert kit.bus.topics == []


async def test_a_question_is_answered_once_for_all_until_something_changes(url: str) -> None:
    async with open_kit(url, work=False) as kit:
        live = LiveService(kit.store, kit.bus)
        place = kit.owner.in_workspace
        asked = 0

        async def answer() -> int:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            return asked

        async def fails() -> int:
            raise NotFound("Workspace not found")

        with kit.bus.listen(place) as woken:
            impatient = asyncio.ensure_future(live.once(place, "who", answer))
            rest = [asyncio.ensure_future(live.once(place, "who", answer)) for _ in range(LISTENERS)]
            await asyncio.sleep(0)
            impatient.cancel()
            assert await asyncio.gather(*rest) == [1] * LISTENERS
            assert await live.once(place, "who else", answer) == 2
            await tell(kit, 1)
            await woken.wait()
            assert await live.once(place, "who", answer) == 3
            refused = await asyncio.gather(
                *(live.once(place, "fails", fails) for _ in range(3)), return_exceptions=True
            )
            assert [type(error) for error in refused] == [NotFound] * 3
            with pytest.raises(NotFound):
                await live.once(place, "fails", fails)
