"""Updates: long polling, webhooks, repeated and late ones."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest
from aiogram import Bot, Dispatcher, F
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramForbiddenError,
    TelegramUnauthorizedError,
)
from aiogram.filters import CommandObject, CommandStart
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message

from simulator.errors import WrongRequest
from simulator.presses import forge_press
from simulator.simulated import SimulatedTelegram
from tests.simulator.conftest import ADA, GRACE, TOKEN, bot_of, polled
from tests.simulator.kit import receiver


async def test_a_dispatcher_polls_echoes_and_takes_a_press(sim: SimulatedTelegram, bot: Bot) -> None:
    dispatcher = Dispatcher()

    @dispatcher.message(CommandStart())
    async def start(message: Message, command: CommandObject) -> None:
        await message.answer(f"hello, {command.args}")

    @dispatcher.message(F.text)
    async def echo(message: Message) -> None:
        button = InlineKeyboardButton(text="Shout", callback_data="shout")
        await message.answer(message.text or "", reply_markup=InlineKeyboardMarkup(inline_keyboard=[[button]]))

    @dispatcher.callback_query()
    async def shout(query: CallbackQuery) -> None:
        assert isinstance(query.message, Message)
        assert query.message.text is not None
        assert query.chat_instance
        await query.message.edit_text(query.message.text.upper())
        await query.answer("done", show_alert=True)

    async with asyncio.TaskGroup() as group:
        polling = group.create_task(dispatcher.start_polling(bot, handle_signals=False, polling_timeout=5))
        await sim.send_text(ADA, "/start deep_link")
        await sim.message(ADA, "hello, deep_link")
        await sim.send_text(ADA, "quiet")
        card = await sim.message(ADA, "quiet")
        await sim.press(ADA, "Shout")
        edited = await sim.message(ADA, "QUIET")
        assert edited["message_id"] == card["message_id"]
        assert edited["edits"][0]["text"] == "quiet"
        [answer] = await sim.until(lambda: sim.telegram.answers)
        assert (answer["user"], answer["text"], answer["alert"]) == (ADA, "done", True)
        with pytest.raises(WrongRequest, match="no button"):
            await sim.press(ADA, "Shout")
        await dispatcher.stop_polling()
        await polling


async def test_polling_waits_until_something_happens(sim: SimulatedTelegram, bot: Bot) -> None:
    await bot.get_me()
    began = time.monotonic()
    assert await bot.get_updates(timeout=1, request_timeout=30) == []
    assert 0.9 < time.monotonic() - began < 20
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(bot.get_updates(timeout=40, request_timeout=60))
        await polled(sim)
        assert not waiting.done()
        began = time.monotonic()
        await sim.send_text(ADA, "hello")
        [update] = await waiting
    assert time.monotonic() - began < 20
    assert update.message is not None
    assert update.message.from_user is not None
    assert (update.message.text, update.message.chat.id, update.message.from_user.first_name) == ("hello", ADA, "Ada")


async def test_an_offset_confirms_and_numbers_rise_by_one(sim: SimulatedTelegram, bot: Bot) -> None:
    for text in ("one", "two", "three"):
        await sim.send_text(ADA, text)
    first = await bot.get_updates(limit=2)
    again = await bot.get_updates()
    assert [u.update_id for u in again] == [first[0].update_id + n for n in range(3)]
    rest = await bot.get_updates(offset=again[1].update_id + 1)
    assert [u.message.text for u in rest if u.message] == ["three"]
    # a bot that was killed and comes back without an offset gets what it had not confirmed
    async with bot_of(sim) as restarted:
        assert [u.update_id for u in await restarted.get_updates()] == [again[2].update_id]
        await sim.send_text(ADA, "four")
        [last] = await restarted.get_updates(offset=-1)
        assert last.message is not None
        assert last.message.text == "four"


async def test_only_the_kinds_asked_for_are_made(sim: SimulatedTelegram, started: Bot) -> None:
    message = await started.send_message(ADA, "react to me")
    await sim.react(ADA, message.message_id, "🔥")
    assert await started.get_updates() == []
    await started.get_updates(allowed_updates=["message_reaction"])
    await sim.react(ADA, message.message_id, "👍")
    await sim.send_text(ADA, "not wanted")
    [update] = await started.get_updates()
    assert update.message_reaction is not None
    assert [r.emoji for r in update.message_reaction.new_reaction if r.type == "emoji"] == ["👍"]
    assert [r.emoji for r in update.message_reaction.old_reaction if r.type == "emoji"] == ["🔥"]


async def test_a_second_poller_ends_the_first_with_409(sim: SimulatedTelegram, bot: Bot) -> None:
    async with bot_of(sim) as other, asyncio.TaskGroup() as group:
        first = group.create_task(_refused(bot.get_updates(timeout=20, request_timeout=25)))
        await polled(sim)
        second = group.create_task(other.get_updates(timeout=20, request_timeout=25))
        assert "terminated by other getUpdates request" in await first
        await sim.send_text(ADA, "for the second")
        assert len(await second) == 1


async def _refused(call: Any) -> str:
    with pytest.raises(TelegramConflictError) as caught:
        await call
    return str(caught.value)


async def test_an_unknown_token_is_unauthorized(sim: SimulatedTelegram) -> None:
    async with bot_of(sim, "7000000009:nobody-knows") as stranger:
        with pytest.raises(TelegramUnauthorizedError, match="Unauthorized"):
            await stranger.get_me()
    sim.telegram.auto_register = True
    async with bot_of(sim, "7000000009:nobody-knows") as stranger:
        assert (await stranger.get_me()).id == 7000000009


async def test_a_repeated_update_comes_with_the_same_number_also_after_it_was_confirmed(
    sim: SimulatedTelegram, bot: Bot
) -> None:
    await sim.send_text(ADA, "twice", copies=2)
    await sim.send_text(ADA, "once")
    first, second = await bot.get_updates()
    [again] = await bot.get_updates(offset=second.update_id + 1)
    assert again == first
    assert await bot.get_updates(offset=second.update_id + 1) == []


async def test_faults_repeat_and_delay_updates(sim: SimulatedTelegram, bot: Bot) -> None:
    await sim.inject_fault("message", "duplicate")
    await sim.send_text(ADA, "twice")
    [first] = await bot.get_updates()
    assert await bot.get_updates(offset=first.update_id + 1) == [first]
    await sim.inject_fault("message", "late", seconds=3)
    await sim.send_text(ADA, "late")
    await sim.send_text(ADA, "in time")
    [in_time] = await bot.get_updates(offset=first.update_id + 1)
    assert in_time.message is not None
    assert in_time.message.text == "in time"
    [late] = await bot.get_updates(offset=in_time.update_id + 1, timeout=30, request_timeout=60)
    assert late.message is not None
    assert late.message.text == "late"
    assert late.message.message_id < in_time.message.message_id


async def test_a_raw_update_can_be_pushed(sim: SimulatedTelegram, bot: Bot) -> None:
    await sim.push_update({"update_id": 500, "poll": {"odd": "thing"}})
    await sim.send_text(ADA, "after")
    async with aiohttp.ClientSession() as session, session.get(f"{sim.url}/bot{TOKEN}/getUpdates") as answer:
        pushed, after = (await answer.json())["result"]
    assert pushed == {"update_id": 500, "poll": {"odd": "thing"}}
    assert after["update_id"] == 501


# --- webhooks -------------------------------------------------------------------------------------


async def test_a_webhook_gets_the_secret_and_every_update_in_order(sim: SimulatedTelegram, bot: Bot) -> None:
    await sim.send_text(ADA, "before")
    async with receiver() as hook:
        hook.statuses = [500, 502]
        await bot.set_webhook(hook.url, secret_token="s-e_c-R-e-t")  # pragma: allowlist secret
        await sim.send_text(ADA, "after")
        await sim.until(lambda: len(hook.got) == 4)
        assert [u["message"]["text"] for u in hook.got] == ["before", "before", "before", "after"]
        assert set(hook.secrets) == {"s-e_c-R-e-t"}
        info = await bot.get_webhook_info()
        assert (info.url, info.pending_update_count) == (hook.url, 0)
        assert info.last_error_message == "Wrong response from the webhook: 502 Bad Gateway"
        with pytest.raises(TelegramConflictError, match="can't use getUpdates method while webhook is active"):
            await bot.get_updates()
        await bot.delete_webhook()
        await sim.send_text(ADA, "polled")
        [update] = await bot.get_updates()
        assert update.message is not None
        assert update.message.text == "polled"
        assert len(hook.got) == 4


async def test_pending_updates_can_be_dropped(sim: SimulatedTelegram, bot: Bot) -> None:
    await sim.send_text(ADA, "old")
    async with receiver() as hook:
        await bot.set_webhook(hook.url, drop_pending_updates=True)
        await sim.send_text(ADA, "new")
        await sim.until(lambda: hook.got)
        assert hook.got[0]["message"]["text"] == "new"
    await sim.send_text(ADA, "nobody listens")
    await sim.until(lambda: sim.telegram.which_bot().webhook.last_error)
    await bot.delete_webhook(drop_pending_updates=True)
    assert await bot.get_updates() == []


async def test_setting_a_webhook_ends_a_poller(sim: SimulatedTelegram, bot: Bot) -> None:
    async with bot_of(sim) as other, receiver() as hook, asyncio.TaskGroup() as group:
        polling = group.create_task(_refused(bot.get_updates(timeout=20, request_timeout=25)))
        await polled(sim)
        await other.set_webhook(hook.url)
        assert "terminated by setWebhook request" in await polling


async def test_a_webhook_may_answer_with_a_method_and_gets_repeated_updates(sim: SimulatedTelegram, bot: Bot) -> None:
    async with receiver() as hook:
        hook.reply = {"method": "sendMessage", "chat_id": ADA, "text": "in the reply"}
        await bot.set_webhook(hook.url)
        await sim.send_text(ADA, "/start", copies=2)
        await sim.message(ADA, "in the reply")
        await sim.until(lambda: len(hook.got) == 2)
        assert hook.got[0] == hook.got[1]
        assert (await sim.calls("sendMessage"))[-1]["inReply"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"url": "http://127.0.0.1/x", "secret_token": "no spaces"},  # pragma: allowlist secret
            "secret token contains unallowed characters",
        ),
        ({"url": "http://127.0.0.1/x", "secret_token": "x" * 257}, "secret token is too long"),
        ({"url": "ftp://127.0.0.1/x"}, "bad webhook"),
    ],
)
async def test_a_wrong_webhook_is_refused(bot: Bot, given: dict[str, Any], words: str) -> None:
    with pytest.raises(TelegramBadRequest, match=words):
        await bot.set_webhook(**given)


async def test_blocking_is_told_and_felt(sim: SimulatedTelegram, started: Bot) -> None:
    await sim.block(ADA)
    [update] = await started.get_updates()
    assert update.my_chat_member is not None
    assert update.my_chat_member.new_chat_member.status == "kicked"
    with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
        await started.send_message(ADA, "are you there?")
    await sim.block(ADA, blocked=False)
    [_, update] = await started.get_updates()
    assert update.my_chat_member is not None
    assert update.my_chat_member.new_chat_member.status == "member"


async def test_edits_of_people_are_told(sim: SimulatedTelegram, started: Bot) -> None:
    typed = await sim.send_text(ADA, "first /help thought")
    await sim.edit_text(ADA, typed["message_id"], "second thought")
    first, second = await started.get_updates()
    assert first.message is not None
    assert [(e.type, e.offset, e.length) for e in first.message.entities or []] == [("bot_command", 6, 5)]
    # what was delivered is what was true then
    assert first.message.text == "first /help thought"
    assert second.edited_message is not None
    assert (second.edited_message.text, second.edited_message.message_id) == ("second thought", typed["message_id"])


async def test_files_go_both_ways(sim: SimulatedTelegram, started: Bot) -> None:
    await sim.send_document(ADA, "plan.txt", b"launch on monday", caption="the plan")
    [update] = await started.get_updates()
    assert update.message is not None
    assert update.message.document is not None
    assert (update.message.document.file_name, update.message.caption) == ("plan.txt", "the plan")
    taken = await started.download(update.message.document)
    assert taken is not None
    assert taken.read() == b"launch on monday"


async def test_chats_of_two_people_are_apart(sim: SimulatedTelegram, started: Bot) -> None:
    await sim.send_text(GRACE, "/start")
    await started.send_message(GRACE, "for Grace")
    await started.send_message(ADA, "for Ada")
    assert [m["text"] for m in await sim.messages(ADA)] == ["/start", "for Ada"]
    assert [m["text"] for m in await sim.messages(GRACE)] == ["/start", "for Grace"]
    log = json.dumps([c["params"] for c in await sim.calls("sendMessage")])
    assert "for Grace" in log


async def test_a_press_can_be_made_up(sim: SimulatedTelegram, started: Bot) -> None:
    button = InlineKeyboardButton(text="Go", callback_data="go")
    card = await started.send_message(ADA, "x", reply_markup=InlineKeyboardMarkup(inline_keyboard=[[button]]))
    message = (await sim.messages(ADA))[-1]
    made = forge_press(sim.telegram, GRACE, message, "not a button of it")
    [update] = await started.get_updates()
    assert update.callback_query is not None
    assert update.callback_query.message is not None
    assert (update.callback_query.data, update.callback_query.message.message_id) == (made["data"], card.message_id)
    assert await started.answer_callback_query(made["id"], text="no")
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{sim.url}/sim/press", json={"user": ADA, "button": "old", "message": card.message_id, "forged": True}
        ) as answer,
    ):
        assert (await answer.json())["data"] == "old"


async def test_who_hung_up_takes_no_update_away(sim: SimulatedTelegram, started: Bot) -> None:
    """A bot that was killed while it polled: what comes meanwhile is for the next one, also what comes only once."""
    waiting = asyncio.ensure_future(started.get_updates(timeout=40, request_timeout=60))
    await polled(sim)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await started.session.close()
    offset = sim.telegram.which_bot().confirmed
    async with aiohttp.ClientSession() as session:
        # once other calls were answered, the end of that connection has been seen
        for _ in range(3):
            async with session.get(f"{sim.url}/bot{TOKEN}/getMe") as answer:
                assert answer.status == 200
        await sim.push_raw(b'{"update_id":0,"once":1}')
        async with session.get(f"{sim.url}/bot{TOKEN}/getUpdates", params={"offset": offset}) as answer:
            assert (await answer.json())["result"] == [{"update_id": 0, "once": 1}]
