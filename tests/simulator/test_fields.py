"""What real Telegram sends and asks for beyond the ordinary: previews, rich messages, topics, upgrades, addresses."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiogram import Bot
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramServerError,
)
from aiogram.types import (
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MenuButtonWebApp,
    MessageEntity,
    ReplyParameters,
    WebAppInfo,
)

from simulator.errors import ApiError, WrongRequest
from simulator.groups import upgrade
from simulator.links import why_wrong
from simulator.members import join, leave
from simulator.people import deactivate
from simulator.raw import lane_of
from simulator.rich import LEVELS, received_rich, sent_rich
from simulator.simulated import SimulatedTelegram
from simulator.topics import open_topic
from tests.simulator.conftest import ADA, GRACE, TOKEN
from tests.simulator.kit import receiver

NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
SECOND = "7000000002:test-token-two"


class Api:
    """The Bot API without a library: fields are seen as they are on the wire."""

    def __init__(self, sim: SimulatedTelegram, http: aiohttp.ClientSession) -> None:
        self._sim, self._http = sim, http

    async def __call__(self, method: str, **params: Any) -> Any:
        async with self._http.post(f"{self._sim.url}/bot{TOKEN}/{method}", json=params) as answer:
            found = await answer.json()
            assert answer.status == (200 if found["ok"] else found["error_code"])
            return found["result"] if found["ok"] else found


@pytest.fixture
async def api(sim: SimulatedTelegram, started: Bot) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as http:
        yield Api(sim, http)


async def refusal(call: Any) -> str:
    with pytest.raises(TelegramBadRequest) as caught:
        await call
    return caught.value.message


def keys(*buttons: InlineKeyboardButton) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[list(buttons)])


# --- previews of links ----------------------------------------------------------------------------


async def test_a_text_with_a_link_says_that_it_has_no_preview(sim: SimulatedTelegram, api: Api) -> None:
    await sim.send_text(ADA, "no link here")
    linked = await sim.send_text(ADA, "see https://x.example/a")
    plain, first = [update["message"] for update in await api("getUpdates")]
    assert "link_preview_options" not in plain
    assert first["link_preview_options"] == {"is_disabled": True}
    await sim.edit_text(ADA, linked["message_id"], "no link any more")
    assert "link_preview_options" not in (await api("getUpdates"))[-1]["edited_message"]


async def test_previews_switched_off_come_back_everywhere(sim: SimulatedTelegram, api: Api) -> None:
    markup = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}
    off = {"is_disabled": True}
    sent = await api("sendMessage", chat_id=ADA, text="plain", link_preview_options=off, reply_markup=markup)
    assert sent["link_preview_options"] == off
    await sim.press(ADA, "Go")
    await sim.send_text(ADA, "an answer", reply_to=sent["message_id"])
    press, reply = await api("getUpdates")
    assert press["callback_query"]["message"]["link_preview_options"] == off
    assert reply["message"]["reply_to_message"]["link_preview_options"] == off
    edited = await api("editMessageText", chat_id=ADA, message_id=sent["message_id"], text="now a link: x.example")
    assert "link_preview_options" not in edited
    edited = await api("editMessageText", chat_id=ADA, message_id=sent["message_id"], text="https://x.example")
    assert edited["link_preview_options"] == off
    above = {"show_above_text": True, "url": "https://y.example/", "prefer_large_media": False}
    edited = await api(
        "editMessageText", chat_id=ADA, message_id=sent["message_id"], text="more", link_preview_options=above
    )
    assert edited["link_preview_options"] == {"show_above_text": True, "url": "https://y.example/"}
    old = await api("sendMessage", chat_id=ADA, text="old way", disable_web_page_preview=True)
    assert old["link_preview_options"] == off
    for wrong, words in (("x", "link preview options"), ({"is_disabled": 1}, '"is_disabled" must be of type Boolean')):
        assert words in (await api("sendMessage", chat_id=ADA, text="x", link_preview_options=wrong))["description"]


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://x.example/a?b#c", ""),
        ("x.example", ""),
        ("HTTP://X.EXAMPLE:8080", ""),
        ("https://user:secret@x.example", ""),  # pragma: allowlist secret
        ("http://[::1]:80/", ""),
        ("http://127.0.0.1:3100/app/", ""),
        ("https://bücher.example", ""),
        ("tg://user?id=5", ""),
        ("tg:resolve", ""),
        ("mailto:ada@x.example", ""),
        ("", "URL host is empty"),
        ("https://", "URL host is empty"),
        ("https:///path", "URL host is empty"),
        ("https://.", "Host is invalid"),
        ("http://localhost:3100/", "Wrong HTTP URL"),
        ("https://app", "Wrong HTTP URL"),
        ("ftp://x.example", "Unsupported URL protocol"),
        ("javascript:alert(1)", "Wrong port number specified in the URL"),
        ("https://x.example:0", "Wrong port number specified in the URL"),
        ("https://x.example:65536", "Wrong port number specified in the URL"),
        ("https://x.example:" + "9" * 5000, "Wrong port number specified in the URL"),
        ("https://[::zz]/", "Wrong IPv6 address specified in the URL"),
        ("https://x example/", "Disallowed character in URL host"),
        ("https://x%zz.example/", "Wrong percent-encoded symbol in URL host"),
        ("tg://<x>", "Disallowed character in URL host"),
    ],
)
def test_addresses_are_refused_with_telegrams_reasons(url: str, reason: str) -> None:
    assert why_wrong(url) == reason


@pytest.mark.parametrize("url", ["http://127.0.0.1:3100/app/", "http://x.example", "x.example", "tg://resolve"])
async def test_mini_apps_need_https(sim: SimulatedTelegram, started: Bot, url: str) -> None:
    reason = f"URL '{url}' is invalid: Only HTTPS links are allowed"
    markup = keys(InlineKeyboardButton(text="App", web_app=WebAppInfo(url=url)))
    said = await refusal(started.send_message(ADA, "x", reply_markup=markup))
    assert said == f"Bad Request: inline keyboard button Web App {reason}"
    menu = MenuButtonWebApp(text="App", web_app=WebAppInfo(url=url))
    assert await refusal(started.set_chat_menu_button(menu_button=menu)) == f"Bad Request: menu button Web App {reason}"
    assert [m["text"] for m in await sim.messages(ADA)] == ["/start"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:3100/app/", "http://localhost:3100/", "https://localhost/"])
async def test_the_test_environment_opens_http_too(sim: SimulatedTelegram, started: Bot, url: str) -> None:
    sim.telegram.http_apps = True
    markup = keys(InlineKeyboardButton(text="App", web_app=WebAppInfo(url=url)))
    assert (await started.send_message(ADA, "x", reply_markup=markup)).reply_markup is not None
    await started.set_chat_menu_button(menu_button=MenuButtonWebApp(text="App", web_app=WebAppInfo(url=url)))
    assert (await sim.open_app(ADA)).url.startswith(url)
    # a link is a link here too
    said = await refusal(
        started.send_message(ADA, "x", reply_markup=keys(InlineKeyboardButton(text="b", url="http://localhost")))
    )
    assert said == "Bad Request: inline keyboard button URL 'http://localhost' is invalid: Wrong HTTP URL"


@pytest.mark.parametrize(
    ("entity", "words"),
    [
        ({"type": "text_link"}, "can't parse MessageEntity: Can't find field \"url\""),
        ({"type": "text_link", "url": "http://"}, "entity URL 'http://' is invalid: URL host is empty"),
        ({"type": "text_link", "url": 5}, 'can\'t parse MessageEntity: Field "url" must be of type String'),
        ({"type": "glow"}, "can't parse MessageEntity: Unsupported type specified"),
        ({"type": ""}, "can't parse MessageEntity: Type is not specified"),
        ({}, "can't parse MessageEntity: Can't find field \"type\""),
        ({"type": "date_time"}, "can't parse MessageEntity: Can't find field \"unix_time\""),
        ({"type": "date_time", "unix_time": 5, "date_time_format": "q"}, "Invalid date-time format specified"),
        ({"type": "bold", "offset": "0"}, 'can\'t parse MessageEntity: Field "offset" must be a valid Number'),
        ({"type": "bold", "length": None}, 'can\'t parse MessageEntity: Field "length" must be a valid Number'),
    ],
)
async def test_entities_are_of_their_types(api: Api, entity: dict[str, Any], words: str) -> None:
    said = await api("sendMessage", chat_id=ADA, text="some text", entities=[{"offset": 0, "length": 4, **entity}])
    assert words in said["description"]


async def test_what_telegram_finds_itself_may_be_said_and_is_left_out(started: Bot) -> None:
    given = [MessageEntity(type="url", offset=0, length=4), MessageEntity(type="bold", offset=0, length=0)]
    assert (await started.send_message(ADA, "some text", entities=given)).entities is None
    # an address in HTML that is none costs the link alone
    sent = await started.send_message(ADA, '<a href="http://">x</a> <b>y</b>', parse_mode="HTML")
    assert [(e.type, e.offset) for e in sent.entities or []] == [("bold", 2)]


async def test_a_text_of_more_than_32_kilobytes_is_not_read_at_all(started: Bot) -> None:
    text = f"<b>{'x' * 4096}</b>{'&lt;' * 7200}"
    assert await refusal(started.send_message(ADA, text, parse_mode="HTML")) == "Bad Request: text is too long"


# --- rich messages --------------------------------------------------------------------------------


def nested(levels: int) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "paragraph", "text": {"type": "bold", "text": ["deep", " down"]}}
    for _ in range(levels):
        block = {"type": "details", "summary": "more", "blocks": [block]}
    return {"blocks": [block]}


@pytest.mark.parametrize("levels", [1, 5, LEVELS])
async def test_a_rich_message_is_forwarded_as_it_is(sim: SimulatedTelegram, api: Api, levels: int) -> None:
    sent = await sim.forward_rich(ADA, nested(levels))
    [update] = await api("getUpdates")
    assert update["message"]["rich_message"] == nested(levels) == sent["rich_message"]
    assert "text" not in update["message"]
    assert update["message"]["forward_origin"]["type"] == "hidden_user"


async def test_a_bot_sends_edits_and_copies_rich_messages(sim: SimulatedTelegram, api: Api) -> None:
    rich = {
        "blocks": [
            {"type": "heading", "text": "Approval", "size": 1},
            {"type": "list", "items": [{"blocks": [{"type": "paragraph", "text": "one"}], "value": 7}]},
            {"type": "table", "cells": [[{"text": "a"}, {"text": "b", "is_header": True}]]},
            {"type": "buttons", "buttons": [{"text": {"type": "bold", "text": "Go"}, "callback_data": "go"}]},
            {"type": "divider"},
        ]
    }
    sent = await api("sendRichMessage", chat_id=ADA, rich_message=rich)
    blocks = sent["rich_message"]["blocks"]
    assert [block["type"] for block in blocks] == ["heading", "list", "table", "buttons", "divider"]
    assert blocks[1]["items"][0]["label"] == "7."
    assert blocks[2]["cells"][0][0] == {"align": "left", "valign": "top", "text": "a"}
    query = await sim.press(ADA, "Go")
    assert query["data"] == "go"
    edited = await api("editMessageText", chat_id=ADA, message_id=sent["message_id"], rich_message=nested(2))
    assert edited["rich_message"] == nested(2)
    copied = await api("copyMessage", chat_id=ADA, from_chat_id=ADA, message_id=sent["message_id"])
    assert (await sim.messages(ADA))[-1]["message_id"] == copied["message_id"]
    edited = await api("editMessageText", chat_id=ADA, message_id=sent["message_id"], text="plain again")
    assert (edited["text"], "rich_message" in edited) == ("plain again", False)


@pytest.mark.parametrize(
    ("rich", "words"),
    [
        ({}, "rich message must be non-empty"),
        ({"blocks": []}, "rich message must be non-empty"),
        ({"html": "<b>x</b>"}, "the simulator does not read rich html"),
        ({"markdown": "x", "blocks": [{"type": "divider"}]}, "exactly one of html, markdown or blocks"),
        ({"blocks": {"type": "divider"}}, "Array expected"),
        ({"blocks": [{"type": "hologram"}]}, "Unsupported block type"),
        ({"blocks": ["x"]}, "Unsupported block type"),
        ({"blocks": [{"type": "paragraph"}]}, 'Can\'t find field "text"'),
        ({"blocks": [{"type": "paragraph", "text": {"type": "glow"}}]}, "Unsupported text type"),
        ({"blocks": [{"type": "paragraph", "text": {"type": "bold"}}]}, 'Can\'t find field "text"'),
        ({"blocks": [{"type": "heading", "text": "x", "size": "1"}]}, 'Field "size" must be of type Number'),
        ({"blocks": [{"type": "photo", "photo": {"media": "x"}}]}, "no media"),
        ({"blocks": [{"type": "divider"}] * 501}, "too many blocks"),
        ({"blocks": [{"type": "paragraph", "text": "x" * 32_769}]}, "too long"),
        ({"blocks": [{"type": "table", "cells": [[{}] * 21]}]}, "too many columns"),
        ({"blocks": [{"type": "buttons", "buttons": [{"text": "x"}]}]}, "rich message button"),
        (nested(LEVELS + 1), "nested too deep"),
        (nested(80), "nested too deep"),
    ],
)
async def test_rich_messages_have_limits(api: Api, rich: Any, words: str) -> None:
    assert words in (await api("sendRichMessage", chat_id=ADA, rich_message=rich))["description"]


def test_formatting_of_rich_texts_has_limits_too() -> None:
    text: Any = "x"
    for _ in range(LEVELS):
        text = {"type": "italic", "text": text}
    rich = {"blocks": [{"type": "paragraph", "text": text}]}
    assert received_rich(rich) == rich == sent_rich(rich, private=True)
    with pytest.raises(ApiError, match="too deep"):
        sent_rich({"blocks": [{"type": "paragraph", "text": [text]}]}, private=True)


# --- topics and threads ---------------------------------------------------------------------------


async def test_topics_of_a_forum(sim: SimulatedTelegram, api: Api, started: Bot) -> None:
    group = await sim.add_group("Team", [ADA, GRACE], forum=True)
    join(sim.telegram, group.id, started.id, status="administrator")
    made = await api("createForumTopic", chat_id=group.id, name="Launch")
    thread = made["message_thread_id"]
    said = await sim.send_text(ADA, "in the topic", chat=group.id, topic=thread)
    assert (said["message_thread_id"], said["is_topic_message"], said["chat"]["is_forum"]) == (thread, True, True)
    sent = await api("sendMessage", chat_id=group.id, text="heard", message_thread_id=thread)
    assert (sent["message_thread_id"], sent["is_topic_message"]) == (thread, True)
    reply = {"message_id": said["message_id"]}
    answered = await api("sendMessage", chat_id=group.id, text="a reply stays there", reply_parameters=reply)
    assert (answered["message_thread_id"], answered["is_topic_message"]) == (thread, True)
    general = await api("sendMessage", chat_id=group.id, text="for all")
    assert "message_thread_id" not in general
    for unknown in (1, 999):
        refused = await api("sendMessage", chat_id=group.id, text="x", message_thread_id=unknown)
        assert refused["description"] == "Bad Request: message thread not found"
    assert await api("closeForumTopic", chat_id=group.id, message_thread_id=thread) is True
    closed = await api("sendMessage", chat_id=group.id, text="x", message_thread_id=thread)
    assert closed["description"] == "Bad Request: TOPIC_CLOSED"
    assert await api("reopenForumTopic", chat_id=group.id, message_thread_id=thread) is True
    assert await api("editForumTopic", chat_id=group.id, message_thread_id=thread, name="Landing") is True
    assert await api("deleteForumTopic", chat_id=group.id, message_thread_id=thread) is True
    gone = await api("sendMessage", chat_id=group.id, text="x", message_thread_id=thread)
    assert gone["description"] == "Bad Request: message thread not found"
    assert [m["text"] for m in await sim.messages(group.id) if "text" in m] == ["for all"]


async def test_threads_elsewhere(sim: SimulatedTelegram, api: Api, started: Bot) -> None:
    group = await sim.add_group("Team", [ADA, GRACE])
    first = await sim.send_text(ADA, "/start@pilot_bot", chat=group.id)
    answer = await sim.send_text(GRACE, "me too", chat=group.id, reply_to=first["message_id"])
    # a thread of replies has a number and is no topic; a bot that gives it back is not refused
    assert answer["message_thread_id"] == first["message_id"]
    assert "is_topic_message" not in answer
    sent = await api("sendMessage", chat_id=group.id, text="x", message_thread_id=answer["message_thread_id"])
    assert "message_thread_id" not in sent
    refused = await api("sendMessage", chat_id=ADA, text="x", message_thread_id=5)
    assert refused["description"] == "Bad Request: message thread not found"
    refused = await api("createForumTopic", chat_id=group.id, name="x")
    assert refused["description"] == "Bad Request: the chat is not a forum"
    with pytest.raises(WrongRequest, match="no topics"):
        open_topic(sim.telegram, group, "x", sim.telegram.person(ADA))


async def test_topics_of_a_private_chat(sim: SimulatedTelegram) -> None:
    await sim.add_bot(SECOND, username="topic_bot", topics=True)
    await sim.send_text(ADA, "/start", bot="topic_bot")
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{sim.url}/bot{SECOND}/createForumTopic", json={"chat_id": ADA, "name": "One"}) as answer,
    ):
        made = (await answer.json())["result"]
    said = await sim.send_text(ADA, "here", bot="topic_bot", topic=made["message_thread_id"])
    assert said["is_topic_message"] is True
    with pytest.raises(WrongRequest, match="no topic"):
        await sim.send_text(ADA, "there", bot="topic_bot", topic=made["message_thread_id"] + 1)


# --- chats and people that go ---------------------------------------------------------------------


async def test_a_group_that_was_upgraded_says_where_it_is(sim: SimulatedTelegram, started: Bot) -> None:
    group = await sim.add_group("Team", [ADA, GRACE], basic=True)
    await started.send_message(group.id, "before")
    new = upgrade(sim.telegram, group.id)
    with pytest.raises(TelegramMigrateToChat) as caught:
        await started.send_message(group.id, "after")
    assert caught.value.migrate_to_chat_id == new.id
    assert (await started.send_message(new.id, "after")).chat.type == "supergroup"
    updates = await started.get_updates()
    moved = [
        u.message for u in updates if u.message and (u.message.migrate_to_chat_id or u.message.migrate_from_chat_id)
    ]
    assert [(m.chat.id, m.migrate_to_chat_id, m.migrate_from_chat_id) for m in moved] == [
        (group.id, new.id, None),
        (new.id, None, group.id),
    ]
    assert (await started.get_chat(group.id)).type == "group"
    for chat in (group, new):
        with pytest.raises(WrongRequest, match="no group that can be upgraded"):
            upgrade(sim.telegram, chat.id)
    with pytest.raises(WrongRequest, match="not in chat"):
        await sim.send_text(ADA, "still here?", chat=group.id)


async def test_the_error_names_the_new_chat_in_its_parameters(sim: SimulatedTelegram, api: Api) -> None:
    group = await sim.add_group("Team", [ADA], basic=True)
    new = upgrade(sim.telegram, group.id)
    assert await api("sendMessage", chat_id=group.id, text="x") == {
        "ok": False,
        "error_code": 400,
        "description": "Bad Request: group chat was upgraded to a supergroup chat",
        "parameters": {"migrate_to_chat_id": new.id},
    }
    old = await sim.add_group("Old", [ADA], basic=True)
    leave(sim.telegram, old.id, int(TOKEN.partition(":")[0]), kicked=True)
    said = await api("sendMessage", chat_id=old.id, text="x")
    assert said["description"] == "Forbidden: bot was kicked from the group chat"


async def test_who_deleted_the_account_cannot_be_reached(sim: SimulatedTelegram, started: Bot) -> None:
    deactivate(sim.telegram, ADA)
    [update] = await started.get_updates()
    assert update.my_chat_member is not None
    assert update.my_chat_member.new_chat_member.status == "kicked"
    with pytest.raises(TelegramForbiddenError, match="Forbidden: user is deactivated"):
        await started.send_message(ADA, "are you there?")
    with pytest.raises(WrongRequest, match="deleted the account"):
        await sim.send_text(ADA, "no")


async def test_who_blocks_at_once_is_told_of_before_the_bot_answers(sim: SimulatedTelegram, bot: Bot) -> None:
    await sim.send_text(ADA, "/start")
    await sim.block(ADA)
    kinds = [u.event_type for u in await bot.get_updates()]
    assert kinds == ["message", "my_chat_member"]
    for call in (bot.send_message(ADA, "welcome"), bot.send_chat_action(ADA, "typing")):
        with pytest.raises(TelegramForbiddenError, match="Forbidden: bot was blocked by the user"):
            await call
    # looking is no writing
    assert (await bot.get_chat(ADA)).first_name == "Ada"


async def test_a_message_may_be_deleted_at_once(sim: SimulatedTelegram, api: Api) -> None:
    await sim.inject_fault("sendMessage", "deleted")
    markup = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}
    sent = await api("sendMessage", chat_id=ADA, text="now you see me", reply_markup=markup)
    assert [m["text"] for m in await sim.messages(ADA)] == ["/start"]
    number = sent["message_id"]
    edit = await api("editMessageText", chat_id=ADA, message_id=number, text="x")
    assert edit["description"] == "Bad Request: message to edit not found"
    reply = await api("sendMessage", chat_id=ADA, text="x", reply_parameters={"message_id": number})
    assert reply["description"] == "Bad Request: message to be replied not found"
    delete = await api("deleteMessage", chat_id=ADA, message_id=number)
    assert delete["description"] == "Bad Request: message to delete not found"
    # a client that still shows it can press; its content is not told any more
    await sim.press(ADA, "go", message=number)
    [update] = await api("getUpdates")
    message = update["callback_query"]["message"]
    assert (message["message_id"], message["date"], message["chat"]["id"]) == (number, 0, ADA)
    assert "text" not in message


async def test_what_a_person_wrote_may_be_gone_before_it_is_answered(sim: SimulatedTelegram, started: Bot) -> None:
    typed = await sim.send_text(ADA, "never mind")
    await sim.delete(ADA, typed["message_id"])
    reply = ReplyParameters(message_id=typed["message_id"])
    said = await refusal(started.send_message(ADA, "what?", reply_parameters=reply))
    assert said == "Bad Request: message to be replied not found"
    lenient = ReplyParameters(message_id=typed["message_id"], allow_sending_without_reply=True)
    assert (await started.send_message(ADA, "what?", reply_parameters=lenient)).reply_to_message is None
    with pytest.raises(WrongRequest, match="no message"):
        await sim.delete(ADA, typed["message_id"])


async def test_any_error_can_be_made(sim: SimulatedTelegram, started: Bot) -> None:
    await sim.inject_fault("sendMessage", "error", description="Bad Request: can't parse entities: as you say")
    assert await refusal(started.send_message(ADA, "x")) == "Bad Request: can't parse entities: as you say"
    await sim.inject_fault(
        "sendMessage",
        "error",
        description="Bad Request: group chat was upgraded",
        parameters={"migrate_to_chat_id": -9},
    )
    with pytest.raises(TelegramMigrateToChat):
        await started.send_message(ADA, "x")
    await sim.inject_fault("sendMessage", "error", code=500, description="Internal Server Error: restart")
    with pytest.raises(TelegramServerError):
        await started.send_message(ADA, "x")
    await sim.inject_fault("sendMessage", "error", code=403, description="Forbidden: bot was blocked by the user")
    with pytest.raises(TelegramAPIError, match="blocked"):
        await started.send_message(ADA, "x")
    assert (await started.send_message(ADA, "x")).text == "x"


# --- several deliveries at once -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("update", "lane"),
    [
        ({"update_id": 1, "message": {"chat": {"id": 5}}}, "message:5"),
        ({"edited_message": {"chat": {"id": 5}}}, "message:5"),
        ({"callback_query": {"from": {"id": 5}, "message": {"chat": {"id": 5}}}}, "callback_query:5"),
        ({"my_chat_member": {"chat": {"id": -5}, "from": {"id": 5}}}, "my_chat_member:-5"),
        ({"chat_member": {"chat": {"id": -5}, "from": {"id": 5}}}, "chat_member:5"),
        ({"message": "thanks"}, ""),
        ({"message": {"chat": 5}}, ""),
        ({"kind_of_tomorrow": {"chat": {"id": 5}}}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_what_waits_for_what(update: Any, lane: str) -> None:
    assert lane_of(update) == lane


async def test_a_webhook_hears_of_several_at_once_and_of_one_chat_in_order(sim: SimulatedTelegram, bot: Bot) -> None:
    markup = keys(InlineKeyboardButton(text="Go", callback_data="go"))
    async with receiver() as hook:
        hook.gate = asyncio.Event()
        await bot.set_webhook(hook.url, max_connections=3)
        await sim.send_text(ADA, "/start")
        await sim.send_text(ADA, "second of Ada")
        await bot.send_message(ADA, "card", reply_markup=markup)
        await sim.press(ADA, "Go")
        await sim.send_text(GRACE, "first of Grace")
        await sim.block(GRACE)
        # three at once: the second of Ada waits for the first, the last one for a connection
        await sim.until(lambda: len(hook.got) == 3)
        assert sorted(kind_of(update) for update in hook.got) == ["callback_query", "message", "message"]
        assert "second of Ada" not in json.dumps(hook.got)
        hook.gate.set()
        await sim.until(lambda: len(hook.got) == 5)
    texts = [u["message"]["text"] for u in hook.got if "message" in u]
    assert texts.index("/start") < texts.index("second of Ada")
    assert {kind_of(update) for update in hook.got} == {"message", "callback_query", "my_chat_member"}


def kind_of(update: dict[str, Any]) -> str:
    return next(name for name in update if name != "update_id")


async def test_one_that_is_refused_holds_up_its_own_lane_alone(sim: SimulatedTelegram, bot: Bot) -> None:
    async with receiver() as hook:
        hook.refuse = "poison"
        await bot.set_webhook(hook.url)
        await sim.send_text(ADA, "poison")
        await sim.send_text(ADA, "behind it")
        await sim.send_text(GRACE, "elsewhere")
        await sim.until(lambda: sum("poison" in json.dumps(u) for u in hook.got) >= 2)
        await sim.until(lambda: any("elsewhere" in json.dumps(u) for u in hook.got))
        assert not any("behind it" in json.dumps(u) for u in hook.got)
        hook.refuse = ""
        await sim.until(lambda: any("behind it" in json.dumps(u) for u in hook.got))
        assert (await bot.get_webhook_info()).pending_update_count == 0
