"""Methods that send: texts, rich messages, copies, drafts, and what a bot is doing."""

import time
from typing import Any

from simulator.access import target
from simulator.errors import bad
from simulator.methods.content import formatting, previews, send, with_entities
from simulator.methods.table import Methods
from simulator.params import Params
from simulator.rich import sent_rich
from simulator.state import ACTION_SECONDS, DRAFT_SECONDS, Bot
from simulator.telegram import Telegram
from simulator.text import TEXT_LIMIT, formatted, message_text, units
from simulator.topics import known_thread

ACTIONS = frozenset(
    {
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    }
)

METHODS = Methods()


@METHODS.named("sendMessage")
def _send_message(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"))
    text, entities = message_text(params.text("text"), **formatting(params))
    content = with_entities("text", text, entities) | previews(params, entities)
    return send(telegram, bot, chat, params, content)


@METHODS.named("sendRichMessage")
def _send_rich_message(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"))
    rich = sent_rich(params.json("rich_message", "rich message"), private=chat.private, http_apps=telegram.http_apps)
    return send(telegram, bot, chat, params, {"rich_message": rich})


@METHODS.named("copyMessage")
def _copy_message(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"))
    source = target(telegram, bot, params.text("from_chat_id"))
    original = source.messages.get(params.integer("message_id"))
    if original is None:
        raise bad("message to copy not found")
    kept = (
        "text",
        "entities",
        "link_preview_options",
        "rich_message",
        "caption",
        "caption_entities",
        "document",
        "photo",
    )
    copied = send(telegram, bot, chat, params, {k: original[k] for k in kept if k in original})
    return {"message_id": copied["message_id"]}


@METHODS.named("sendChatAction")
def _send_chat_action(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"))
    action = params.text("action")
    if action not in ACTIONS:
        raise bad("wrong parameter action in request")
    known_thread(chat, params.integer("message_thread_id"))
    chat.action, chat.action_until = action, time.monotonic() + ACTION_SECONDS
    return True


@METHODS.named("sendMessageDraft")
def _send_message_draft(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"))
    if not chat.private:
        raise bad("message drafts can be sent only to private chats")
    known_thread(chat, params.integer("message_thread_id"))
    number = params.integer("draft_id")
    if number == 0:
        raise bad("draft_id must be non-zero")
    text, entities = formatted(params.text("text"), **formatting(params))
    if units(text) > TEXT_LIMIT:
        raise bad("message is too long")
    chat.drafts[number] = {
        "draft_id": number,
        "text": text,
        "entities": entities,
        "until": time.monotonic() + DRAFT_SECONDS,
    }
    return True
