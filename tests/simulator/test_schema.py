"""The simulator against the Bot API's published schema, as the library of the bot has it: names, fields, shapes."""

import contextlib
import inspect
import typing
from typing import Any, get_args

import pytest
from aiogram import methods, types
from aiogram.enums import ChatAction, MessageEntityType
from aiogram.types import TelegramObject
from pydantic import BaseModel, TypeAdapter

from simulator import rich, text
from simulator.apps import open_app, send_app_data
from simulator.bots import register_bot
from simulator.errors import ApiError, WrongRequest
from simulator.files import keep_file
from simulator.groups import add_group, upgrade
from simulator.markup import ACTIONS as BUTTON_ACTIONS
from simulator.members import join, leave
from simulator.messages import delete
from simulator.methods.call import METHODS, call
from simulator.methods.sending import ACTIONS
from simulator.params import Params, Upload
from simulator.people import add_person, block, deactivate, edit_own, forward_rich, react, say, unblock, upload
from simulator.presses import press
from simulator.raw import BY_CHAT, BY_PERSON
from simulator.state import NOT_BY_DEFAULT, Bot
from simulator.telegram import Telegram
from simulator.topics import open_topic
from tests.simulator.conftest import ADA, GRACE, TOKEN
from tests.simulator.test_rules import PNG

PUBLISHED: dict[str, Any] = {
    one.__api_method__.lower(): one
    for one in vars(methods).values()
    if inspect.isclass(one) and isinstance(getattr(one, "__api_method__", None), str)
}
# taken and left alone: nothing of it shows in this Telegram
SILENT = {
    "allow_paid_broadcast",
    "business_connection_id",
    "callback_query_id",
    "direct_messages_topic_id",
    "disable_notification",
    "ephemeral_message_parameters",
    "message_effect_id",
    "protect_content",
    "receiver_user_id",
    "suggested_post_parameters",
}
LEFT_ALONE = {
    "answercallbackquery": {"cache_time"},
    "copymessage": {
        "caption",
        "caption_entities",
        "parse_mode",
        "show_caption_above_media",
        "video_start_timestamp",
    },
    "createforumtopic": {"icon_custom_emoji_id"},
    "editforumtopic": {"icon_custom_emoji_id"},
    "editmessagecaption": {"show_caption_above_media"},
    "getchatadministrators": {"return_bots"},
    "getuserprofilephotos": {"offset", "limit"},
    "senddocument": {"thumbnail", "disable_content_type_detection"},
    "sendmessagedraft": {"can_stop", "keep_on_stop"},
    "sendphoto": {"has_spoiler", "show_caption_above_media"},
    "setmessagereaction": {"is_big"},
    "setwebhook": {"certificate", "ip_address"},
}
# older than the published schema, and still taken by Telegram
OLD = {"disable_web_page_preview", "reply_to_message_id", "allow_sending_without_reply"}


