"""A message that Telegram refuses is not lost without a word, and each refusal has its own ending."""

from typing import Any

import pytest

from bot.refusals import Refusal, refusal_of, simpler
from bot.text import LIMIT, units
from domain.clock import utc_now
from domain.identity.actor import Role
from domain.outbox.notifications import TextNotice
from domain.ports import ToolCall
from simulator.groups import add_group, upgrade
from simulator.members import leave
from simulator.messages import delete
from storage import tables
from storage.outbox import outbox_rows
from tests.bot.kit import ADDRESS, BotKit
from tests.bot.people import ADA
from tests.kit import Script

BAD = "Bad Request: something about this message"
TAP = {"text": "Approve", "callback_data": "a:1"}
OPEN = {"text": "Open", "web_app": {"url": "https://x.example"}}
BOLD = [{"type": "bold", "offset": 0, "length": 1}]


def labels(message: dict[str, Any]) -> list[str]:
    rows = (message.get("reply_markup") or {}).get("inline_keyboard", [])
    return [button["text"] for row in rows for button in row]


def asks(bot: BotKit, text: str) -> None:
    bot.kit.scripts[text] = Script([ToolCall(tool="http.post", args={"what": "x"}, call_id="1")])


async def rows(bot: BotKit, state: str) -> list[dict[str, Any]]:
    query = tables.outbox.select().where(tables.outbox.c.state == state)
    return [row._asdict() for row in await bot.kit.store.read(lambda tx: tx.all(query))]


# --- the forms ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "forms"),
    [
        (
            {"text": "x", "entities": BOLD, "keyboard": [[TAP, OPEN]]},
            [
                {"text": "x", "keyboard": [[TAP, OPEN]]},
                {"text": "x\n\nthere", "keyboard": [[TAP]]},
                {"text": "x\n\nthere"},
                {"text": "!"},
            ],
        ),
        ({"text": "x", "entities": [], "keyboard": [[TAP]]}, [{"text": "x\n\nthere"}, {"text": "!"}]),
        ({"text": "x", "keyboard": [[OPEN]]}, [{"text": "x\n\nthere"}, {"text": "!"}]),
        ({"text": "x", "entities": BOLD}, [{"text": "x"}, {"text": "!"}]),
        ({"text": "x"}, [{"text": "!"}]),
        (
            {"text": "x", "entities": BOLD, "force_reply": "?"},
            [{"text": "x", "force_reply": "?"}, {"text": "x"}, {"text": "!"}],
        ),
    ],
)
def test_each_form_has_less_that_can_be_refused(view: dict[str, Any], forms: list[dict[str, Any]]) -> None:
    assert simpler(view, elsewhere="there", instead="!") == forms


def test_what_is_said_of_missing_buttons_has_room() -> None:
    for form in simpler({"text": "😀" * 2048, "keyboard": [[TAP]]}, elsewhere="there", instead="!"):
        assert units(form["text"]) <= LIMIT
        assert form["text"].endswith(("there", "!"))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Bad Request: message is not modified: specified new message content", Refusal.UNCHANGED),
        ("Bad Request: message to be replied not found", Refusal.NOTHING_TO_REPLY_TO),
        ("Bad Request: message to edit not found", Refusal.DELETED),
        ("Bad Request: MESSAGE_ID_INVALID", Refusal.DELETED),
        ("Bad Request: message can't be edited", Refusal.LOCKED),
        ("Bad Request: chat not found", Refusal.CHAT_GONE),
        ("Bad Request: not enough rights to send text messages to the chat", Refusal.CHAT_GONE),
        ("Bad Request: CHAT_WRITE_FORBIDDEN", Refusal.CHAT_GONE),
        ("Bad Request: can't parse entities: unexpected end", Refusal.CONTENT),
        ("Bad Request: BUTTON_TYPE_INVALID", Refusal.CONTENT),
        ("Bad Request: inline keyboard button Web App URL is invalid: Only HTTPS links are allowed", Refusal.CONTENT),
        ("Bad Request: words of tomorrow", Refusal.CONTENT),
    ],
)
def test_telegrams_words_have_their_meaning(said: str, meant: Refusal) -> None:
    assert refusal_of(said) is meant


