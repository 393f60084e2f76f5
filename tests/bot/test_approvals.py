"""Approvals in chat: who came second, who may not, words instead of taps, four eyes, grants, undo."""

import asyncio
from dataclasses import replace

import pytest
import sqlalchemy as sa

from bot.buttons import ApprovalTap, ApprovalVerb
from domain.identity.actor import Channel, Role
from domain.ports import ToolCall
from services.approvals.external import ApprovalGateway
from services.lifecycle.requests import Question
from storage import tables
from storage.workspaces.vault import Vault
from tests.bot.kit import BotKit
from tests.bot.people import ADA
from tests.kit import Script, breaks_after_sending

BOB = 8


def call(what: str = "x", **more: str) -> ToolCall:
    return ToolCall(tool="http.post", args={"what": what, **more}, call_id="c1")


async def card_of(bot: BotKit, text: str, *calls: ToolCall, chat: int = 7):
    bot.kit.scripts[text] = Script(calls or [call()])
    bot.telegram.say(text)
    return await bot.telegram.message("Approval needed", chat=chat)


async def test_the_second_tap_hears_the_true_outcome(bot: BotKit):
    tg = bot.telegram
    async with bot.running():
        card = await card_of(bot, "Do it")
        tg.tap(card, "Deny")
        tg.tap(card, "Approve")
        await tg.until(lambda: len(tg.answers) == 2)
        assert tg.answers[0]["text"] == "Denied."
        assert tg.answers[1]["text"].startswith("Already denied by Ada in chat at 20")
        assert tg.answers[1]["alert"] is True
        decided = await tg.message("Denied by Ada")
        assert decided["message_id"] == card["message_id"]
    assert bot.deed.done == []


async def test_every_copy_of_the_card_is_edited(bot: BotKit):
    tg = bot.telegram
    await bot.person(Role.OWNER, telegram_id=BOB)
    async with bot.running():
        card = await card_of(bot, "Do it")
        other = await tg.message("Approval needed", chat=BOB)
        tg.tap(other, "Approve", by=BOB)
        mine = await tg.message("Approved by P owner")
        theirs = await tg.message("Approved by P owner", chat=BOB)
        assert (mine["message_id"], theirs["message_id"]) == (card["message_id"], other["message_id"])
        tg.tap(card, "Approve")
        await tg.until(lambda: len(tg.answers) == 2)
        assert "Already approved by P owner in chat" in tg.answers[1]["text"]
        await tg.message("all done")
    assert len(bot.deed.done) == 1


async def test_a_member_without_the_right_is_told_and_decides_nothing(bot: BotKit):
    tg = bot.telegram
    await bot.person(Role.MEMBER, telegram_id=BOB)
    async with bot.running():
        card = await card_of(bot, "Do it")
        tg.tap(card, "Approve", by=BOB)
        tg.tap(card, "Approve", by=999)
        await tg.until(lambda: len(tg.answers) == 2)
        texts = sorted(a["text"] for a in tg.answers)
        assert texts == [
            "I don't know you yet. Send me /start in a private chat first.",
            "Only an owner can decide approvals.",
        ]
        assert (await bot.kit.approvals.list(bot.kit.owner))[0].status == "pending"
    assert not tg.in_chat(BOB)


async def test_a_reply_to_the_card_asks_for_changes_whatever_it_says(bot: BotKit):
    tg = bot.telegram
    async with bot.running():
        card = await card_of(bot, "Do it")
        tg.say("approve it", reply_to=card["message_id"])
        await tg.message("Nothing was approved")
        decided = await tg.message("Changes requested by Ada")
        assert "Note: approve it" in decided["text"]
        await tg.message("all done")
    assert bot.deed.done == []
    assert len(await bot.kit.tasks.list(bot.kit.owner)) == 1


async def test_deny_with_reason_in_a_plain_text_and_once_only(bot: BotKit):
    tg = bot.telegram
    async with bot.running():
        card = await card_of(bot, "Do it")
        tg.tap(card, "Deny with reason")
        await tg.message("Why not?")
        assert (await bot.kit.approvals.list(bot.kit.owner))[0].status == "pending"
        tg.say("too expensive")
        await tg.message("Denied with your reason")
        assert "Note: too expensive" in (await tg.message("Denied by Ada"))["text"]
        bot.kit.scripts["next thing"] = Script([])
        tg.say("next thing")
        await tg.message("Completed: next thing")
    assert len(await bot.kit.tasks.list(bot.kit.owner)) == 2


