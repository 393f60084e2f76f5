"""The policy in chat: what is shown is in force, and a button or a word changes it for those who may."""

import re
from typing import Any

import pytest

import locales
from domain.identity.actor import Role
from domain.ports import ToolCall
from tests.bot.kit import BotKit
from tests.kit import Script


async def stored(bot: BotKit) -> dict[str, Any]:
    view = await bot.settings.get(bot.kit.owner)
    return view.settings.as_json()


async def test_the_essentials_are_shown_and_changed(bot: BotKit):
    tg = bot.telegram
    bot.kit.scripts["Post it"] = Script([ToolCall(tool="http.post", args={"what": "x"}, call_id="1")])
    async with bot.running():
        tg.say("/policy")
        shown = await tg.message("This workspace's policy")
        assert "Asks you from E3 (changes something outside Pilot)" in shown["text"]
        assert (
            "Budgets in US dollars: per task 100, per operator per day 200, per day 500, emergency stop 1500"
            in shown["text"]
        )
        number = shown["message_id"]
        tg.tap(shown, "E2")
        shown = await tg.message("Asks you from E2")
        assert shown["message_id"] == number
        assert [b["text"] for b in shown["reply_markup"]["inline_keyboard"][0]] == ["E1", "✓ E2", "E3"]
        tg.tap(shown, "Blocked tools")
        tools = await tg.message("tap to block it")
        tg.tap(tools, "▶ http.post")
        tools = await tg.until(lambda: next((m for m in tg.in_chat() if "⛔ http.post" in str(m)), None))
        # the same tap delivered late, after the list has changed, does not turn it round
        tg.tap(
            {**tools, "reply_markup": {"inline_keyboard": [[{"text": "x", "callback_data": "p:block:http.post"}]]}}, "x"
        )
        await tg.until(lambda: len(tg.answers) >= 4)
        assert (await stored(bot))["policyConfig"]["toolBlocklist"] == ["http.post"]
        tg.tap(tools, "Back to the policy")
        await tg.message("Blocked: http.post")
        # it holds for what runs next
        tg.say("Post it")
        await tg.message("all done")
        assert bot.deed.done == []
        for words in ("block email.*", "unblock http.post", "ask e1", "day 420,5", "month 40", "task 7.50"):
            tg.say(f"/policy {words}")
        shown = await tg.message("task 7.5, per operator per day 200, per day 420.5, emergency stop 1500, month 40")
        assert "Blocked: email.*" in shown["text"]
        tg.say("/policy month off")
        await tg.until(lambda: tg.in_chat()[-1]["text"].count("emergency stop 1500\n"))
        tg.tap(shown, "Stop everything")
        asked = await tg.message("No tool may run until /unkill. Running work stops")
        tg.tap(asked, "Stop everything")
        await tg.message("Stopped by Ada")
    now = await stored(bot)
    assert now["policyConfig"]["toolBlocklist"] == ["email.*"]
    assert (now["policyConfig"]["approvalFrom"], now["policyConfig"]["killSwitch"]) == ("E1", True)
    budget = now["budgetConfig"]
    assert (budget["perTaskMax"], budget["dailyTotalMax"], budget["monthlyLlmBudget"]) == (7.5, 420.5, None)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("ask E9", "approvalFrom"),
        ("day -5", "dailyTotalMax"),
        ("day much", "To change it"),
        ("task 900", "perTaskMax"),
        ("block no~such~name", "toolBlocklist"),
        ("unblock http.post", "does not hold http.post"),
        ("dance", "To change it"),
    ],
)
async def test_what_cannot_be_is_said_and_nothing_changes(bot: BotKit, words: str, answer: str):
    before = await stored(bot)
    async with bot.running():
        bot.telegram.say(f"/policy {words}")
        await bot.telegram.message(answer)
    assert await stored(bot) == before


async def test_the_examples_it_gives_work_as_they_stand(bot: BotKit):
    """`/policy day 50` was the example, and is less than what one task may cost in a new workspace."""
    tg = bot.telegram
    usage = locales.load().of("en")("policy-usage")
    async with bot.running():
        for example in re.findall(r"/policy \w+ [\w.]+", usage):
            tg.say(example)
        await tg.message("per day 400, emergency stop 1500")
        assert not any("didn't work" in str(m) for m in tg.in_chat())


async def test_a_member_sees_it_without_buttons_and_changes_nothing(bot: BotKit):
    tg = bot.telegram
    before = await stored(bot)
    await bot.person(Role.MEMBER, telegram_id=8)
    async with bot.running():
        tg.say("/policy", by=8)
        shown = await tg.message("This workspace's policy", chat=8)
        assert "reply_markup" not in shown
        tg.say("/policy ask E1", by=8)
        await tg.message("Only an owner can", chat=8)
        for data in ("p:from:E1", "p:block:note.create", "p:kill", "p:tools"):
            tg.tap({**shown, "reply_markup": {"inline_keyboard": [[{"text": "x", "callback_data": data}]]}}, "x", by=8)
        await tg.until(lambda: len(tg.answers) == 4)
    assert all("Only an owner can" in answer["text"] for answer in tg.answers)
    assert await stored(bot) == before