# --- cards ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "ru", "es", "pt-BR"])
@pytest.mark.parametrize("times", [1, 2, 3, 4])
async def test_a_refused_card_comes_in_a_simpler_form_and_says_where_to_decide(
    bot: BotKit, times: int, language: str
) -> None:
    tg = bot.telegram
    tg.meet(8, "Bob", language)
    approver = await bot.kit.person(Role.OWNER, telegram_id=8)
    await bot.deps.chat.people.set_language(approver, language)
    t = bot.deps.translator.of(language)
    # the one who asks hears nothing, so that every refusal meets the approver's card
    await bot.deps.chat.people.set_chat_open(ADA, is_open=False)
    async with bot.running():
        tg.fault("error", count=times, description=BAD)
        await bot.kit.begin(ToolCall(tool="http.post", args={"what": "x"}, call_id="1"))
        card = await tg.until(lambda: next(iter(tg.in_chat(8)), None))
        [approval] = await bot.kit.approvals.list(bot.kit.owner)
        way = f"{ADDRESS}/app/?in={approval.workspace_id}#/approvals/{approval.id}"
        assert "entities" not in card or all(e["type"] in ("url", "bot_command") for e in card["entities"])
        if times == 1:
            assert way not in card["text"]
            assert t("button-open") in labels(card)
        elif times == 2:
            assert card["text"].endswith(t("card-elsewhere", url=way))
            assert t("button-approve") in labels(card)
            assert t("button-open") not in labels(card)
        elif times == 3:
            assert card["text"].startswith(t("card-title", tool="http.post"))
            assert card["text"].endswith(t("card-elsewhere", url=way))
            assert labels(card) == []
        else:
            assert card["text"] == t("card-instead", url=way)
        # and where it was sent to, it can be decided
        if times < 3:
            tg.tap(card, t("button-approve"), by=8)
            await tg.until(
                lambda: (
                    t("outcome-approved", who="P owner", where=t("via-chat")) in tg.at(8, card["message_id"])["text"]
                )
            )
    assert await rows(bot, "failed") == []


async def test_a_card_that_is_refused_in_every_form_is_kept_and_holds_nobody_up(bot: BotKit, caplog: Any) -> None:
    tg = bot.telegram
    asks(bot, "Do it")
    async with bot.running():
        tg.fault("error", count=5, description=BAD)
        tg.say("Do it")
        await tg.until(lambda: not tg.faults)
        tg.say("/help")
        await tg.message("What I can do")
    assert [r.message for r in caplog.records].count("message_simplified") >= 3


async def test_an_address_that_telegram_does_not_open_costs_the_button_only(bot: BotKit) -> None:
    """Whatever is configured wrong: a button that leads where Telegram does not go."""
    from dataclasses import replace

    tg = bot.telegram
    bot.deps = replace(bot.deps, links=replace(bot.deps.links, app_url="http://pilot.example"))
    asks(bot, "Do it")
    async with bot.running():
        tg.say("Do it")
        card = await tg.message("Approval needed")
        assert "Decide at http://pilot.example/app/" in card["text"]
        tg.tap(card, "Approve")
        await tg.message("all done")


# --- the other refusals ---------------------------------------------------------------------------


async def test_a_card_that_cannot_be_edited_is_answered_below_it(bot: BotKit) -> None:
    tg = bot.telegram
    asks(bot, "Do it")
    async with bot.running():
        tg.say("Do it")
        card = await tg.message("Approval needed")
        tg.fault("error", method="editMessageText", count=50, description="Bad Request: message can't be edited")
        tg.tap(card, "Deny")
        outcome = await tg.message("Denied by Ada")
        assert outcome["message_id"] > card["message_id"]
        assert outcome["reply_to_message"]["message_id"] == card["message_id"]
        await tg.message("all done")
    assert await rows(bot, "failed") == []


async def test_a_deleted_card_is_shown_again_only_while_it_asks(bot: BotKit) -> None:
    tg = bot.telegram
    asks(bot, "Do it")
    async with bot.running():
        tg.say("Do it")
        card = await tg.message("Approval needed")
        delete(tg.sim.telegram, tg.private(ADA), card["message_id"])
        [approval] = await bot.kit.approvals.list(bot.kit.owner)
        await bot.kit.approvals.edit(bot.kit.owner, approval.id, args={"what": "y"}, version=approval.version)
        again = await tg.message("This request was edited")
        assert again["message_id"] > card["message_id"]
        delete(tg.sim.telegram, tg.private(ADA), again["message_id"])
        tg.press(again, again["reply_markup"]["inline_keyboard"][0][1]["callback_data"])
        await tg.message("all done")
        await tg.until_async(lambda: settled(bot))
        assert not any("Denied by" in m["text"] for m in tg.in_chat())
    assert await rows(bot, "failed") == []