async def test_cancel_leaves_the_question_open(bot: BotKit):
    tg = bot.telegram
    async with bot.running():
        card = await card_of(bot, "Do it")
        tg.tap(card, "Ask for changes")
        prompt = await tg.message("What should change?")
        tg.say("/cancel")
        await tg.message("still open")
        tg.say("a smaller one", reply_to=prompt["message_id"])
        await tg.message("Changes requested by Ada")


async def test_a_quorum_shows_its_progress_on_the_card(bot: BotKit):
    tg = bot.telegram
    await bot.person(Role.OWNER, telegram_id=BOB)
    await bot.person(Role.OWNER, telegram_id=9)
    await bot.kit.set_policy(approvalQuorum=2)
    async with bot.running():
        card = await card_of(bot, "Do it")
        assert "Approvals: 0 of 2" in card["text"]
        tg.tap(card, "Approve")
        tg.tap(card, "Approve", by=BOB)
        await tg.message("Approvals: 1 of 2: P owner")
        tg.tap(card, "Approve", by=9)
        await tg.message("Approved by P owner")
        await tg.message("all done")
        assert tg.answers[0]["text"] == "The person who asked for this can't approve it."


async def test_a_grant_from_the_card_lets_the_next_call_through_and_is_revoked(bot: BotKit):
    tg = bot.telegram
    async with bot.running():
        card = await card_of(bot, "Do it", call("one"), call("two"))
        tg.tap(card, "Allow for 1 h")
        await tg.message("all done")
        assert len(bot.deed.done) == 2
        tg.say("/grants")
        listed = await tg.message("Temporary permissions")
        assert "http.post: used once" in listed["text"]
        tg.tap(listed, "Revoke 1")
        edited = await tg.message("No temporary permissions.")
        assert edited["message_id"] == listed["message_id"]
    assert await bot.kit.approvals.grants.list(bot.kit.owner) == []


async def test_an_interrupted_call_is_settled_from_chat(bot: BotKit):
    tg = bot.telegram

    async def broken(times: int):
        if times == 1:
            raise breaks_after_sending()

    bot.deed.behave = broken
    async with bot.running():
        card = await card_of(bot, "Do it")
        tg.tap(card, "Approve")
        question = await tg.message("Interrupted: http.post")
        tg.tap(question, "Retry")
        tg.tap(question, "Skip")
        await tg.message("all done")
        settled = await tg.message("Resolved: Trying again.")
        assert settled["message_id"] == question["message_id"]
        assert "reply_markup" not in settled
        await tg.until(lambda: len(tg.answers) == 3)
        assert tg.answers[-1]["text"] == "This was already resolved."
    assert len(bot.deed.done) == 2


async def test_a_card_decided_before_it_is_sent_has_no_live_buttons(bot: BotKit):
    tg = bot.telegram
    bot.kit.scripts["Do it"] = Script([call()])
    async with bot.running():
        tg.fault("error", code=500, description="Internal Server Error", count=3)
        tg.say("Do it")
        approval = await tg.until_async(lambda: bot.kit.approvals.list(bot.kit.owner, status="pending"))
        from domain.approvals.approval import ApprovalStatus, Via
        from services.approvals.service import ApprovalDecision

        await bot.kit.approvals.resolve(
            bot.kit.owner, approval[0].id, ApprovalDecision(status=ApprovalStatus.REJECTED, via=Via.API)
        )
        card = await tg.message("Denied by Ada, through the API")
        assert not any(
            "callback_data" in b for row in card.get("reply_markup", {}).get("inline_keyboard", []) for b in row
        )
        await asyncio.sleep(0.3)
        assert sum("http.post" in m["text"] and "Digest" in m["text"] for m in tg.in_chat()) == 1


