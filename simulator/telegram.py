"""A Telegram in memory: who and what is in it. What happens there stands in the modules named after it."""

import asyncio
from collections import deque
from typing import Any

from simulator.errors import WrongRequest
from simulator.state import Bell, Bot, Chat, Fault, StoredFile, User

QUERY_SECONDS = 120.0
CALLS_KEPT = 5000


class Telegram:
    """People, bots, chats, files, faults and logs, and how they are found.

    What changes them is a function of its own, with the Telegram as its first argument: `people.say`, `members.join`,
    `messages.post`, `updates.push`, `presses.press` and so on.

    `auto_register`: a well-formed token nobody registered becomes a bot at its first call.
    `flood`: Telegram's limits on messages (one a second and chat with a burst of 5, 20 a minute in a group).
    `query_seconds`: how long a press may wait for its answer.
    `http_apps`: buttons may open Mini Apps at http addresses, as in Telegram's test environment.
    """

    def __init__(
        self,
        *,
        auto_register: bool = True,
        flood: bool = False,
        query_seconds: float = QUERY_SECONDS,
        first_number: int = 1,
        http_apps: bool = False,
    ) -> None:
        self.http_apps = http_apps
        # where updates and messages begin to be counted: never again where a bot remembers another run's
        self.first_number = first_number
        self.auto_register = auto_register
        self.flood = flood
        self.query_seconds = query_seconds
        self.bell = Bell()
        self.version = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything but the bots' tokens: people, chats, messages, faults, logs."""
        tokens = [(bot.token, bot.user) for bot in getattr(self, "bots", {}).values()]
        for bot in getattr(self, "bots", {}).values():
            bot.webhook.url = ""
            bot.webhook.generation += 1
            bot.poller = None
            bot.poller_gone = "Conflict: terminated by a reset of the simulator"
            bot.bell.ring()
        self.bots: dict[str, Bot] = {
            token: Bot(token, user, next_update=self.first_number, next_message=self.first_number)
            for token, user in tokens
        }
        self.people: dict[int, User] = {}
        # who deleted their account
        self.deactivated: set[int] = set()
        self.private: dict[tuple[int, int], Chat] = {}
        self.groups: dict[int, Chat] = {}
        self.files: dict[str, StoredFile] = {}
        self.calls: deque[dict[str, Any]] = deque(maxlen=CALLS_KEPT)
        self.calls_made = 0
        self.answers: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.fault_number = 0
        # when a bot wrote to a chat, for the flood limits
        self.sends: dict[tuple[int, int], deque[float]] = {}
        # updates that arrive later
        self.late: set[asyncio.TimerHandle] = set()
        self.changed()

    def changed(self) -> None:
        """Wake whoever watches: the page, waiting tests."""
        self.version += 1
        self.bell.ring()

    def expire(self) -> None:
        """Take away chat actions and drafts whose time is over."""
        if any([chat.expire() for chat in (*self.private.values(), *self.groups.values())]):  # noqa: C419 - all of them
            self.changed()

    def close(self) -> None:
        """Drop what was to happen later."""
        for handle in self.late:
            handle.cancel()
        self.late.clear()

    # --- people, bots, chats ----------------------------------------------------------------------

    def person(self, user_id: int) -> User:
        """Who it is. Raises WrongRequest."""
        if user_id not in self.people:
            raise WrongRequest(f"there is no user {user_id}")
        return self.people[user_id]

    def which_bot(self, name: str | int | None = None) -> Bot:
        """A bot by id, username or token; the first one without a name. Raises WrongRequest."""
        for bot in self.bots.values():
            if not name or str(name).lstrip("@").lower() in (str(bot.id), bot.username.lower(), bot.token.lower()):
                return bot
        raise WrongRequest(f"there is no bot {name}" if name else "no bot has connected yet")

    def bot_by_id(self, bot_id: int) -> Bot | None:
        """The bot with this user id."""
        return next((bot for bot in self.bots.values() if bot.id == bot_id), None)

    def anybody(self, user_id: int) -> User | None:
        """A person or a bot."""
        bot = self.bot_by_id(user_id)
        return self.people.get(user_id) or (bot.user if bot else None)

    def private_chat(self, bot: Bot, user_id: int) -> Chat:
        """The chat of a person with a bot."""
        found = self.private.get((bot.id, user_id))
        if found is None:
            found = Chat(user_id, "private", bot_id=bot.id, members={user_id: "member", bot.id: "member"})
            found.forum = bool(bot.user["has_topics_enabled"])
            self.private[bot.id, user_id] = found
        return found

    def chat_for(self, user_id: int, chat_id: int | None, bot: str | int | None = None) -> Chat:
        """The chat a person means: a group by its id, otherwise their own with a bot. Raises WrongRequest."""
        self.person(user_id)
        if user_id in self.deactivated:
            raise WrongRequest(f"user {user_id} deleted the account")
        if chat_id is None or chat_id == user_id:
            return self.private_chat(self.which_bot(bot), user_id)
        chat = self.groups.get(chat_id)
        if chat is None or not chat.has(user_id) or chat.migrated_to:
            raise WrongRequest(f"user {user_id} is not in chat {chat_id}")
        return chat

    def chats_of(self, user_id: int) -> list[Chat]:
        """All chats of a person; there is one with every bot."""
        own = [self.private_chat(bot, user_id) for bot in self.bots.values()]
        return own + [group for group in self.groups.values() if group.has(user_id)]

    def chat_view(self, chat: Chat) -> dict[str, Any]:
        """A chat as updates show it."""
        if not chat.private:
            named = {"username": chat.username} if chat.username else {}
            forum = {"is_forum": True} if chat.forum else {}
            return {"id": chat.id, "type": chat.type, "title": chat.title, **named, **forum}
        person = self.people.get(chat.id, {})
        names: dict[str, Any] = {k: person[k] for k in ("first_name", "last_name", "username") if k in person}
        return {"id": chat.id, "type": "private", **names}

    def group(self, chat_id: int) -> Chat:
        """A group by its id. Raises WrongRequest."""
        if chat_id not in self.groups:
            raise WrongRequest(f"there is no group {chat_id}")
        return self.groups[chat_id]
