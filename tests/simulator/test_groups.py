"""Groups: privacy mode, membership, presses of several people."""

import time
from collections import deque

import pytest
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError, TelegramRetryAfter
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, Update

from simulator.errors import WrongRequest
from simulator.members import join, leave
from simulator.simulated import SimulatedTelegram
from tests.simulator.conftest import ADA, EVE, GRACE, bot_of

SECOND = "7000000002:test-token-two"


async def fresh(bot: Bot) -> list[Update]:
    """Updates not seen yet, confirmed."""
    updates = await bot.get_updates()
    if updates:
        await bot.get_updates(offset=updates[-1].update_id + 1)
    return updates


async def texts(bot: Bot) -> list[str]:
    return [u.message.text for u in await fresh(bot) if u.message and u.message.text]


async def test_privacy_mode_lets_through_what_is_meant_for_the_bot(sim: SimulatedTelegram, bot: Bot) -> None:
    await sim.add_bot(SECOND, username="other_bot")
    group = await sim.add_group("Team", [ADA, GRACE])
    await fresh(bot)
    card = await bot.send_message(group.id, "hello all")
    async with bot_of(sim, SECOND) as other:
        await fresh(other)
        for text in ("just talk", "/task@pilot_bot do it", "/task@other_bot do it", "hey @pilot_bot, look", "/status"):
            await sim.send_text(ADA, text, chat=group.id)
        await sim.send_text(GRACE, "a reply", chat=group.id, reply_to=card.message_id)
        # /status goes to the bot that wrote last
        assert await texts(bot) == ["/task@pilot_bot do it", "hey @pilot_bot, look", "/status", "a reply"]
        assert await texts(other) == ["/task@other_bot do it"]
    # what one bot writes, another one does not hear
    assert await texts(bot) == []


async def test_an_admin_or_an_open_bot_hears_everything(sim: SimulatedTelegram, bot: Bot) -> None:
    await sim.add_bot(SECOND, username="open_bot", privacy=False)
    group = await sim.add_group("Team", [ADA])
    join(sim.telegram, group.id, bot.id, status="administrator")
    async with bot_of(sim, SECOND) as other:
        await fresh(bot)
        await fresh(other)
        await sim.send_text(ADA, "just talk", chat=group.id)
        assert await texts(bot) == ["just talk"]
        assert await texts(other) == ["just talk"]


async def test_coming_and_going_is_told(sim: SimulatedTelegram, bot: Bot) -> None:
    group = await sim.add_group("Team", [ADA, GRACE])
    [came, service] = await fresh(bot)
    assert came.my_chat_member is not None
    assert (came.my_chat_member.old_chat_member.status, came.my_chat_member.new_chat_member.status) == (
        "left",
        "member",
    )
    assert service.message is not None
    assert [u.id for u in service.message.new_chat_members or []] == [bot.id]
    join(sim.telegram, group.id, EVE)
    [joined] = await fresh(bot)
    assert joined.message is not None
    assert [u.first_name for u in joined.message.new_chat_members or []] == ["Eve"]
    assert (await bot.get_chat_member(group.id, EVE)).status == "member"
    assert [m.user.id for m in await bot.get_chat_administrators(group.id)] == [ADA]
    assert await bot.get_chat_member_count(group.id) == 4
    leave(sim.telegram, group.id, EVE)
    assert (await bot.get_chat_member(group.id, EVE)).status == "left"
    with pytest.raises(WrongRequest, match="not in chat"):
        await sim.send_text(EVE, "am I here?", chat=group.id)
    leave(sim.telegram, group.id, bot.id, kicked=True, by=ADA)
    assert [u.my_chat_member.new_chat_member.status for u in await fresh(bot) if u.my_chat_member] == ["kicked"]
    with pytest.raises(TelegramForbiddenError, match="bot was kicked from the supergroup chat"):
        await bot.send_message(group.id, "hello?")
    await sim.send_text(ADA, "/start")
    with pytest.raises(TelegramBadRequest, match="there are no administrators in the private chat"):
        await bot.get_chat_administrators(ADA)


async def test_each_member_presses_as_themselves(sim: SimulatedTelegram, bot: Bot) -> None:
    group = await sim.add_group("Team", [ADA, GRACE])
    await bot.get_updates(allowed_updates=["callback_query"])
    await fresh(bot)
    markup = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="Approve", callback_data="ok:1")]])
    card = await bot.send_message(group.id, "card", reply_markup=markup)
    await sim.press(GRACE, "Approve", chat=group.id)
    await sim.press(ADA, "ok:1", chat=group.id, message=card.message_id)
    with pytest.raises(WrongRequest, match="not in chat"):
        await sim.press(EVE, "Approve", chat=group.id)
    queries = [u.callback_query for u in await fresh(bot) if u.callback_query]
    assert [(q.from_user.id, q.data) for q in queries] == [(GRACE, "ok:1"), (ADA, "ok:1")]
    assert len({q.chat_instance for q in queries}) == 1
    assert all(q.message and q.message.chat.id == group.id for q in queries)


async def test_a_group_that_is_open_to_bots_takes_later_ones(sim: SimulatedTelegram) -> None:
    group = await sim.add_group("Team", [ADA])
    closed = await sim.add_group("Closed", [ADA], bots=["pilot_bot"])
    late = await sim.add_bot(SECOND, username="late_bot")
    assert group.has(late["id"])
    assert not closed.has(late["id"])
    async with bot_of(sim, SECOND) as other:
        [came, _] = await fresh(other)
        assert came.my_chat_member is not None
        with pytest.raises(TelegramForbiddenError, match="bot is not a member"):
            await other.send_message(closed.id, "hello")


async def test_reactions_reach_administrators_who_asked(sim: SimulatedTelegram, bot: Bot) -> None:
    group = await sim.add_group("Team", [ADA])
    await bot.get_updates(allowed_updates=["message_reaction"])
    message = await bot.send_message(group.id, "x")
    await sim.react(ADA, message.message_id, "👍", chat=group.id)
    assert [u for u in await fresh(bot) if u.message_reaction] == []
    join(sim.telegram, group.id, bot.id, status="administrator")
    await sim.react(ADA, message.message_id, "", chat=group.id)
    [update] = [u for u in await fresh(bot) if u.message_reaction]
    assert update.message_reaction is not None
    assert update.message_reaction.new_reaction == []


async def test_chats_describe_themselves(sim: SimulatedTelegram, bot: Bot) -> None:
    group = await sim.add_group("Team", [ADA])
    await sim.send_text(ADA, "/start")
    own = await bot.get_chat(ADA)
    assert (own.type, own.first_name, own.last_name, own.username) == ("private", "Ada", "Byron", "ada")
    shared = await bot.get_chat(group.id)
    assert (shared.type, shared.title) == ("supergroup", "Team")
    with pytest.raises(TelegramBadRequest, match="chat not found"):
        await bot.get_chat("@nowhere")


async def test_a_group_takes_twenty_messages_a_minute(sim: SimulatedTelegram, bot: Bot) -> None:
    group = await sim.add_group("Team", [ADA])
    sim.telegram.flood = True
    sent = sim.telegram.sends.setdefault((bot.id, group.id), deque(maxlen=60))
    sent.extend([time.monotonic() - 30] * 20)
    with pytest.raises(TelegramRetryAfter) as caught:
        await bot.send_message(group.id, "x")
    assert 28 <= caught.value.retry_after <= 31