async def test_a_button_of_another_version_decides_nothing(bot: BotKit):
    tg = bot.telegram
    async with bot.running():
        card = await card_of(bot, "Do it")
        approval = (await bot.kit.approvals.list(bot.kit.owner))[0]
        await bot.kit.approvals.edit(bot.kit.owner, approval.id, args={"what": "other"}, version=1)
        edited = await tg.message("what: other")
        assert edited["message_id"] == card["message_id"]
        assert "This request was edited" in edited["text"]
        tg.tap(card, "Approve")
        await tg.until(lambda: len(tg.answers) == 1)
        assert tg.answers[0]["text"] == "This request has changed since you saw it. Read it again before you decide."
        tg.tap(edited, "Approve")
        await tg.message("all done")
    assert len(bot.deed.done) == 1


async def test_a_stranger_in_the_group_decides_nothing(bot: BotKit):
    """18: whoever sat in a group where a member had said /start could approve."""
    tg = bot.telegram
    bot.kit.scripts["post the news"] = Script([call()])
    async with bot.running():
        tg.say("/start", by=BOB, name="Bob")
        await tg.message("/help", chat=BOB)
        group = tg.group(ADA, BOB)
        tg.say("@pilot_bot post the news", chat=group)
        card = await tg.message("Approval needed")
        # the buttons as they would look to anybody in the group, had the card been forwarded there
        seen = {**card, "chat": {"id": group, "type": "supergroup", "title": "G"}}
        for stranger in (BOB, 999):
            tg.tap(seen, "Approve", by=stranger)
        await tg.until(lambda: len(tg.answers) == 2)
        assert not any("Approved" in answer["text"] for answer in tg.answers)
        [approval] = await bot.kit.approvals.list(bot.kit.owner)
        assert (approval.status, bot.deed.done) == ("pending", [])


async def test_buttons_live_on_after_a_restart(bot: BotKit):
    """44: what the bot knew of a chat was lost with the process, and its buttons were dead."""
    tg = bot.telegram
    async with bot.running():
        card = await card_of(bot, "Do it")
    async with bot.running():
        tg.tap(card, "Approve")
        await tg.message("Approved by Ada")
        await tg.message("all done")
    assert len(bot.deed.done) == 1


async def test_a_critical_call_is_approved_in_the_app_only(bot: BotKit):
    tg = bot.telegram
    await bot.kit.set_policy(toolEffects={"http.post": "E4"})
    async with bot.running():
        card = await card_of(bot, "Do it")
        labels = [b["text"] for row in card["reply_markup"]["inline_keyboard"] for b in row]
        assert "Approve" not in labels
        assert "Allow for 1 h (this task)" not in labels
        assert "within five minutes of opening the app" in card["text"]
        approval = (await bot.kit.approvals.list(bot.kit.owner))[0]
        tg.press(card, ApprovalTap.of(approval, ApprovalVerb.APPROVE).pack())
        await tg.until(lambda: len(tg.answers) == 1)
        assert tg.answers[0]["text"].startswith("This is critical: open the app")
        assert (await bot.kit.approvals.list(bot.kit.owner))[0].status == "pending"
        tg.tap(card, "Deny")
        await tg.message("Denied by Ada")
    assert bot.deed.done == []


async def test_a_card_says_which_outside_agent_asks(bot: BotKit):
    tg, kit = bot.telegram, bot.kit
    key, _, _ = await bot.api_keys.create(
        kit.owner, name="Release bot", role=None, scopes=["approvals:request"], days=1
    )
    asker = replace(kit.owner, api_key_id=key.id, scopes=frozenset({"approvals:request"}), channel=Channel.API_KEY)
    gateway = ApprovalGateway(
        kit.store, kit.lifecycle.requests, kit.policy_service, kit.recorder, Vault("x"), kit.bus, bot.deps.now
    )
    question = Question(action="deploy:production", args={"commit": "abc123"}, reason="tagged and tested")
    async with bot.running():
        asked = await gateway.ask(asker, question)
        card = await tg.message("Approval needed: deploy:production")
        for part in ("Asked by an external agent: Release bot", "commit: abc123", "tagged and tested"):
            assert part in card["text"]
        labels = [b["text"] for row in card["reply_markup"]["inline_keyboard"] for b in row]
        assert not any(label.startswith("Allow for") for label in labels)
        tg.tap(card, "Approve")
        await tg.message("Approved by Ada")
        answer = await gateway.answer(asker, asked.id, wait=60)
        assert (answer.status, answer.resolved_via) == ("approved", "chat")


