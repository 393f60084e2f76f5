"""Methods on a message that is there: edit, delete, pin, react."""

import time
from typing import Any

from simulator.access import target
from simulator.errors import bad
from simulator.messages import forget, remember_edit
from simulator.methods.content import captioned, formatting, inline_markup, previews, with_entities
from simulator.methods.table import Methods
from simulator.params import Params
from simulator.rich import sent_rich
from simulator.state import Bot, Chat, Message
from simulator.telegram import Telegram
from simulator.text import message_text

_TEXT_KEYS = ("text", "entities", "link_preview_options", "rich_message", "reply_markup")
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)
_EMOJI = """
👍 👎 ❤ 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡
🥱 🥴 😍 🐳 ❤‍🔥 🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈
😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈 😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿
🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ 😡
"""
REACTIONS = frozenset(_EMOJI.split())

METHODS = Methods()


def _own(telegram: Telegram, bot: Bot, params: Params) -> tuple[Chat, Message]:
    if params.text("inline_message_id"):
        raise bad("MESSAGE_ID_INVALID")
    chat = target(telegram, bot, params.text("chat_id"))
    message = chat.messages.get(params.integer("message_id"))
    if message is None:
        raise bad("message to edit not found")
    if message["from"]["id"] != bot.id:
        raise bad("message can't be edited")
    return chat, message


def _edited(chat: Chat, message: Message, new: dict[str, Any], keys: tuple[str, ...]) -> Message:
    if all(message.get(key) == new.get(key) for key in keys):
        raise bad(NOT_MODIFIED)
    remember_edit(chat, message)
    for key in keys:
        message.pop(key, None)
        if new.get(key):
            message[key] = new[key]
    message["edit_date"] = int(time.time())
    return message


@METHODS.named("editMessageText")
def _edit_message_text(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat, message = _own(telegram, bot, params)
    new: dict[str, Any]
    if "rich_message" in params:
        given = params.json("rich_message", "rich message")
        new = {"rich_message": sent_rich(given, private=chat.private, http_apps=telegram.http_apps)}
    else:
        text, entities = message_text(params.text("text"), **formatting(params))
        new = with_entities("text", text, entities) | previews(params, entities)
    if "text" not in message and "rich_message" not in message:
        raise bad("there is no text in the message to edit")
    return _edited(chat, message, new | inline_markup(telegram, chat, params), _TEXT_KEYS)


@METHODS.named("editMessageCaption")
def _edit_message_caption(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat, message = _own(telegram, bot, params)
    if "document" not in message and "photo" not in message:
        raise bad("there is no caption in the message to edit")
    new = captioned(params) | inline_markup(telegram, chat, params)
    return _edited(chat, message, new, ("caption", "caption_entities", "reply_markup"))


@METHODS.named("editMessageReplyMarkup")
def _edit_message_reply_markup(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat, message = _own(telegram, bot, params)
    return _edited(chat, message, inline_markup(telegram, chat, params), ("reply_markup",))


@METHODS.named("deleteMessage")
def _delete_message(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"))
    _delete(bot, chat, params.integer("message_id"))
    return True


@METHODS.named("deleteMessages")
def _delete_messages(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"))
    numbers = params.json("message_ids", "message identifiers")
    for number in numbers if isinstance(numbers, list) else []:
        if isinstance(number, int) and number in chat.messages:
            _delete(bot, chat, number)
    return True


def _delete(bot: Bot, chat: Chat, number: int) -> None:
    message = chat.messages.get(number)
    if message is None:
        raise bad("message to delete not found")
    foreign = message["from"]["id"] != bot.id and not chat.private and not chat.is_admin(bot.id)
    if foreign or time.time() - message["date"] > 48 * 3600:
        raise bad("message can't be deleted")
    forget(chat, number)


@METHODS.named("pinChatMessage")
def _pin_chat_message(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"))
    number = params.integer("message_id")
    if number not in chat.messages:
        raise bad("message to pin not found")
    if not chat.private and not chat.is_admin(bot.id):
        raise bad("not enough rights to manage pinned messages in the chat")
    chat.pinned = [n for n in chat.pinned if n != number] + [number]
    return True


@METHODS.named("unpinChatMessage")
def _unpin_chat_message(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"))
    number = params.integer("message_id") or (chat.pinned[-1] if chat.pinned else 0)
    if number not in chat.pinned:
        raise bad("message to unpin not found")
    chat.pinned.remove(number)
    return True


@METHODS.named("setMessageReaction")
def _set_message_reaction(telegram: Telegram, bot: Bot, params: Params) -> Any:
    chat = target(telegram, bot, params.text("chat_id"))
    number = params.integer("message_id")
    if number not in chat.messages:
        raise bad("message to react not found")
    wanted = params.objects("reaction", "reaction types")
    if any(one.get("type") != "emoji" or str(one.get("emoji")) not in REACTIONS for one in wanted):
        raise bad("REACTION_INVALID")
    if len(wanted) > 1:
        raise bad("REACTIONS_TOO_MANY")
    chat.reactions.setdefault(number, {})[bot.id] = wanted
    return True
