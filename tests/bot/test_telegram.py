"""What real Telegram does to a bot besides delivering messages: Pilot lives with it, by polling and by webhook."""

from typing import Any

import pytest

from domain.ports import ToolCall
from simulator.faults import clear_faults
from simulator.groups import add_group, upgrade
from simulator.messages import delete
from simulator.people import deactivate, forward_rich, say
from simulator.presses import press
from simulator.topics import open_topic
from storage.outbox import outbox_rows
from tests.bot.kit import BotKit
from tests.bot.people import ADA
from tests.kit import Script

LINK = "Post https://launch.example/plan"


@pytest.fixture(params=[False, True], ids=["polling", "webhook"])
def webhook(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def asks(bot: BotKit, text: str) -> None:
    """A task that needs an approval."""
    bot.kit.scripts[text] = Script([ToolCall(tool="http.post", args={"what": "x"}, call_id="1")])


async def drained(bot: BotKit) -> bool:
    return await bot.kit.store.read(outbox_rows.depth) == {}


async def test_links_without_a_preview_stop_nobody(bot: BotKit, webhook: bool) -> None:
    """The bot sends without previews, so every tap on and reply to its messages says so."""
    tg = bot.telegram
    asks(bot, LINK)
    async with bot.running(webhook=webhook):
        tg.say(LINK)
        card = await tg.message("Approval needed")
        assert card["link_preview_options"] == {"is_disabled": True}
        tg.tap(card, "Deny with reason")
        prompt = await tg.message("Why not?")
        answered = tg.say("read https://reasons.example first", reply_to=prompt["message_id"])
        assert answered["message"]["reply_to_message"]["link_preview_options"] == {"is_disabled": True}
        await tg.message("Note: read https://reasons.example first")
        tg.say("/help")
        await tg.message("What I can do")
    assert bot.deed.done == []


async def test_a_group_that_becomes_a_supergroup_gets_the_result_there(bot: BotKit) -> None:
    tg = bot.telegram
    asks(bot, "post the news")
    group = add_group(tg.sim.telegram, "Team", [ADA], basic=True)
    async with bot.running():
        tg.say("@pilot_bot post the news", chat=group.id)
        await tg.message("Waiting for approval: post the news", chat=group.id)
        card = await tg.message("Approval needed")
        new = upgrade(tg.sim.telegram, group.id)
        tg.tap(card, "Approve")
        await tg.message("all done", chat=new.id)
    assert not any("all done" in m["text"] for m in tg.in_chat(group.id))


async def test_what_was_asked_in_a_topic_is_answered_there(bot: BotKit) -> None:
    tg = bot.telegram
    bot.kit.scripts["Do it"] = Script([])
    forum = add_group(tg.sim.telegram, "Forum", [ADA], forum=True)
    topic = open_topic(tg.sim.telegram, forum, "Launch", tg.sim.telegram.person(ADA))["message_thread_id"]
    async with bot.running():
        say(tg.sim.telegram, ADA, "@pilot_bot Do it", chat_id=forum.id, topic=topic)
        result = await tg.message("all done", chat=forum.id)
        assert (result["message_thread_id"], result["is_topic_message"]) == (topic, True)
        say(tg.sim.telegram, ADA, "/help", chat_id=forum.id, topic=topic)
        shown = await tg.message("What I can do", chat=forum.id)
        assert shown.get("message_thread_id") == topic


async def test_a_message_deleted_at_once_is_answered_all_the_same(bot: BotKit) -> None:
    tg = bot.telegram
    bot.kit.scripts["Do it"] = Script([])
    asked = tg.say("Do it")
    delete(tg.sim.telegram, tg.private(ADA), asked["message"]["message_id"])
    async with bot.running():
        result = await tg.message("all done")
        assert "reply_to_message" not in result


async def test_a_card_deleted_at_once_can_still_be_pressed(bot: BotKit, webhook: bool) -> None:
    tg = bot.telegram
    asks(bot, "Do it")
    async with bot.running(webhook=webhook):
        tg.fault("deleted", count=99)
        tg.say("Do it")
        gone = await tg.until(lambda: _gone(tg.private(ADA).gone, "Approval needed"))
        clear_faults(tg.sim.telegram)
        # on a client that still shows it; its content is not told to the bot any more
        press(
            tg.sim.telegram,
            ADA,
            gone["reply_markup"]["inline_keyboard"][0][0]["callback_data"],
            message_id=gone["message_id"],
        )
        await tg.message("all done")
        await tg.until(lambda: tg.answers)
        assert tg.answers[0]["text"] == "Approved. The run continues."
        await tg.until_async(lambda: _settled(bot))
    assert len(bot.deed.done) == 1


def _gone(messages: dict[int, dict[str, Any]], words: str) -> dict[str, Any] | None:
    return next((m for m in messages.values() if words in m.get("text", "")), None)


async def _settled(bot: BotKit) -> bool:
    """Nothing is sent over and over: what could not be edited is given up."""
    return set(await bot.kit.store.read(outbox_rows.depth)) <= {"failed"}


async def test_who_blocks_or_deletes_the_account_at_once_disturbs_nobody(bot: BotKit, webhook: bool) -> None:
    tg = bot.telegram
    tg.say("/start", by=50, name="Eve")
    tg.block(50)
    tg.say("/start", by=51, name="Zoe")
    deactivate(tg.sim.telegram, 51)
    async with bot.running(webhook=webhook):
        tg.say("/help")
        await tg.message("What I can do")
        await tg.until_async(lambda: _settled(bot))
    assert tg.in_chat(50) == tg.in_chat(51) == []


async def test_a_press_that_waited_too_long_still_decides(bot: BotKit) -> None:
    """Telegram takes no answer to it any more; what was decided stands, and the card shows it."""
    tg = bot.telegram
    asks(bot, "Do it")
    tg.sim.telegram.query_seconds = -1.0
    async with bot.running():
        tg.say("Do it")
        tg.tap(await tg.message("Approval needed"), "Approve")
        await tg.message("Approved by Ada")
        await tg.message("all done")
    assert (len(bot.deed.done), tg.answers) == (1, [])
    assert any(method == "answerCallbackQuery" for method, _ in tg.calls)


async def test_a_rich_message_somebody_forwards_is_answered_and_holds_nobody_up(bot: BotKit, webhook: bool) -> None:
    tg = bot.telegram
    rich = {"blocks": [{"type": "details", "summary": "More", "blocks": [{"type": "paragraph", "text": "words"}]}]}
    async with bot.running(webhook=webhook):
        forward_rich(tg.sim.telegram, ADA, rich)
        tg.say("/help")
        await tg.message("What I can do")