async def test_two_of_several_with_their_names_and_too_few_when_one_leaves(bot: BotKit):
    tg, kit = bot.telegram, bot.kit
    bob, eve = [await bot.person(Role.PARTNER, telegram_id=n) for n in (BOB, 9)]
    await kit.set_policy(approvalQuorum=2, approverRole="partner")
    async with bot.running():
        kit.scripts["Do it"] = Script([call()])
        tg.say("Do it", by=9)
        mine = await tg.message("Approvals: 0 of 2")
        tg.tap(mine, "Approve")
        theirs = await tg.message("Approvals: 1 of 2: Ada", chat=BOB)
        tg.tap(theirs, "Approve", by=9)
        await tg.until(lambda: len(tg.answers) == 2)
        assert [a["text"] for a in tg.answers] == [
            "Your approval counts: 1 of 2.",
            "The person who asked for this can't approve it.",
        ]
        await bot.members.remove(kit.owner, bob.user_id)
        await tg.message("Not enough people can approve this any more")
        await bot.members.set_role(kit.owner, eve.user_id, Role.MEMBER)
        tg.tap(mine, "Approve", by=BOB)
        await tg.until(lambda: len(tg.answers) == 3)
        assert (await kit.approvals.list(kit.owner))[0].status == "pending"
        tg.tap(mine, "Deny")
        await tg.message("Denied by Ada")
    assert bot.deed.done == []


async def test_a_named_member_gets_the_card_and_decides(bot: BotKit):
    tg = bot.telegram
    member = await bot.person(Role.MEMBER, telegram_id=BOB)
    await bot.kit.set_policy(approvers=[member.user_id])
    async with bot.running():
        card = await card_of(bot, "Do it", chat=BOB)
        assert not any("Approval needed" in text for text in bot.said)
        tg.tap(card, "Approve")
        tg.tap(card, "Deny with reason")
        tg.tap(card, "Approve", by=BOB)
        await tg.message("Approved by P member", chat=BOB)
        await tg.message("all done")
        named = "Other people were named to decide this."
        await tg.until(lambda: len(tg.answers) == 3)
        assert [a["text"] for a in tg.answers] == [named, named, "Approved. The run continues."]
        tg.say("/approvals", by=BOB)
        await tg.message("No approvals are waiting.", chat=BOB)


async def test_a_card_is_answered_in_its_own_workspace_whichever_is_looked_at(bot: BotKit):
    """Somebody in two workspaces heard that there was no such approval."""
    tg, kit = bot.telegram, bot.kit
    bob = await bot.person(Role.OWNER, telegram_id=BOB)
    async with bot.running():
        for text, button in (("One", "Approve"), ("Two", "Deny with reason")):
            await card_of(bot, text)
            card = await tg.message("Approval needed", chat=BOB)
            if text == "One":
                elsewhere = await bot.workspaces.create(bob, "Elsewhere")
                await bot.deps.memberships.switch_workspace(bob, elsewhere.id)
            tg.tap(card, button, by=BOB)
            if text == "Two":
                await tg.message("Why not?", chat=BOB)
                tg.say("not this one", by=BOB)
            await tg.message("Approved by P owner" if text == "One" else "Note: not this one", chat=BOB)
        tg.say("/approvals", by=BOB)
        await tg.message("No approvals are waiting.", chat=BOB)
    statuses = [a.status for a in await kit.approvals.list(kit.owner)]
    assert statuses == ["rejected", "approved"]


