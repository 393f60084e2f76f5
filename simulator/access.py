"""The chat a bot names: whether it may write there, and how often."""

import time
from collections import deque
from typing import Any

from simulator.errors import ApiError, bad, forbidden, too_many
from simulator.state import Bot, Chat
from simulator.telegram import Telegram

GROUP_PER_MINUTE = 20
BURST = 5


def target(telegram: Telegram, bot: Bot, chat_id: Any, *, write: bool = True) -> Chat:
    """The chat a bot may write to, or look at. Raises ApiError 400 or 403."""
    name = str(chat_id or "")
    if not name:
        raise bad("chat_id is empty")
    if name.startswith("@"):
        chat = next((g for g in telegram.groups.values() if g.username.lower() == name[1:].lower()), None)
    elif name.lstrip("-").isdigit():
        number = int(name)
        chat = telegram.groups.get(number)
        if chat is None and number in telegram.people:
            chat = telegram.private_chat(bot, number)
    else:
        chat = None
    if chat is None:
        raise bad("chat not found")
    if chat.private:
        if write:
            _reachable(telegram, chat)
    elif chat.migrated_to:
        if write:
            words = "Bad Request: group chat was upgraded to a supergroup chat"
            raise ApiError(400, words, migrate_to_chat_id=chat.migrated_to)
    elif chat.members.get(bot.id) == "kicked":
        raise forbidden(f"bot was kicked from the {chat.type} chat")
    elif not chat.has(bot.id):
        raise forbidden(f"bot is not a member of the {chat.type} chat")
    return chat


def _reachable(telegram: Telegram, chat: Chat) -> None:
    if chat.id in telegram.deactivated:
        raise forbidden("user is deactivated")
    if not chat.started:
        raise forbidden("bot can't initiate conversation with a user")
    if chat.blocked:
        raise forbidden("bot was blocked by the user")


def pace(telegram: Telegram, bot: Bot, chat: Chat) -> None:
    """Flood limits, when they are on. Raises ApiError 429."""
    if not telegram.flood:
        return
    now = time.monotonic()
    times = telegram.sends.setdefault((bot.id, chat.id), deque(maxlen=60))
    recent = [t for t in times if now - t < BURST]
    if len(recent) >= BURST:
        raise too_many(max(1, round(BURST - (now - recent[0]))))
    minute = [t for t in times if now - t < 60]
    if not chat.private and len(minute) >= GROUP_PER_MINUTE:
        raise too_many(max(1, round(60 - (now - minute[0]))))
    times.append(now)
