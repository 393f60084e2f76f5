"""Strangers in chat: told once how to get in, and nothing is made for them; and those who may come in."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import locales
from bot.buttons import ExampleTap
from domain.identity.actor import Role
from domain.identity.sign_up import SignUpMode, SignUpRule, allow_list
from services.identity.sign_up import SignUp
from storage import tables
from storage.identity import sign_up_rows
from tests.bot.kit import BotKit, open_bot

STRANGER, GUEST = 50, 51
CLOSED = (SignUpMode.FIRST, SignUpMode.INVITE)
# an update is kept until it was handled, and what is said leaves through the outbox
TRANSPORT = {"inbox", "intake", "outbox"}


@pytest.fixture(params=["sqlite", "postgres"])
async def bot(request: pytest.FixtureRequest, tmp_path: Path):
    async with open_bot(tmp_path, database=request.param) as kit:
        yield kit


def rule(bot: BotKit, mode: SignUpMode, *, telegram_ids: tuple[int, ...] = ()) -> None:
    bot.deps.admission.sign_up = SignUp(SignUpRule(mode=mode, allowed=allow_list((), telegram_ids)))


async def rows(bot: BotKit) -> dict[str, int]:
    found = [t for t in tables.metadata.sorted_tables if t.name not in TRANSPORT]
    return await bot.kit.store.read(
        lambda tx: {t.name: int(tx.scalar(sa.select(sa.func.count()).select_from(t))) for t in found}
    )


async def handled(bot: BotKit, update: dict[str, Any]) -> None:
    """Once the bot is through with an update."""
    query = sa.select(tables.inbox.c.done_at).where(tables.inbox.c.update_id == update["update_id"])

    async def done() -> bool:
        return await bot.kit.store.read(lambda tx: tx.scalar(query)) is not None

    await bot.telegram.until_async(done)


def texts_of(bot: BotKit, chat: int) -> list[str]:
    return [m["text"] for m in bot.telegram.in_chat(chat)]


async def empty(bot: BotKit) -> None:
    """An installation nobody has ever been on: the people and workspaces of the kit were never there."""
    bare = (tables.workspace_members, tables.workspaces, tables.users)
    await bot.kit.store.write(lambda tx: [tx.execute(sa.delete(t)) for t in bare])


async def invite(bot: BotKit) -> str:
    _, token, _ = await bot.invites.create(bot.kit.owner, role=Role.MEMBER, email=None)
    return token


EVERYTHING = (
    "/start",
    "hello",
    "/help",
    "/task pay the rent",
    "/status",
    "/nonsense",
    "/start apr_00000000-0000-7000-8000-000000000000",
    "/start task_00000000-0000-7000-8000-000000000000",
    "/start ref_7",
)


@pytest.mark.parametrize("mode", CLOSED)
@pytest.mark.parametrize("language", ["en", "ru", "es", "pt-BR"])
async def test_a_stranger_is_told_once_in_their_language(bot: BotKit, mode: SignUpMode, language: str) -> None:
    rule(bot, mode)
    said = locales.load().of(language)("error-sign_up_closed")
    before = await rows(bot)
    async with bot.running():
        for text in EVERYTHING:
            last = bot.telegram.say(text, by=STRANGER, language=language)
        await handled(bot, last)
        # a message of somebody who is known goes its usual way meanwhile
        bot.telegram.say("/help")
        await bot.telegram.message("/status")
        await bot.telegram.message(said, chat=STRANGER)
    assert texts_of(bot, STRANGER) == [said]
    assert await rows(bot) == before


@pytest.mark.parametrize("mode", CLOSED)
async def test_in_a_group_a_stranger_hears_it_where_they_speak_to_us(bot: BotKit, mode: SignUpMode) -> None:
    rule(bot, mode)
    said = locales.load().of("en")("error-sign_up_closed")
    before = await rows(bot)
    async with bot.running():
        tg = bot.telegram
        group = tg.group(STRANGER)
        card = {"message_id": 5, "date": 1, "chat": {"id": group, "type": "supergroup", "title": "G"}, "text": "?"}
        for text in ("good morning", "/weather", "/task@another_bot x"):
            tg.say(text, by=STRANGER, chat=group)
        for text in ("@pilot_bot pay the rent", "/task pay the rent", "/start", "/nonsense@pilot_bot"):
            tg.say(text, by=STRANGER, chat=group)
        for data in (ExampleTap().pack(), "a:b:c"):
            last = tg.press(card, data, by=STRANGER)
        await handled(bot, last)
        await tg.until(lambda: len(tg.answers) == 2)
        await tg.message(said, chat=group)
        other = tg.group(STRANGER, title="H")
        joined = tg.push(
            {
                "my_chat_member": {
                    "chat": {"id": other, "type": "supergroup", "title": "H"},
                    "from": {"id": STRANGER, "is_bot": False, "first_name": "S"},
                    "date": 1,
                    "old_chat_member": {"status": "left", "user": {"id": 42, "is_bot": True, "first_name": "P"}},
                    "new_chat_member": {"status": "member", "user": {"id": 42, "is_bot": True, "first_name": "P"}},
                }
            }
        )
        await handled(bot, joined)
    assert texts_of(bot, group) == [said]
    assert texts_of(bot, other) == []
    assert [a["text"] for a in tg.answers] == [said] * 2
    assert await rows(bot) == before


async def test_an_open_installation_takes_everybody(bot: BotKit) -> None:
    rule(bot, SignUpMode.OPEN)
    async with bot.running():
        bot.telegram.say("hello", by=STRANGER)
        await bot.telegram.message("I don't know you yet", chat=STRANGER)
        bot.telegram.say("/start", by=STRANGER)
        await bot.telegram.message("this is Pilot", chat=STRANGER)
    assert await bot.kit.store.read(sign_up_rows.people) == 2


@pytest.mark.parametrize("mode", CLOSED)
async def test_the_first_who_starts_owns_and_the_next_does_not(bot: BotKit, mode: SignUpMode) -> None:
    await empty(bot)
    rule(bot, mode)
    async with bot.running():
        bot.telegram.say("hello", by=STRANGER)
        await bot.telegram.message("Send me /start", chat=STRANGER)
        people = (STRANGER, GUEST, 52, 53)
        for one in people:
            bot.telegram.say("/start", by=one)
        await bot.telegram.until(lambda: all(len(texts_of(bot, p)) > (p == STRANGER) for p in people))
    texts = [texts_of(bot, one)[-1] for one in people]
    assert sorted("Sign-up is closed" in text for text in texts) == [False, True, True, True]
    assert [text for text in texts if "this is Pilot" in text]
    assert await bot.kit.store.read(sign_up_rows.people) == 1


@pytest.mark.parametrize("mode", CLOSED)
async def test_those_on_the_allow_list_may_start_and_are_the_first(bot: BotKit, mode: SignUpMode) -> None:
    await empty(bot)
    rule(bot, mode, telegram_ids=(GUEST,))
    async with bot.running():
        bot.telegram.say("/start", by=STRANGER)
        await bot.telegram.message("Sign-up is closed", chat=STRANGER)
        assert await bot.kit.store.read(sign_up_rows.people) == 0
        bot.telegram.say("/start", by=GUEST)
        await bot.telegram.message("this is Pilot", chat=GUEST)
    assert await bot.kit.store.read(sign_up_rows.people) == 1


async def test_an_invite_in_a_link_lets_one_in_and_removal_out_again(bot: BotKit) -> None:
    rule(bot, SignUpMode.INVITE)
    token, tg = await invite(bot), bot.telegram
    before = await rows(bot)
    async with bot.running():
        for bad in ("inv_nonsense", f"inv_{token[:-1]}", "inv_"):
            last = tg.say(f"/start {bad}", by=STRANGER)
        await handled(bot, last)
        await tg.message("This invite doesn't work", chat=STRANGER)
        assert await rows(bot) == before
        tg.say(f"/start inv_{token}", by=GUEST)
        await tg.message("You've joined the workspace W as", chat=GUEST)
        tg.say(f"/start inv_{token}", by=STRANGER)
        tg.say("/status", by=GUEST)
        await tg.message("W", chat=GUEST)
        found = await rows(bot)
        assert (found["users"], found["workspaces"], found["workspace_members"]) == (2, 1, 2)
        guest = await bot.deps.memberships.of_telegram(GUEST)
        assert guest is not None
        await bot.members.remove(bot.kit.owner, guest.user_id)
        after = await rows(bot)
        tg.say("pay the rent", by=GUEST)
        tg.say("/start", by=GUEST)
        last = tg.say(f"/start inv_{token}", by=GUEST)
        await handled(bot, last)
        await tg.message("Sign-up is closed", chat=GUEST)
        assert await rows(bot) == after
        tg.say(f"/start inv_{await invite(bot)}", by=GUEST)
        await tg.until(lambda: sum("You've joined" in text for text in texts_of(bot, GUEST)) == 2)
    assert await bot.kit.store.read(sign_up_rows.people) == 2


async def test_an_invite_is_no_way_in_where_only_the_first_may_come(bot: BotKit) -> None:
    rule(bot, SignUpMode.FIRST)
    token = await invite(bot)
    before = await rows(bot)
    async with bot.running():
        bot.telegram.say(f"/start inv_{token}", by=GUEST)
        await bot.telegram.message("Sign-up is closed", chat=GUEST)
    assert await rows(bot) == before
    # whoever has an account joins by it as ever
    rule(bot, SignUpMode.FIRST, telegram_ids=(GUEST,))
    async with bot.running():
        bot.telegram.say(f"/start inv_{token}", by=GUEST)
        await bot.telegram.message("You've joined the workspace W as", chat=GUEST)
