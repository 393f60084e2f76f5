"""A simulator on a loopback port, and aiogram's own client on it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

from simulator.simulated import SimulatedTelegram

TOKEN = "7000000001:test-token-one"
ADA, GRACE, EVE = 1001, 1002, 1003

BotMaker = Callable[..., AbstractAsyncContextManager[Bot]]


@pytest.fixture
async def sim() -> AsyncIterator[SimulatedTelegram]:
    simulated = SimulatedTelegram(auto_register=False)
    await simulated.add_user(ADA, "Ada", last_name="Byron", username="ada", language_code="en")
    await simulated.add_user(GRACE, "Grace", username="grace", language_code="ru")
    await simulated.add_user(EVE, "Eve")
    await simulated.add_bot(TOKEN, username="pilot_bot", first_name="Pilot")
    async with simulated.serve():
        yield simulated


@asynccontextmanager
async def bot_of(sim: SimulatedTelegram, token: str = TOKEN) -> AsyncIterator[Bot]:
    """aiogram's client as programs use it, at the simulator's address."""
    bot = Bot(token, session=AiohttpSession(api=TelegramAPIServer.from_base(sim.url)))
    try:
        yield bot
    finally:
        await bot.session.close()


@pytest.fixture
async def bot(sim: SimulatedTelegram) -> AsyncIterator[Bot]:
    async with bot_of(sim) as one:
        yield one


@pytest.fixture
async def started(sim: SimulatedTelegram, bot: Bot) -> Bot:
    """The bot, with Ada's /start confirmed already."""
    await sim.send_text(ADA, "/start")
    [update] = await bot.get_updates()
    assert await bot.get_updates(offset=update.update_id + 1) == []
    return bot


async def polled(sim: SimulatedTelegram) -> None:
    """Until somebody waits for updates of the first bot."""
    await sim.until(lambda: sim.telegram.which_bot().poller is not None)
