"""Presses of inline buttons, and the queries bots get of them."""

import itertools
import secrets
import time
from typing import Any

from simulator.errors import WrongRequest
from simulator.rich import buttons_of, plain
from simulator.state import Chat, Message
from simulator.telegram import Telegram
from simulator.updates import push


def press(
    telegram: Telegram,
    user_id: int,
    button: str,
    *,
    message_id: int | None = None,
    chat_id: int | None = None,
    bot: str | int | None = None,
) -> dict[str, Any]:
    """A person presses an inline button, named by its callback data or its label.

    Without a message: the newest one that has such a button. One that was deleted, which a client may still show,
    must be named: the query then has the message without its content. Gives the query; raises WrongRequest.
    """
    chat = telegram.chat_for(user_id, chat_id, bot)
    messages = [chat.messages[message_id]] if message_id in chat.messages else []
    if message_id in chat.gone:
        messages = [chat.gone[message_id]]
    if message_id is None:
        messages = [message for _, message in sorted(chat.messages.items(), reverse=True)]
    if not messages:
        raise WrongRequest("the message is gone")
    for message in messages:
        rows = message.get("reply_markup", {}).get("inline_keyboard", [])
        for one in [*itertools.chain.from_iterable(rows), *buttons_of(message.get("rich_message", {}))]:
            if button in (one.get("callback_data"), plain(one["text"])):
                return _pressed(telegram, chat, message, one, user_id)
    raise WrongRequest(f"there is no button {button!r} (any more)")


def _pressed(telegram: Telegram, chat: Chat, message: Message, button: dict[str, Any], user_id: int) -> dict[str, Any]:
    if not button.get("callback_data") or button.get("disabled"):
        raise WrongRequest(f"the button {button['text']!r} tells the bot nothing")
    owner = telegram.bot_by_id(message["from"]["id"])
    if owner is None:
        raise WrongRequest("the message is of no bot")
    shown = message if message["message_id"] in chat.messages else _inaccessible(telegram, chat, message)
    return forge_press(telegram, user_id, shown, button["callback_data"], bot=owner.id, instance=chat.instance)


def forge_press(
    telegram: Telegram, user_id: int, message: Message, data: str, *, bot: str | int | None = None, instance: str = "1"
) -> dict[str, Any]:
    """A press with any data on any message, as clients of one's own can make: no button needs to have it.

    The query can be answered like every other one. Raises WrongRequest.
    """
    owner = telegram.which_bot(bot)
    query: dict[str, Any] = {
        "id": str(secrets.randbits(62)),
        "from": telegram.person(user_id),
        "message": message,
        "chat_instance": instance,
        "data": data,
    }
    owner.queries[query["id"]] = {
        "at": time.monotonic(),
        "user": user_id,
        "chat": message["chat"]["id"],
        "message": message["message_id"],
        "data": data,
    }
    push(telegram, owner, {"callback_query": query})
    telegram.changed()
    return query


def _inaccessible(telegram: Telegram, chat: Chat, message: Message) -> Message:
    """What is told of a message that was deleted."""
    return {"message_id": message["message_id"], "chat": telegram.chat_view(chat), "date": 0}
