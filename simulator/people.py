"""What people do: they come, write, edit, send files, react, block bots, delete their account."""

import time
from typing import Any

from simulator.errors import WrongRequest
from simulator.files import keep_file
from simulator.members import set_status
from simulator.messages import post, quoted, remember_edit, tell
from simulator.rich import received_rich
from simulator.state import Chat, Message, User
from simulator.telegram import Telegram
from simulator.text import TEXT_LIMIT, found_in, has_link, units
from simulator.topics import in_thread
from simulator.updates import push


def add_person(telegram: Telegram, /, user_id: int, first_name: str, **more: Any) -> User:
    """A person: id, first_name and, when given, last_name, username, language_code, is_premium, photo_url."""
    if user_id <= 0 or not first_name:
        raise WrongRequest("a person needs a positive id and a first name")
    person = {"id": user_id, "is_bot": False, "first_name": first_name}
    person |= {name: value for name, value in more.items() if value not in (None, "")}
    telegram.people[user_id] = person
    telegram.changed()
    return person


def say(
    telegram: Telegram,
    user_id: int,
    text: str,
    *,
    chat_id: int | None = None,
    bot: str | int | None = None,
    reply_to: int | None = None,
    copies: int = 1,
    topic: int | None = None,
    more: dict[str, Any] | None = None,
) -> Message:
    """A person types. `more` adds fields of the message (web_app_data, document); raises WrongRequest.

    `topic`: the thread it is written in. A link has no preview here, which the message says.
    """
    chat = telegram.chat_for(user_id, chat_id, bot)
    if not text.strip() and not more:
        raise WrongRequest("an empty message cannot be sent")
    if units(text) > TEXT_LIMIT:
        raise WrongRequest(f"people cannot send more than {TEXT_LIMIT} characters at once either")
    content: dict[str, Any] = dict(more or {})
    if text.strip():
        content["text"] = text.strip()
        entities = found_in(content["text"], [])
        if entities:
            content["entities"] = sorted(entities, key=lambda e: e["offset"])
        if has_link(entities):
            content["link_preview_options"] = {"is_disabled": True}
    if topic is not None and topic not in chat.topics:
        raise WrongRequest(f"there is no topic {topic}")
    replied = None
    if reply_to is not None:
        replied = chat.messages.get(reply_to)
        if replied is None:
            raise WrongRequest(f"there is no message {reply_to} to reply to")
        content["reply_to_message"] = quoted(replied)
    in_thread(chat, content, thread=topic or 0, replied=replied)
    if chat.private and chat.blocked:
        _set_blocked(telegram, chat, blocked=False)
    if chat.private:
        # writing first is what allows a bot to answer; clients only offer START for it
        chat.started = True
    message = post(telegram, chat, telegram.person(user_id), content)
    if chat.keyboard and chat.keyboard.get("one_time_keyboard"):
        chat.keyboard = None
    tell(telegram, chat, message, copies=copies)
    telegram.changed()
    return message


def forward_rich(
    telegram: Telegram, user_id: int, rich: Any, *, chat_id: int | None = None, bot: str | int | None = None
) -> Message:
    """A person forwards a rich message of somebody who does not want to be named. Raises ApiError, WrongRequest."""
    origin = {"type": "hidden_user", "sender_user_name": "Somebody", "date": int(time.time())}
    more = {"rich_message": received_rich(rich), "forward_origin": origin}
    return say(telegram, user_id, "", chat_id=chat_id, bot=bot, more=more)


def edit_own(
    telegram: Telegram,
    user_id: int,
    message_id: int,
    text: str,
    *,
    chat_id: int | None = None,
    bot: str | int | None = None,
) -> Message:
    """A person edits a message of theirs."""
    chat = telegram.chat_for(user_id, chat_id, bot)
    message = chat.messages.get(message_id)
    if message is None or message["from"]["id"] != user_id or "text" not in message:
        raise WrongRequest(f"message {message_id} cannot be edited by user {user_id}")
    remember_edit(chat, message)
    message["text"] = text.strip()
    message.pop("entities", None)
    message.pop("link_preview_options", None)
    entities = found_in(message["text"], [])
    if entities:
        message["entities"] = entities
    if has_link(entities):
        message["link_preview_options"] = {"is_disabled": True}
    message["edit_date"] = int(time.time())
    tell(telegram, chat, message, kind="edited_message")
    telegram.changed()
    return message


def upload(
    telegram: Telegram,
    user_id: int,
    name: str,
    data: bytes,
    *,
    caption: str = "",
    chat_id: int | None = None,
    bot: str | int | None = None,
) -> Message:
    """A person sends a file."""
    chat = telegram.chat_for(user_id, chat_id, bot)
    owner = chat.bot_id or next((b.id for b in telegram.bots.values() if chat.has(b.id)), 0)
    more: dict[str, Any] = {"document": keep_file(telegram, owner, name, data, kind="documents")}
    if caption:
        more["caption"] = caption
    return say(telegram, user_id, "", chat_id=chat_id, bot=bot, more=more)


def react(
    telegram: Telegram,
    user_id: int,
    message_id: int,
    emoji: str,
    *,
    chat_id: int | None = None,
    bot: str | int | None = None,
) -> None:
    """A person puts an emoji on a message, or takes theirs away (empty). Bots hear of it if they asked to."""
    chat = telegram.chat_for(user_id, chat_id, bot)
    if message_id not in chat.messages:
        raise WrongRequest(f"there is no message {message_id}")
    of_message = chat.reactions.setdefault(message_id, {})
    old = of_message.get(user_id, [])
    new = [{"type": "emoji", "emoji": emoji}] if emoji else []
    of_message[user_id] = new
    change = {
        "chat": telegram.chat_view(chat),
        "message_id": message_id,
        "user": telegram.person(user_id),
        "date": int(time.time()),
        "old_reaction": old,
        "new_reaction": new,
    }
    for one in telegram.bots.values():
        if (chat.private and chat.bot_id == one.id) or (not chat.private and chat.is_admin(one.id)):
            push(telegram, one, {"message_reaction": change})
    telegram.changed()


def block(telegram: Telegram, user_id: int, bot: str | int | None = None) -> None:
    """A person blocks a bot."""
    _set_blocked(telegram, telegram.chat_for(user_id, None, bot), blocked=True)


def unblock(telegram: Telegram, user_id: int, bot: str | int | None = None) -> None:
    """A person takes a bot back."""
    _set_blocked(telegram, telegram.chat_for(user_id, None, bot), blocked=False)


def _set_blocked(telegram: Telegram, chat: Chat, *, blocked: bool) -> None:
    if chat.blocked == blocked:
        return
    chat.blocked = blocked
    set_status(telegram, chat, chat.bot_id, "kicked" if blocked else "member", telegram.person(chat.id))
    telegram.changed()


def deactivate(telegram: Telegram, user_id: int) -> None:
    """A person deletes the account: nobody can write to them, and bots are told as if they had been blocked.

    That bots are told by my_chat_member is from memory.
    """
    person = telegram.person(user_id)
    if user_id in telegram.deactivated:
        return
    for chat in [chat for (_, who), chat in telegram.private.items() if who == user_id and chat.started]:
        set_status(telegram, chat, chat.bot_id, "kicked", person)
    telegram.deactivated.add(user_id)
    telegram.changed()
