"""Messages: how they get into a chat and out of it, and which bots are told."""

import copy
import time
from typing import Any

from simulator.errors import WrongRequest
from simulator.state import Bot, Chat, Message, User, shown_user
from simulator.telegram import Telegram
from simulator.text import cut
from simulator.updates import push

_MODIFIED_KEYS = ("text", "caption", "entities", "caption_entities", "reply_markup")


def post(telegram: Telegram, chat: Chat, sender: User, content: dict[str, Any]) -> Message:
    """Put a message into a chat; numbers run per group, and per bot over its private chats."""
    counter: Bot | Chat = chat
    if chat.private:
        counter = telegram.bot_by_id(chat.bot_id) or chat
    number = counter.next_message
    counter.next_message += 1
    message = {
        "message_id": number,
        "from": shown_user(sender),
        "chat": telegram.chat_view(chat),
        "date": int(time.time()),
        **content,
    }
    chat.messages[number] = message
    if sender["is_bot"]:
        chat.last_bot = sender["id"]
        chat.action_until = 0.0
        chat.drafts.clear()
    return message


def tell(
    telegram: Telegram, chat: Chat, message: Message, *, service: bool = False, kind: str = "message", copies: int = 1
) -> None:
    """Give the bots that hear a message an update of it; `service`: it says what happened in the chat."""
    for bot in telegram.bots.values():
        if _hears(telegram, bot, chat, message, service=service):
            push(telegram, bot, {kind: message}, copies=copies)


def _hears(telegram: Telegram, bot: Bot, chat: Chat, message: Message, *, service: bool) -> bool:
    """Privacy mode: in groups a bot hears commands, replies to it and mentions, unless it is an admin."""
    if chat.private:
        return chat.bot_id == bot.id
    if not chat.has(bot.id):
        return False
    if service or chat.is_admin(bot.id) or bot.user["can_read_all_group_messages"]:
        return True
    if message.get("reply_to_message", {}).get("from", {}).get("id") == bot.id:
        return True
    text = str(message.get("text") or message.get("caption") or "")
    name = f"@{bot.username}".lower()
    only = [b.id for b in telegram.bots.values() if chat.has(b.id)] == [bot.id]
    for entity in message.get("entities") or message.get("caption_entities") or []:
        part = cut(text, entity).lower()
        if entity["type"] == "mention" and part == name:
            return True
        if entity["type"] == "bot_command":
            _, at, addressed = part.partition("@")
            if f"@{addressed}" == name if at else entity["offset"] == 0 and (only or chat.last_bot == bot.id):
                return True
    return False


def quoted(message: Message) -> Message:
    """A message as a reply shows it: without what it replies to itself."""
    return {name: value for name, value in message.items() if name != "reply_to_message"}


def delete(telegram: Telegram, chat: Chat, message_id: int) -> None:
    """A message is deleted, by whom does not matter: bots are not told. Raises WrongRequest."""
    if message_id not in chat.messages:
        raise WrongRequest(f"there is no message {message_id}")
    forget(chat, message_id)
    telegram.changed()


def forget(chat: Chat, message_id: int) -> None:
    """Take a message out of its chat."""
    chat.gone[message_id] = chat.messages.pop(message_id)
    chat.reactions.pop(message_id, None)
    if message_id in chat.pinned:
        chat.pinned.remove(message_id)


def remember_edit(chat: Chat, message: Message) -> None:
    """Keep what a message said before."""
    before = {k: message[k] for k in _MODIFIED_KEYS if k in message} | {"until": int(time.time())}
    chat.edits.setdefault(message["message_id"], []).append(copy.deepcopy(before))
