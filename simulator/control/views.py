"""What the control side shows: messages, chats, bots, and all that one person sees."""

from typing import Any

from simulator.launch import TEST_PUBLIC_KEY
from simulator.state import Bot, Chat
from simulator.telegram import Telegram

SHOWN = 200


def message_view(chat: Chat, message: dict[str, Any]) -> dict[str, Any]:
    """A message with what it said before and the reactions on it."""
    number = message["message_id"]
    reactions = [one["emoji"] for given in chat.reactions.get(number, {}).values() for one in given]
    return message | {"edits": chat.edits.get(number, []), "reactions": reactions}


def chat_view(telegram: Telegram, chat: Chat) -> dict[str, Any]:
    """A chat with its newest messages and what shows at the moment."""
    bot = telegram.bot_by_id(chat.bot_id) if chat.private else None
    draft = chat.draft()
    return {
        **telegram.chat_view(chat),
        "key": f"{chat.bot_id}:{chat.id}" if chat.private else str(chat.id),
        "title": bot.user["first_name"] if bot else chat.title,
        "bot": bot.username if bot else "",
        "members": {str(user_id): status for user_id, status in chat.members.items()},
        "topics": [{"message_thread_id": thread, **topic} for thread, topic in chat.topics.items()],
        "migratedTo": chat.migrated_to,
        "messages": [message_view(chat, m) for _, m in sorted(chat.messages.items())[-SHOWN:]],
        "pinned": chat.pinned,
        "action": chat.now_doing(),
        "draft": {k: v for k, v in draft.items() if k != "until"} if draft else None,
        "keyboard": chat.keyboard,
        "started": chat.started,
        "blocked": chat.blocked,
    }


def bot_view(bot: Bot, user_id: int, language: str) -> dict[str, Any]:
    """A bot as one person sees it, and how its updates get to it."""
    return {
        **bot.user,
        "commands": bot.commands_for(user_id, user_id, language),
        "groupCommands": bot.commands_for(user_id, -1, language),
        "menuButton": bot.menu_button(user_id),
        "app": bot.mini_app(user_id),
        "about": bot.texts.get(("description", language[:2])) or bot.texts.get(("description", "")) or "",
        "webhook": bot.webhook.url,
        "listens": bot.listens(),
        "pending": len(bot.queue),
        "lastError": bot.webhook.last_error,
    }


def view(telegram: Telegram, user_id: int | None) -> dict[str, Any]:
    """Everything one person sees (the first one without a name)."""
    person = telegram.people.get(user_id or 0) or next(iter(telegram.people.values()), None)
    me = person["id"] if person else 0
    language = str((person or {}).get("language_code", ""))
    return {
        "version": telegram.version,
        "me": me,
        "people": list(telegram.people.values()),
        "bots": [bot_view(bot, me, language) for bot in telegram.bots.values()],
        "chats": [chat_view(telegram, chat) for chat in telegram.chats_of(me)] if person else [],
        "answers": [answer for answer in telegram.answers if answer["user"] == me][-20:],
        "faults": [vars(fault) for fault in telegram.faults],
        "flood": telegram.flood,
        "testPublicKey": TEST_PUBLIC_KEY,
    }