async def test_the_input_is_edited_in_words_and_approved_as_a_new_version(bot: BotKit):
    tg = bot.telegram
    async with bot.running():
        card = await card_of(bot, "Do it", call("news", secret="s3cr3t"))
        tg.tap(card, "Edit")
        prompt = await tg.message("What should run instead?")
        assert '"what": "news"' in prompt["text"]
        assert "s3cr3t" not in prompt["text"]
        tg.say("make it shorter")
        await tg.message("That isn't valid JSON. Nothing was changed.")
        tg.say('{"nonsense": 1}')
        await tg.message("That didn't work")
        tg.say('{"what": "short news", "secret": "[hidden]"}')
        await tg.message("Saved as a new version.")
        edited = await tg.message("what: short news")
        assert edited["message_id"] == card["message_id"]
        tg.tap(edited, "Approve")
        await tg.message("all done")
    assert len(await bot.kit.tasks.list(bot.kit.owner)) == 1
    [(_, [step])] = await bot.kit.runs.steps_of_task(bot.kit.owner, (await bot.kit.tasks.list(bot.kit.owner))[0].id)
    assert step.output["did"] == "short news"
    query = sa.select(tables.steps.c.args).where(tables.steps.c.id == step.id)
    kept = await bot.kit.store.read(lambda tx: tx.scalar(query))
    assert kept == {"what": "short news", "secret": "s3cr3t"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("[" * 3900, "nested too deeply"),
        ('{"a":' * 700 + "1" + "}" * 700, "nested too deeply"),
        ('{"what": "a", "what": "b"}', "name what appears twice"),
        ('{"what": {"to": 1, "to": 2}}', "name to appears twice"),
        ('{"what": ' + "1" * 3900 + "}", "number that is too large"),
        ('{"what": 1e999}', "number that is too large"),
        ("[" + "0," * 1900 + "0]", "valid JSON"),
        ('{"what": NaN}', "valid JSON"),
        ('{"what": "a"', "valid JSON"),
    ],
    ids=lambda value: value[:20],
)
async def test_words_that_cannot_be_an_input_change_nothing(bot: BotKit, words: str, said: str):
    tg = bot.telegram
    async with bot.running():
        card = await card_of(bot, "Do it", call("news"))
        tg.tap(card, "Edit")
        await tg.message("What should run instead?")
        tg.say(words)
        answer = await tg.message("Nothing was changed.")
        assert said in answer["text"]
        # they were of no use: the next ones are waited for
        tg.say('{"what": "other"}')
        await tg.message("Saved as a new version.")


async def test_an_approval_is_taken_back_in_chat(bot: BotKit):
    tg = bot.telegram
    await bot.person(Role.OWNER, telegram_id=BOB)
    await bot.kit.set_policy(undoSeconds=300)
    async with bot.running():
        card = await card_of(bot, "Do it")
        tg.tap(card, "Approve")
        approved = await tg.message("Approved by Ada")
        theirs = await tg.message("Approved by Ada", chat=BOB)
        tg.tap(theirs, "Undo", by=BOB)
        await tg.message("Denied by P owner, in chat")
        tg.tap(approved, "Undo")
        tg.tap(card, "Approve")
        await tg.until(lambda: len(tg.answers) == 4)
        assert [a["text"] for a in tg.answers[1:3]] == [
            "Undone. The call won't be made.",
            "It's too late to undo this.",
        ]
        assert tg.answers[3]["text"].startswith("Already denied by P owner in chat at 20")
        await tg.message("all done")
    assert bot.deed.done == []


async def test_what_reaches_little_is_answered_in_one_message(bot: BotKit):
    tg, kit = bot.telegram, bot.kit
    await kit.set_policy(requireApprovalFor=["note.create"])
    async with bot.running():
        await card_of(bot, "Big")
        for text in ("One", "Two", "Three"):
            kit.scripts[text] = Script([ToolCall(tool="note.create", args={"title": f"note {text}"}, call_id="1")])
            tg.say(text)
            await tg.message(f"title: note {text}")
        cards = {m["text"].split("note ")[-1].split("\n")[0]: m for m in tg.in_chat() if "title: note" in m["text"]}
        tg.say("/approvals")
        listed = await tg.message("3 low-risk requests")
        assert [text in listed["text"] for text in ("note One", "note Two", "note Three", "http.post")] == [
            True, True, True, False,
        ]  # fmt: skip
        await tg.message("Approval needed: http.post")
        tg.tap(listed, "✅ 2")
        tg.tap(listed, "❌ 2")
        tg.tap(listed, "❌ 3")
        tg.tap(cards["One"], "Approve")
        await tg.until(lambda: len(tg.answers) == 4)
        assert tg.answers[1]["text"].startswith("Already approved by Ada in chat")
        done = await tg.until(lambda: (m := tg.at(ADA, listed["message_id"])) and "reply_markup" not in m and m)
        assert done["text"].count("✅ Approved by Ada") == 2
        assert done["text"].count("Denied by Ada") == 1
        for text in ("One", "Two"):
            await tg.message(f"Completed: {text}")
    statuses = {a.action_input.get("title"): a.status for a in await kit.approvals.list(kit.owner)}
    assert statuses == {"note One": "approved", "note Two": "approved", "note Three": "rejected", None: "pending"}
