"""The main story in chat: start, a task, a card, the press, the result."""

import pytest

from domain.ports import ToolCall
from tests.bot.kit import BotKit
from tests.kit import Script


def call(what: str = "x", **more: str) -> ToolCall:
    return ToolCall(tool="http.post", args={"what": what, **more}, call_id="c1")


@pytest.mark.parametrize("webhook", [False, True], ids=["polling", "webhook"])
async def test_a_task_from_chat_reaches_a_card_and_the_press_finishes_it(bot: BotKit, webhook: bool):
    bot.kit.scripts["Post the news"] = Script([call("news", secret="s3cr3t")])
    tg = bot.telegram
    async with bot.running(webhook=webhook):
        tg.say("/start")
        await tg.message("Welcome back, Ada")
        tg.say("Post the news")
        card = await tg.message("Approval needed: http.post")
        assert "s3cr3t" not in card["text"]
        assert "what: news" in card["text"]
        buttons = [[b["text"] for b in row] for row in card["reply_markup"]["inline_keyboard"]]
        assert buttons[0] == ["Approve", "Deny"]
        assert card["reply_markup"]["inline_keyboard"][0][0]["style"] == "success"
        tg.tap(card, "Approve")
        result = await tg.message("all done")
        assert "Receipt" in result["text"]
        decided = await tg.message("Approved by Ada")
        assert decided["message_id"] == card["message_id"]
        assert "what: news" in decided["text"]
        assert not any("callback_data" in b for row in decided["reply_markup"]["inline_keyboard"] for b in row)
        progress = await tg.message("Completed: Post the news")
        assert progress
        await tg.until(lambda: tg.answers)
    assert bot.deed.done
    assert len(bot.deed.done) == 1
    assert [a["text"] for a in tg.answers] == ["Approved. The run continues."]