class Recorded(Params):
    """Parameters that remember which of them were asked for."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self.asked: set[str] = set()
        outer = self

        class Given(dict[str, Any]):
            def get(self, name: str, default: Any = None) -> Any:
                outer.asked.add(name)
                return super().get(name, default)

        self.given = Given(given)


class Scene:
    """A Telegram in which every method can succeed."""

    def __init__(self) -> None:
        self.telegram = Telegram()
        for user_id, name in ((ADA, "Ada"), (GRACE, "Grace")):
            add_person(self.telegram, user_id, name)
        self.bot: Bot = register_bot(self.telegram, TOKEN, topics=True)
        say(self.telegram, ADA, "/start")
        self.typed = say(self.telegram, ADA, "hello")["message_id"]
        self.group = add_group(self.telegram, "Team", [ADA, GRACE])
        join(self.telegram, self.group.id, self.bot.id, status="administrator", by=ADA)
        self.chat = self.telegram.private_chat(self.bot, ADA)
        keys = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}
        card = call(self.telegram, self.bot, "sendMessage", Params({"chat_id": ADA, "text": "x", "reply_markup": keys}))
        self.card = card["message_id"]
        self.query = press(self.telegram, ADA, "go")["id"]
        self.photo = call(self.telegram, self.bot, "sendPhoto", Params({"chat_id": ADA, "photo": Upload("p.png", PNG)}))
        self.topic = open_topic(self.telegram, self.chat, "Launch", self.bot.user)["message_thread_id"]
        self.file_id = keep_file(self.telegram, self.bot.id, "a.txt", b"abc", kind="documents")["file_id"]
        open_app(self.telegram, ADA, url="https://x.example/", how="menu")
        self.web_query = next(iter(self.bot.web_app_queries))

    def params(self, name: str) -> dict[str, Any]:
        """What lets this method succeed; in `SPECIAL` what differs from method to method."""
        keys = {"inline_keyboard": [[{"text": "b", "callback_data": "x"}]]}
        common: dict[str, Any] = {
            "chat_id": ADA,
            "text": "some text",
            "message_id": self.card,
            "message_ids": [self.card],
            "reply_markup": keys,
            "message_thread_id": self.topic,
            "caption": "a caption",
            "from_chat_id": ADA,
            "user_id": GRACE,
            "callback_query_id": self.query,
            "web_app_query_id": self.web_query,
            "result": {"type": "article", "input_message_content": {"message_text": "told"}},
            "rich_message": {"blocks": [{"type": "divider"}]},
            "name": "A name",
            "action": "typing",
            "draft_id": 1,
            "document": Upload("a.txt", b"abc"),
            "photo": Upload("p.png", PNG),
            "file_id": self.file_id,
            "commands": [{"command": "help", "description": "Help"}],
            "reaction": [{"type": "emoji", "emoji": "👍"}],
            "url": "https://x.example/hook",
            "allowed_updates": ["message", "chat_member"],
            "menu_button": {"type": "web_app", "text": "Open", "web_app": {"url": "https://x.example/"}},
            "reply_parameters": {"message_id": self.typed},
        }
        special: dict[str, dict[str, Any]] = {
            "editmessagecaption": {"message_id": self.photo["message_id"]},
            "reopenforumtopic": {},
            "getchatadministrators": {"chat_id": self.group.id},
            "getchatmember": {"chat_id": self.group.id},
            "leavechat": {"chat_id": self.group.id},
            "answercallbackquery": {"url": "https://t.me/pilot_demo_bot?start=x"},
        }
        if name == "reopenforumtopic":
            self.chat.topics[self.topic]["closed"] = True
        if name == "unpinchatmessage":
            self.chat.pinned = [self.card]
        fields = PUBLISHED[name].model_fields
        return {key: value for key, value in (common | special.get(name, {})).items() if key in fields}


def unknown_fields(value: Any, path: str = "") -> list[str]:
    """Fields no model of the library knows, at any depth."""
    if isinstance(value, BaseModel):
        found = [f"{path}.{name}" for name in value.model_extra or {}]
        for name in type(value).model_fields:
            found += unknown_fields(getattr(value, name), f"{path}.{name}")
        return found
    if isinstance(value, list):
        return [one for n, part in enumerate(value) for one in unknown_fields(part, f"{path}[{n}]")]
    return []


def checked(of: Any, value: Any) -> Any:
    """The value as the library reads it, with nothing in it that the schema does not have."""
    read = TypeAdapter(of).validate_python(value)
    assert unknown_fields(read) == []
    return read


def test_every_method_is_one_of_the_bot_api() -> None:
    assert METHODS.keys() <= PUBLISHED.keys()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_fields_and_answers_are_those_of_the_schema(name: str) -> None:
    scene = Scene()
    params = Recorded(scene.params(name))
    answer = call(scene.telegram, scene.bot, name, params)
    checked(PUBLISHED[name].__returning__, answer)
    published = set(PUBLISHED[name].model_fields)
    ignored = (published & SILENT) - params.asked | LEFT_ALONE.get(name, set())
    # what is read is published, and what is published is read or known to be left alone
    assert params.asked - OLD <= published
    # an alternative that was not given is another way to the same end
    assert published - ignored - OLD <= params.asked | asked_without(name)


def asked_without(name: str) -> set[str]:
    """What is asked for when a field is missing that stands in for others."""
    asked: set[str] = set()
    for missing in ("rich_message", "reply_parameters", "chat_id", "url", "document", "photo", "link_preview_options"):
        scene = Scene()
        params = Recorded({key: value for key, value in scene.params(name).items() if key != missing})
        # only what it asked for matters
        with contextlib.suppress(ApiError, WrongRequest):
            call(scene.telegram, scene.bot, name, params)
        asked |= params.asked
    return asked


def test_every_update_is_one_of_the_schema() -> None:
    scene = Scene()
    telegram, group = scene.telegram, scene.group
    scene.bot.queue.clear()
    scene.bot.allowed = list(types.Update.model_fields)
    linked = say(telegram, ADA, "see https://x.example @pilot_demo_bot #tag /help", topic=scene.topic)
    edit_own(telegram, ADA, linked["message_id"], "changed")
    say(telegram, ADA, "a reply", reply_to=scene.card)
    upload(telegram, ADA, "a.txt", b"abc", caption="a caption")
    forward_rich(telegram, ADA, everything_rich())
    send_app_data(telegram, ADA, "data", "Form")
    react(telegram, ADA, scene.card, "👍")
    press(telegram, ADA, "go", message_id=scene.card)
    delete(telegram, scene.chat, scene.card)
    press(telegram, ADA, "go", message_id=scene.card)
    say(telegram, GRACE, "in the group", chat_id=group.id)
    leave(telegram, group.id, GRACE)
    join(telegram, group.id, GRACE)
    join(telegram, group.id, scene.bot.id)
    old = add_group(telegram, "Old", [ADA], basic=True)
    upgrade(telegram, old.id)
    leave(telegram, group.id, scene.bot.id, kicked=True)
    block(telegram, ADA)
    unblock(telegram, ADA)
    deactivate(telegram, ADA)
    kinds = set()
    for queued in scene.bot.queue:
        # a rich message of all kinds is not read by the library here: that takes it minutes
        if b'"rich_message"' not in queued.raw:
            update = checked(types.Update, TypeAdapter(dict[str, Any]).validate_json(queued.raw))
            kinds.add(update.event_type)
    assert kinds == {"message", "edited_message", "message_reaction", "callback_query", "my_chat_member", "chat_member"}
    assert kinds <= NOT_BY_DEFAULT | BY_CHAT.keys() | BY_PERSON.keys()


def test_kinds_of_updates_are_known() -> None:
    assert NOT_BY_DEFAULT | BY_CHAT.keys() | BY_PERSON.keys() <= set(types.Update.model_fields)


def test_buttons_do_what_the_schema_lets_them() -> None:
    published = set(types.InlineKeyboardButton.model_fields) - {"text", "icon_custom_emoji_id", "style"}
    assert set(BUTTON_ACTIONS) == published


def test_entities_and_actions_are_those_of_the_schema() -> None:
    # found by Telegram, and in its server for years, but not in the published list
    assert {one.value for one in MessageEntityType} | {"bank_card_number"} == text.TYPES | text.FOUND_BY_TELEGRAM
    assert {one.value for one in ChatAction} == ACTIONS


# --- rich messages --------------------------------------------------------------------------------


def members(union: Any) -> list[type[TelegramObject]]:
    """The models of a union, as annotated or as a named type."""
    inner = getattr(union, "__value__", union)
    found: list[type[TelegramObject]] = []
    for one in get_args(inner):
        if inspect.isclass(one) and issubclass(one, TelegramObject):
            found.append(one)
        elif typing.get_origin(one) is not None and not isinstance(one, str):
            found += members(one)
    return found


def shape(model: type[TelegramObject]) -> dict[str, bool]:
    """Fields of a model without its type: whether each is required."""
    return {name: info.is_required() for name, info in model.model_fields.items() if name != "type"}


def own_shape(fields: dict[str, str]) -> dict[str, bool]:
    return {name: not kind.endswith("?") for name, kind in fields.items()}


def kind_of(model: type[TelegramObject]) -> str:
    default = model.model_fields["type"].default
    return str(getattr(default, "value", default))


# the Bot API fills these in when it shows what a bot sent without them
FILLED_IN = {"map": {"zoom", "width", "height"}}


@pytest.mark.parametrize("union", ["RichBlockUnion", "InputRichBlockUnion"])
def test_blocks_are_those_of_the_schema(union: str) -> None:
    published = {kind_of(model): shape(model) for model in members(getattr(types, union))}
    assert published.keys() == rich.BLOCKS.keys()
    for kind, fields in published.items():
        own = own_shape(rich.BLOCKS[kind])
        filled = FILLED_IN.get(kind, set())
        # what a medium is said to be besides stands in the medium itself when it is sent
        assert fields.keys() | {"has_spoiler"} == own.keys() | {"has_spoiler"}, kind
        assert {n: f for n, f in fields.items() if n not in filled} == {
            n: f for n, f in own.items() if n not in filled and n in fields
        }, kind


def test_rich_texts_are_those_of_the_schema() -> None:
    published = {kind_of(model): shape(model) for model in members(types.RichTextUnion)}
    assert published == {kind: own_shape(fields) for kind, fields in rich.TEXTS.items()}


def test_parts_of_blocks_are_those_of_the_schema() -> None:
    assert {**own_shape(rich.ITEM), "label": True} == {**shape(types.RichBlockListItem), "type": False}
    assert {**own_shape(rich.CELL), "align": True, "valign": True} == shape(types.RichBlockTableCell)
    assert own_shape(rich.CAPTION) == shape(types.RichBlockCaption)


def everything_rich() -> dict[str, Any]:
    """One block of every kind, with every formatting of texts."""
    values: dict[str, Any] = {
        "text": "words",
        "blocks": [{"type": "divider"}],
        "items": [{"blocks": [{"type": "divider"}]}],
        "cells": [[{"text": "a"}]],
        "buttons": [{"text": "b", "callback_data": "x"}],
        "button": {"text": "b", "callback_data": "x"},
        "caption": {"text": "words"},
        "media": {"file_id": "x", "file_unique_id": "y", "width": 1, "height": 1, "duration": 1},
        "location": {"latitude": 1.0, "longitude": 1.0},
        "user": {"id": 5, "is_bot": False, "first_name": "Ada"},
        "str": "word",
        "int": 1,
        "bool": True,
    }

    def filled(fields: dict[str, str]) -> dict[str, Any]:
        return {name: values[name if kind == "object" else kind.rstrip("?")] for name, kind in fields.items()}

    texts = [{"type": kind, **filled(fields)} for kind, fields in rich.TEXTS.items()]
    blocks = [{"type": kind, **filled(fields)} for kind, fields in rich.BLOCKS.items()]
    photo = next(block for block in blocks if block["type"] == "photo")
    photo["photo"] = [photo["photo"]]
    return {"blocks": [*blocks, {"type": "paragraph", "text": texts}]}


def test_every_kind_of_block_and_text_is_taken_and_shown_whole() -> None:
    given = everything_rich()
    shown = rich.received_rich(given)
    assert [block["type"] for block in shown["blocks"]] == [*rich.BLOCKS, "paragraph"]
    assert [one["type"] for one in shown["blocks"][-1]["text"]] == list(rich.TEXTS)
    for one in shown["blocks"][:-1]:
        read = TypeAdapter(types.RichBlockUnion).validate_python(one)
        # what a medium holds is not made here
        assert "media" in rich.BLOCKS[one["type"]].values() or unknown_fields(read) == []
