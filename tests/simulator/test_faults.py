"""Faults on demand: what a program at Telegram's door must live with."""

import time

import pytest
from aiogram import Bot
from aiogram.exceptions import ClientDecodeError, TelegramNetworkError, TelegramRetryAfter, TelegramServerError

from simulator.errors import WrongRequest
from simulator.faults import clear_faults
from simulator.simulated import SimulatedTelegram
from tests.simulator.conftest import ADA


async def texts(sim: SimulatedTelegram) -> list[str]:
    return [m["text"] for m in await sim.messages(ADA)]


async def test_429_says_how_long_and_ends_after_its_count(sim: SimulatedTelegram, started: Bot) -> None:
    await sim.inject_fault("sendMessage", "429", count=2, seconds=7)
    for _ in range(2):
        with pytest.raises(TelegramRetryAfter) as caught:
            await started.send_message(ADA, "x")
        assert caught.value.retry_after == 7
    await started.send_message(ADA, "through")
    assert await texts(sim) == ["/start", "through"]


async def test_server_errors(sim: SimulatedTelegram, started: Bot) -> None:
    await sim.inject_fault("sendMessage", "5xx")
    with pytest.raises(TelegramServerError, match="Bad Gateway"):
        await started.send_message(ADA, "x")
    await sim.inject_fault("*", "html")
    with pytest.raises(ClientDecodeError):
        await started.send_message(ADA, "x")
    assert await texts(sim) == ["/start"]


async def test_a_cut_connection_before_and_after_the_work(sim: SimulatedTelegram, started: Bot) -> None:
    await sim.inject_fault("sendMessage", "drop_before")
    with pytest.raises(TelegramNetworkError):
        await started.send_message(ADA, "not done")
    assert await texts(sim) == ["/start"]
    await sim.inject_fault("sendmessage", "drop_after")
    with pytest.raises(TelegramNetworkError):
        await started.send_message(ADA, "done, unknown")
    assert await texts(sim) == ["/start", "done, unknown"]
    first, second = await sim.calls("sendMessage")
    assert (first["fault"], first["ok"]) == ("drop_before", False)
    assert (second["fault"], second["ok"]) == ("drop_after", True)


async def test_a_lost_answer_to_get_updates_loses_no_update(sim: SimulatedTelegram, started: Bot) -> None:
    await sim.send_text(ADA, "keep me")
    await sim.inject_fault("getUpdates", "drop_after")
    with pytest.raises(TelegramNetworkError):
        await started.get_updates()
    [update] = await started.get_updates()
    assert update.message is not None
    assert update.message.text == "keep me"


async def test_a_delay_is_only_slow(sim: SimulatedTelegram, started: Bot) -> None:
    await sim.inject_fault("sendMessage", "delay", seconds=0.4)
    began = time.monotonic()
    await started.send_message(ADA, "slow")
    assert time.monotonic() - began >= 0.4
    assert await texts(sim) == ["/start", "slow"]


async def test_other_methods_are_left_alone_and_faults_can_be_taken_back(sim: SimulatedTelegram, started: Bot) -> None:
    fault = await sim.inject_fault("editMessageText", "5xx", count=9)
    await started.send_message(ADA, "x")
    assert fault.count == 9
    clear_faults(sim.telegram, fault.number)
    assert sim.telegram.faults == []
    with pytest.raises(WrongRequest, match="kind must be one of"):
        await sim.inject_fault("*", "earthquake")
