"""The daily checkpoint is told to every owner in the language of their chat."""

from typing import Any

import pytest

import locales
from domain.clock import utc_now
from domain.identity.actor import Role
from domain.receipts.checkpoint import Checkpoint, parse_note
from services.ledger.checkpoint_digest import CheckpointDigest
from services.outbox.notifications import Notifications
from storage.ledger import log_rows
from tests.bot.kit import BotKit
from tests.bot.people import ADA
from tests.kit import Script

BOB = 8
LANGUAGES = sorted(locales.languages())


async def ran(bot: BotKit) -> int:
    """Leave receipts in the log; how many it has."""
    bot.kit.scripts["Do it"] = Script([])
    bot.telegram.say("Do it")
    await bot.telegram.message("all done")
    return await bot.kit.store.read(lambda tx: log_rows.head(tx, bot.kit.owner.in_workspace).size)


async def speaks(bot: BotKit, telegram_id: int, code: str) -> None:
    person = await bot.deps.memberships.of_telegram(telegram_id)
    assert person is not None
    await bot.deps.chat.people.set_language(person, code)


def daily(bot: BotKit) -> CheckpointDigest:
    kit = bot.kit
    return CheckpointDigest(kit.store, kit.ledger, Notifications(kit.bus, utc_now), utc_now)


def note_in(message: dict[str, Any]) -> str:
    """What is copied when the block of a message is tapped."""
    [block] = [e for e in message["entities"] if e["type"] == "pre"]
    units = message["text"].encode("utf-16-le")[2 * block["offset"] : 2 * (block["offset"] + block["length"])]
    return units.decode("utf-16-le")


@pytest.mark.parametrize("code", LANGUAGES)
async def test_every_owner_gets_it_in_their_language_once_a_day(bot: BotKit, code: str) -> None:
    tg = bot.telegram
    await bot.person(Role.OWNER, telegram_id=BOB)
    await bot.person(Role.PARTNER, telegram_id=9)
    await speaks(bot, BOB, code)
    async with bot.running():
        size = await ran(bot)
        assert await daily(bot).send_checkpoints() == 2
        for chat, language in ((ADA, "en"), (BOB, code)):
            t = locales.load().of(language)
            told = await tg.message(t("checkpoint-title"), chat=chat)
            assert t("checkpoint-size", size=size) in told["text"]
            assert t("checkpoint-keep") in told["text"]
            assert Checkpoint.parse(parse_note(note_in(told) + "\n").text).size == size
        await daily(bot).send_checkpoints()
        tg.say("/help")
        await tg.message("What I can do")
        assert sum("checkpoint" in m["text"] for m in tg.in_chat()) == 1
    assert tg.in_chat(9) == []


@pytest.mark.parametrize("code", LANGUAGES)
async def test_a_damaged_log_is_told_in_their_language(bot: BotKit, code: str) -> None:
    tg = bot.telegram
    await speaks(bot, ADA, code)
    t = locales.load().of(code)
    async with bot.running():
        await ran(bot)
        bot.kit.ledger.close(bot.kit.owner.in_workspace, "receipt 3 is missing")
        assert await daily(bot).send_checkpoints() == 1
        told = await tg.message(t("checkpoint-none"))
        assert t("verify-bad", problem="receipt 3 is missing") in told["text"]
        assert t("checkpoint-hint") in told["text"]
