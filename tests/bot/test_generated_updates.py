"""Ten thousand updates, as the Bot API's schema has them and as it does not: none stops the bot, or a neighbour.

After each batch somebody else writes, and is answered.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from bot.intake import PATH, SECRET_HEADER, webhook_routes
from bot.runner import BotRunner, create_bot
from bot.throttle import Throttle
from domain.chat.updates import arrived, as_bytes
from simulator.simulated import SimulatedTelegram
from simulator.updates import push_raw
from storage import tables
from tests.bot.kit import BotKit, open_bot
from tests.bot.updates import Maker

TOKEN = "7000000001:" + "B" * 35
ADA = 77
# Each of the four, by polling and webhook on both stores, has updates of its own: 10,000 in all. Batches are small, so
# that the simulator's own numbers are past the smallest of these early: a number that was there before is not read.
COUNT, BATCH = 2_500, 25
SECRET = "s" * 20


@cache
def generated(way: str) -> Sequence[bytes]:
    maker = Maker(zlib.crc32(way.encode()))
    # with room between the batches for what others write
    return [maker.raw(1_000 + number + 100 * (number // BATCH)) for number in range(COUNT)]


@asynccontextmanager
async def running(bot: BotKit) -> AsyncIterator[SimulatedTelegram]:
    """The bot on the simulator, where Ada has said /start."""
    simulated = SimulatedTelegram(auto_register=False)
    await simulated.add_user(ADA, "Ada")
    await simulated.add_bot(TOKEN, username="pilot_bot", first_name="Pilot")
    async with simulated.serve():
        pace = Throttle(asyncio.get_running_loop().time, burst=100_000, overall=100_000)
        runner = BotRunner(bot.deps, create_bot(TOKEN, api_url=simulated.url), pace=pace)
        async with asyncio.TaskGroup() as group:
            work = group.create_task(runner.run())
            await runner.ready.wait()
            try:
                yield simulated
            finally:
                runner.stop()
                await asyncio.wait([work])


async def answered(sim: SimulatedTelegram, text: str) -> None:
    """Ada writes and is answered."""

    def said() -> int:
        return sum(1 for m in sim.telegram.chat_for(ADA, None, None).messages.values() if m["from"]["is_bot"])

    before = said()
    await sim.send_text(ADA, text)
    await sim.until(lambda: said() > before, seconds=30)


async def all_is_told(bot: BotKit, given: Sequence[bytes]) -> None:
    """Every update is at its end, each once, with the very bytes that came."""
    async with asyncio.timeout(60):
        while await bot.kit.store.read(lambda tx: tx.scalar(OPEN)):
            await asyncio.sleep(0.05)
    rows = await bot.kit.store.read(lambda tx: {row[0]: (row[1], as_bytes(row[2])) for row in tx.all(ROWS)})
    # of those with one number the first stays; small ones may be the simulator's own
    wanted = {arrived(body).number: body for body in reversed(given)}
    wanted = {number: body for number, body in wanted.items() if not 0 <= number < 100}
    assert {number: rows[number][1] for number in wanted} == wanted
    assert {state for state, _ in rows.values()} <= {"done", "dropped", "set_aside", "failed"}
    # no handler broke over anything that was read
    assert [body for state, body in rows.values() if state == "failed"] == []
    assert (await bot.deps.inbox.backlog()).set_aside > COUNT / 10


OPEN = tables.inbox.select().where(tables.inbox.c.state.in_(("new", "claimed"))).limit(1)
ROWS = tables.inbox.select().with_only_columns(tables.inbox.c.update_id, tables.inbox.c.state, tables.inbox.c.raw)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_no_update_of_thousands_stops_it_by_polling(tmp_path: Path, database: str) -> None:
    given = generated(f"polling on {database}")
    async with open_bot(tmp_path, database=database) as bot, running(bot) as sim:
        await answered(sim, "/start")
        for start in range(0, COUNT, BATCH):
            push_raw(sim.telegram, sim.telegram.which_bot(None), given[start : start + BATCH])
            await answered(sim, "/help")
        # white space between updates belongs to none
        await all_is_told(bot, [body.strip() for body in given])


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_no_update_of_thousands_stops_it_by_webhook(tmp_path: Path, database: str) -> None:
    given = generated(f"webhook on {database}")
    async with open_bot(tmp_path, database=database) as bot, running(bot) as sim, ClientSession() as http:
        await answered(sim, "/start")
        app = web.Application()
        app.add_routes(webhook_routes(bot.deps.inbox, secret=SECRET))
        server = web.AppRunner(app, access_log=None)
        await server.setup()
        await web.TCPSite(server, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{server.addresses[0][1]}{PATH}"
        several = asyncio.Semaphore(20)

        async def post(body: bytes) -> None:
            async with several, http.post(url, data=body, headers={SECRET_HEADER: SECRET}) as response:
                assert response.status == 200, body[:200]

        try:
            for start in range(0, COUNT, BATCH):
                async with asyncio.TaskGroup() as group:
                    for body in given[start : start + BATCH]:
                        group.create_task(post(body))
                await answered(sim, "/help")
            await all_is_told(bot, given)
        finally:
            await server.cleanup()