async def settled(bot: BotKit) -> bool:
    return await bot.kit.store.read(outbox_rows.depth) == {}


async def test_a_message_without_the_one_it_replies_to_is_sent_alone(bot: BotKit) -> None:
    tg = bot.telegram
    group = tg.group(ADA)
    async with bot.running():
        await tg.message("In groups I answer", chat=group)
        tg.fault("error", description="Bad Request: message to be replied not found")
        tg.say("/help", chat=group)
        shown = await tg.message("What I can do", chat=group)
        assert "reply_to_message" not in shown
        assert "entities" in shown


async def test_a_result_that_a_group_cannot_be_told_goes_to_who_asked(bot: BotKit) -> None:
    tg = bot.telegram
    asks(bot, "do it")
    group = tg.group(ADA)
    async with bot.running():
        tg.say("@pilot_bot do it", chat=group)
        card = await tg.message("Approval needed")
        await tg.until_async(lambda: settled(bot))
        leave(tg.sim.telegram, group, tg.bot.id, kicked=True)
        tg.tap(card, "Approve")
        await tg.message("all done", chat=ADA)


async def test_what_waits_for_a_group_moves_along_with_it(bot: BotKit) -> None:
    tg = bot.telegram
    group = add_group(tg.sim.telegram, "Team", [ADA], basic=True)
    await bot.deps.chat.messages.say(chat_id=group.id, notice=TextNotice(text="one"), dedupe_key=None)
    await bot.deps.chat.messages.say(chat_id=group.id, notice=TextNotice(text="two"), dedupe_key=None)
    new = upgrade(tg.sim.telegram, group.id)
    async with bot.running():
        await tg.message("two", chat=new.id)
        # later ones do not even try the old one
        before = len(tg.calls)
        await bot.deps.chat.messages.say(chat_id=group.id, notice=TextNotice(text="three"), dedupe_key=None)
        await tg.message("three", chat=new.id)
        assert {p["chat_id"] for name, p in tg.calls[before:] if name == "sendMessage"} == {str(new.id)}
    said = [m["text"] for m in tg.in_chat(new.id)]
    assert [text for text in said if text in ("one", "two", "three")] == ["one", "two", "three"]
    assert await rows(bot, "failed") == []


async def test_chats_that_move_to_each_other_are_not_followed_for_ever(bot: BotKit) -> None:
    tg = bot.telegram
    there, back = tg.group(ADA, title="A"), tg.group(ADA, title="B")
    async with bot.running():
        for chat in (there, back):
            await tg.message("In groups I answer", chat=chat)
        for _ in range(10):
            for chat in (back, there):
                tg.fault(
                    "error", description="Bad Request: group chat was upgraded", parameters={"migrate_to_chat_id": chat}
                )
        await bot.deps.chat.messages.say(chat_id=there, notice=TextNotice(text="round"), dedupe_key=None)
        await tg.until_async(lambda: settled_or_failed(bot))
    assert len(await rows(bot, "failed")) == 1


async def settled_or_failed(bot: BotKit) -> bool:
    return set(await bot.kit.store.read(outbox_rows.depth)) <= {"failed"}


async def test_a_message_that_breaks_when_it_is_made_ready_does_not_block_its_chat(bot: BotKit) -> None:
    """It was tried for ever, and all that followed it in the chat waited."""
    tg = bot.telegram
    asks(bot, "Do it")
    # as if what stored it had left out all it has to say
    await bot.kit.store.write(
        lambda tx: outbox_rows.put(
            tx,
            workspace_id=None,
            channel="telegram",
            recipient=str(ADA),
            payload={"kind": "approval.reminder"},
            now=utc_now(),
        )
    )
    await bot.deps.chat.messages.say(chat_id=ADA, notice=TextNotice(text="behind it"), dedupe_key=None)

    def tried_often(tx: Any) -> None:
        tx.execute(tables.outbox.update().values(attempts=7))

    await bot.kit.store.write(tried_often)
    async with bot.running():
        await tg.message("behind it")
        told = await tg.message("Something is waiting for your decision")
        assert f"{ADDRESS}/app/" in told["text"]
    assert len(await rows(bot, "failed")) == 1
