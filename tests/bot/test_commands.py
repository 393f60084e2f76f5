"""Commands in chat: what they answer, and that they do what they say."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest

import locales
from bot.commands import COMMANDS, PRIVATE_ONLY, menu
from bot.deps import EXAMPLE
from bot.dispatcher import ROUTERS
from bot.workspace import _until
from domain.identity.actor import Role
from domain.ports import PlanAnswer, PlanRequest, ToolCall, Usage
from domain.runs.schedules import Schedule
from services.runs.tasks import NewTask
from storage.outbox import outbox_rows
from storage.policy import settings_rows
from storage.runs import task_rows as stored_tasks
from tests.bot.kit import BotKit
from tests.bot.people import ADA
from tests.kit import Script


def test_every_command_has_a_handler_and_every_handler_a_command():
    handled: set[str] = set()
    for router in ROUTERS:
        for handler in router.message.handlers:
            for condition in handler.filters or ():
                handled |= {str(c) for c in getattr(condition.callback, "commands", ())}
    assert handled == {c.name for c in COMMANDS}


async def test_start_makes_a_person_a_workspace_and_an_example_that_runs(bot: BotKit):
    tg = bot.telegram
    bot.kit.scripts[EXAMPLE] = Script([ToolCall(tool="note.create", args={"title": "n"}, call_id="1")])
    async with bot.running():
        tg.say("write me a poem", by=50)
        await tg.message("I don't know you yet", chat=50)
        tg.say("/start", by=50, name="<b>Zoë & Co</b> _x_ *y*")
        hello = await tg.message("Hi <b>Zoë & Co</b> _x_ *y*", chat=50)
        assert hello["entities"][0]["type"] == "bold"
        assert hello["reply_markup"]["inline_keyboard"][0][0]["web_app"]["url"].endswith("/app/")
        tg.tap(hello, "Try an example", by=50)
        await tg.message("all done", chat=50)
        tg.say("/status", by=50)
        status = await tg.message("Tasks: completed 1", chat=50)
        assert "<b>Zoë & Co</b> _x_ *y*" in status["text"]


async def test_help_and_the_menu_list_every_command(bot: BotKit):
    tg = bot.telegram
    async with bot.running():
        tg.say("/help")
        shown = await tg.message("What I can do")
        group = tg.group(ADA)
        tg.say("/help", chat=group)
        in_group = await tg.message("What I can do", chat=group)
        await tg.until(lambda: sum(m == "setMyCommands" for m, _ in tg.calls) == 3 * len(locales.languages()))
        await tg.until(lambda: any(m == "setChatMenuButton" for m, _ in tg.calls))
    assert set(re.findall(r"^/(\w+)", shown["text"], re.MULTILINE)) == {c.name for c in COMMANDS}
    assert not set(re.findall(r"^/(\w+)", in_group["text"], re.MULTILINE)) & PRIVATE_ONLY
    assert [c.command for c in menu(locales.load().of("ru"), groups=False)] == [c.name for c in COMMANDS]


async def test_a_task_can_be_listed_shown_run_again_and_cancelled(bot: BotKit):
    tg = bot.telegram
    bot.kit.scripts["Wait for it"] = Script([ToolCall(tool="wait.until", args={"seconds": 600}, call_id="1")])
    async with bot.running():
        tg.say("/task Wait for it")
        await tg.message("Waiting: Wait for it")
        [task] = await bot.kit.tasks.list(bot.kit.owner)
        tg.say("/tasks")
        assert task.id[-6:] in (await tg.message("Latest tasks"))["text"]
        tg.say(f"/run {task.id[-6:]}")
        await tg.message("already running")
        tg.say(f"/cancel {task.id[-6:]}")
        await tg.message("Cancelled: Wait for it")
        tg.say(f"/task_{task.id[-6:]}")
        shown = await tg.message("Status: cancelled")
        tg.tap(shown, "Run again")
        await tg.until_async(lambda: _runs(bot, task.id, 2))
        tg.say("/cancel abcdef")
        await tg.message("Not found in this workspace")
        tg.say("/task")
        await tg.message("Put the task after the command")
        tg.say("x" * 20_001)
        await tg.message("yours has 20,001")
    assert len(await bot.kit.tasks.list(bot.kit.owner)) == 1


async def _runs(bot: BotKit, task_id: str, count: int) -> bool:
    return len(await bot.kit.runs.of_task(bot.kit.owner, task_id)) == count


async def test_mode_kill_switch_language_and_away_are_really_set(bot: BotKit):
    tg = bot.telegram
    workspace = bot.kit.owner.in_workspace
    async with bot.running():
        tg.say("/mode")
        tg.tap(await tg.message("in Build mode"), "Launch")
        await tg.message("in Launch mode")
        tg.say("/kill")
        tg.tap(await tg.message("Stop everything?"), "Stop everything")
        await tg.message("Stopped by Ada")
        stored = await bot.kit.store.read(lambda tx: settings_rows.get(tx, workspace))
        assert (stored.mode, stored.policy["killSwitch"]) == ("launch", True)
        tg.say("/status")
        await tg.message("kill switch is ON")
        tg.say("/unkill")
        tg.tap(await tg.message("Let tools run again under the policy?"), "Resume work")
        await tg.message("resumed work")
        tg.say("/away 2h")
        await tg.message("Silent, except for critical requests")
        tg.say("/away maybe")
        await tg.message("Say for how long")
        tg.say("/language")
        tg.tap(await tg.message("Language: English"), "Русский")
        await tg.message("Язык: Русский")
        bot.kit.scripts["Сделай"] = Script([ToolCall(tool="http.post", args={"what": "x"}, call_id="1")])
        tg.say("Сделай")
        card = await tg.message("Нужно решение: http.post")
        assert tg.sent_with(card)["disable_notification"] == "true"
        tg.say("/start")
        await tg.message("С возвращением")
    stored = await bot.kit.store.read(lambda tx: settings_rows.get(tx, workspace))
    assert stored.policy["killSwitch"] is False


async def test_usage_says_what_models_took(bot: BotKit):
    tg = bot.telegram
    spent = Usage(model="m", tokens_in=1000, tokens_out=200, cost_micros=12_300, calls=1)
    bot.kit.scripts["Think"] = Script([PlanAnswer(finished="thought", usage=spent)])
    await bot.person(Role.MEMBER, telegram_id=8)
    async with bot.running():
        tg.say("Think")
        await tg.message("thought")
        tg.say("/usage")
        shown = (await tg.message("AI models"))["text"]
        assert [line.count("$0.0123") for line in shown.splitlines()] == [0, 1, 1, 1]
        assert "1 calls, 1,200 tokens" in shown.replace("\u2068", "").replace("\u2069", "")
        tg.say("/usage", by=8)
        await tg.message("Only a partner or an owner can see what AI models cost.", chat=8)


async def test_a_run_that_makes_up_for_a_missed_time_says_so(bot: BotKit):
    tg = bot.telegram
    schedule = Schedule.from_json({"cron": "0 9 * * *"})
    task = await bot.kit.tasks.create(bot.kit.owner, NewTask(title="Daily", schedule=schedule))
    bot.kit.scripts[task.id] = Script([])
    missed = datetime.now(UTC) - timedelta(days=2)
    await bot.kit.store.write(lambda tx: stored_tasks.change(tx, task.workspace_id, task.id, next_run_at=missed))
    async with bot.running():
        assert await bot.kit.tasks.sweep_scheduled() == 1
        await tg.message("Pilot was not running when this was due")


async def test_the_progress_message_says_that_the_model_thinks(bot: BotKit):
    tg = bot.telegram
    go_on = asyncio.Event()

    class Slow(Script):
        async def next(self, request: PlanRequest) -> PlanAnswer:
            assert request.heard is not None
            request.heard("I weigh <both> sides")
            await go_on.wait()
            return await super().next(request)

    bot.kit.scripts["Think"] = Slow([PlanAnswer(finished="thought")], expected=1000)
    async with bot.running():
        tg.say("Think")
        await tg.message("The model is thinking")
        await tg.message("I weigh <both> sides")
        go_on.set()
        await tg.message("thought")
        await tg.until(lambda: not any("is thinking" in m["text"] or "I weigh" in m["text"] for m in tg.in_chat()))


async def test_a_member_may_look_but_not_throw_the_switch(bot: BotKit):
    tg = bot.telegram
    await bot.person(Role.MEMBER, telegram_id=8)
    async with bot.running():
        for command in ("/kill", "/approvals", "/task do it", "/grants"):
            tg.say(command, by=8)
        await tg.message("Only an owner can use the kill switch.", chat=8)
        await tg.message("No approvals are waiting.", chat=8)
        await tg.message("Only a partner or an owner can create tasks.", chat=8)
        await tg.message("Only a partner or an owner can see temporary permissions.", chat=8)
        tg.say("/status", by=8)
        await tg.message("Kill switch: off", chat=8)


async def test_receipts_are_looked_up_and_the_log_is_checked(bot: BotKit):
    tg = bot.telegram
    bot.kit.scripts["Do it"] = Script([])
    async with bot.running():
        tg.say("Do it")
        result = await tg.message("all done")
        digest = re.search(r"Receipt ([0-9a-f]{12})", result["text"])
        assert digest is not None
        tg.say(f"/receipt {digest[1]}")
        shown = await tg.message("the signature is right and the receipt is in the log")
        assert "Run finished" in shown["text"]
        tg.say("/verify")
        await tg.message("The log is valid")

        def damage(tx):
            tx.connection.exec_driver_sql(
                "UPDATE receipts SET leaf = replace(leaf, 'run:finished', 'run:finishef') WHERE action = 'run:finished'"
            )

        await bot.kit.store.write(damage)
        tg.say(f"/receipt {digest[1]}")
        await tg.message("This receipt is NOT valid")
        tg.say("/verify")
        await tg.message("The log is NOT valid")


async def test_in_groups_only_commands_and_mentions_are_heard(bot: BotKit):
    tg = bot.telegram
    bot.kit.scripts["post the news"] = Script([ToolCall(tool="http.post", args={"what": "x"}, call_id="1")])
    group = tg.group(ADA)
    async with bot.running():
        tg.say("just talking", chat=group)
        tg.say("/kill", chat=group)
        await tg.message("in a private chat with me", chat=group)
        tg.say("@pilot_bot post the news", chat=group)
        await tg.message("Waiting for approval: post the news", chat=group)
        card = await tg.message("Approval needed")
        tg.tap(card, "Approve")
        await tg.message("all done", chat=group)
    assert not any("Approval needed" in m["text"] for m in tg.in_chat(group))
    assert len(await bot.kit.tasks.list(bot.kit.owner)) == 1


async def test_very_long_texts_fit_their_messages(bot: BotKit):
    tg = bot.telegram
    title = "😀" * 3000
    bot.kit.scripts[title] = Script(
        [ToolCall(tool="http.post", args={"what": "漢😀" * 5000, "secret": "x"}, call_id="1")]
    )
    async with bot.running():
        tg.say(title)
        card = await tg.message("Approval needed")
        assert "the rest is shown in the app" in card["text"]
        tg.tap(card, "Ask for changes")
        await tg.message("What should change?")
        tg.say("n😀" * 2000)
        await tg.message("Changes requested by Ada")
        await tg.message("all done")
        await tg.until_async(lambda: _all_sent(bot))


async def _all_sent(bot: BotKit) -> bool:
    return await bot.kit.store.read(outbox_rows.depth) == {}


@pytest.mark.parametrize(
    "data", ["a:junk", "u:x", "t:1", "g:", "m:fly", "l:xx", "w:1", "k:maybe", "p:from:E9", "p:block:", "p:", "zzz"]
)
async def test_junk_buttons_are_answered_and_do_nothing(bot: BotKit, data: str):
    tg = bot.telegram
    async with bot.running():
        tg.say("/mode")
        shown = await tg.message("in Build mode")
        shown["reply_markup"]["inline_keyboard"][0][0]["callback_data"] = data
        tg.tap(shown, shown["reply_markup"]["inline_keyboard"][0][0]["text"])
        await tg.until(lambda: tg.answers)
    assert tg.answers[0]["text"] == "This button no longer works."


async def test_an_invite_link_joins_once(bot: BotKit):
    """The deep link `t.me/<bot>?start=inv_...`."""
    tg = bot.telegram
    _, token, _ = await bot.invites.create(bot.kit.owner, role=Role.PARTNER, email=None)
    async with bot.running():
        tg.say(f"/start inv_{token}", by=8, name="Bob")
        await tg.message("You've joined the workspace", chat=8)
        tg.say(f"/start inv_{token}", by=9, name="Eve")
        await tg.message("This invite doesn't work", chat=9)
        tg.say("/start inv_nothing", by=9, name="Eve")
        await tg.until(lambda: sum("This invite doesn't work" in m["text"] for m in tg.in_chat(9)) == 2)
    bob = await bot.deps.memberships.of_telegram(8)
    assert bob is not None
    place = bot.kit.owner.in_workspace
    assert place in {one for one, _ in await bot.deps.memberships.workspaces(bob)}
    eve = await bot.deps.memberships.of_telegram(9)
    assert eve is not None
    assert place not in {one for one, _ in await bot.deps.memberships.workspaces(eve)}


async def test_somebody_stands_in_for_who_is_away(bot: BotKit):
    tg, kit = bot.telegram, bot.kit
    await bot.person(Role.PARTNER, telegram_id=8)
    await kit.set_policy(approverRole="partner")
    async with bot.running():
        tg.say("/start", by=8, name="Bob", username="bob")
        await tg.message("/help", chat=8)
        tg.say("/away until fri deputy @nobody")
        await tg.message("Nobody in this workspace has that name")
        tg.say("/away until fri deputy @Bob")
        said = await tg.message("is covering for you")
        assert "Bob is covering for you and gets your open approvals." in said["text"]
        kit.scripts["Do it"] = Script([ToolCall(tool="http.post", args={"what": "x"}, call_id="1")])
        tg.say("Do it")
        card = await tg.message("You're covering for Ada, who is away.", chat=8)
        mine = await tg.message("Approval needed")
        assert "You're covering" not in mine["text"]
        assert [tg.sent_with(m).get("disable_notification") for m in (mine, card)] == ["true", None]
        tg.say("/away off")
        await tg.message("Messages arrive with sound again.")


def test_until_when():
    now = datetime(2026, 11, 25, 15, 30, tzinfo=UTC)
    for text, until in {
        "2h": now + timedelta(hours=2),
        "thu": datetime(2026, 11, 26, tzinfo=UTC),
        "friday": datetime(2026, 11, 27, tzinfo=UTC),
        # the day it is today means the next one
        "wed": datetime(2026, 12, 2, tzinfo=UTC),
        "2026-12-01": datetime(2026, 12, 1, tzinfo=UTC),
        "2026-12-01t09:00+02:00": datetime(2026, 12, 1, 7, tzinfo=UTC),
        "friendly": None,
        "2026-11-01": None,
        "2027-12-01": None,
        "999w": None,
        "": None,
    }.items():
        assert _until(text, now) == until, text
