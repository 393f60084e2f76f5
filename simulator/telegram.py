"""A Telegram in memory: people, chats, what they do, and the updates bots get of it."""

import asyncio
import itertools
import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from simulator.errors import ApiError, WrongRequest, bad, forbidden, too_many
from simulator.launch import THEMES, launch_url, signed, user_field
from simulator.raw import lane_of, numbered, parsed, update_number
from simulator.rich import buttons_of, plain, received_rich
from simulator.state import (
    FAULT_KINDS,
    UPDATE_FAULTS,
    Bell,
    Bot,
    Chat,
    Fault,
    Message,
    Queued,
    RawBody,
    StoredFile,
    Update,
    User,
)
from simulator.text import cut, found_in, has_link, units

QUERY_SECONDS = 120.0
LONGEST_POLL = 50.0
GROUP_PER_MINUTE = 20
BURST = 5
START_PARAM = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
CALLS_KEPT = 5000
MOVES_COUNTER = 1_000_000
FILE_LIMIT = 50_000_000
DOWNLOAD_LIMIT = 20_000_000

_MODIFIED_KEYS = ("text", "caption", "entities", "caption_entities", "reply_markup")


class Telegram:
    """The whole of it.

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
        self._fault_number = 0
        self._sends: dict[tuple[int, int], deque[float]] = {}
        self._late: set[asyncio.TimerHandle] = set()
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
        for handle in self._late:
            handle.cancel()
        self._late.clear()

    # --- people, bots, chats ----------------------------------------------------------------------

    def add_person(self, user_id: int, first_name: str, **more: Any) -> User:
        """A person: id, first_name and, when given, last_name, username, language_code, is_premium, photo_url."""
        if user_id <= 0 or not first_name:
            raise WrongRequest("a person needs a positive id and a first name")
        person = {"id": user_id, "is_bot": False, "first_name": first_name}
        person |= {name: value for name, value in more.items() if value not in (None, "")}
        self.people[user_id] = person
        self.changed()
        return person

    def person(self, user_id: int) -> User:
        """Who it is. Raises WrongRequest."""
        if user_id not in self.people:
            raise WrongRequest(f"there is no user {user_id}")
        return self.people[user_id]

    def register_bot(
        self,
        token: str,
        *,
        username: str = "",
        first_name: str = "",
        privacy: bool = True,
        app_url: str = "",
        topics: bool = False,
    ) -> Bot:
        """A bot with this token (`<number>:<secret>`); a known one is changed. Groups open to bots take it in.

        `topics`: its private chats have topics.
        """
        number, _, secret = token.partition(":")
        if not number.isdigit() or len(secret) < 4:
            raise WrongRequest("a token is <number>:<secret>")
        user = {
            "id": int(number),
            "is_bot": True,
            "first_name": first_name or "Pilot",
            "username": username or ("pilot_demo_bot" if not self.bots else f"demo{number}_bot"),
            "can_join_groups": True,
            "can_read_all_group_messages": not privacy,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": bool(app_url),
            "has_topics_enabled": topics,
        }
        known = self.bots.get(token)
        if known is not None:
            known.user, known.app_url = user, app_url
            self.changed()
            return known
        first = self.first_number
        bot = self.bots[token] = Bot(token, user, app_url=app_url, next_update=first, next_message=first)
        for group in self.groups.values():
            if group.takes_all_bots:
                self.join(group.id, bot.id)
        self.changed()
        return bot

    def bot(self, token: str) -> Bot:
        """The bot of a call. Raises ApiError 401."""
        found = self.bots.get(token)
        if found is not None:
            return found
        if self.auto_register:
            try:
                return self.register_bot(token)
            except WrongRequest:
                pass
        raise ApiError(401, "Unauthorized")

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

    def add_group(
        self,
        title: str,
        members: Iterable[int],
        *,
        bots: Iterable[str | int] | None = None,
        owner: int | None = None,
        forum: bool = False,
        basic: bool = False,
    ) -> Chat:
        """A supergroup of these people. `bots`: names of bots in it; None = every bot, later ones too.

        `forum`: it has topics. `basic`: a group of the old kind, which can be upgraded.
        """
        people = [self.person(user_id)["id"] for user_id in members]
        number = len(self.groups) + 1
        chat = Chat(-number, "group", title) if basic else Chat(-1_001_000_000_000 - number, "supergroup", title)
        chat.forum = forum and not basic
        chat.takes_all_bots = bots is None
        chat.members = dict.fromkeys(people, "member")
        if people:
            chat.members[owner if owner in chat.members and owner is not None else people[0]] = "creator"
        self.groups[chat.id] = chat
        names = [bot.id for bot in self.bots.values()] if bots is None else [self.which_bot(n).id for n in bots]
        for bot_id in names:
            self.join(chat.id, bot_id)
        self.changed()
        return chat

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

    # --- membership -------------------------------------------------------------------------------

    def _member_view(self, chat: Chat, user_id: int) -> dict[str, Any]:
        status = chat.members.get(user_id, "left")
        view: dict[str, Any] = {"status": status, "user": _plain(self.anybody(user_id) or {})}
        if status == "administrator":
            rights = (
                "can_be_edited is_anonymous can_delete_messages can_manage_video_chats can_restrict_members "
                "can_promote_members can_change_info can_invite_users can_post_stories can_edit_stories "
                "can_delete_stories can_send_welcome_messages"
            )
            view |= dict.fromkeys(rights.split(), False) | {"can_manage_chat": True, "can_delete_messages": True}
        elif status == "creator":
            view["is_anonymous"] = False
        elif status == "kicked":
            view["until_date"] = 0
        return view

    def member_view(self, chat: Chat, user_id: int) -> dict[str, Any]:
        """A ChatMember."""
        return self._member_view(chat, user_id)

    def _set_status(self, chat: Chat, user_id: int, status: str, by: User) -> None:
        """Change who somebody is in a chat, and tell the bots it concerns."""
        before = self._member_view(chat, user_id)
        chat.members[user_id] = status
        change = {
            "chat": self.chat_view(chat),
            "from": by,
            "date": int(time.time()),
            "old_chat_member": before,
            "new_chat_member": self._member_view(chat, user_id),
        }
        for bot in self.bots.values():
            if bot.id == user_id:
                self.push(bot, {"my_chat_member": change})
            elif chat.is_admin(bot.id):
                self.push(bot, {"chat_member": change})

    def join(self, chat_id: int, user_id: int, *, status: str = "member", by: int | None = None) -> None:
        """Somebody (a person or a bot) comes into a group, or gets another status there."""
        chat = self._group(chat_id)
        member = self.anybody(user_id)
        if member is None:
            raise WrongRequest(f"there is no user {user_id}")
        if status not in ("member", "administrator", "creator"):
            raise WrongRequest("status must be member, administrator or creator")
        new = not chat.has(user_id)
        actor = self.people.get(by or next(iter(chat.members), 0)) or member
        self._set_status(chat, user_id, status, actor)
        if new:
            self._tell(chat, self.post(chat, actor, {"new_chat_members": [_plain(member)]}), service=True)
        self.changed()

    def leave(self, chat_id: int, user_id: int, *, kicked: bool = False, by: int | None = None) -> None:
        """Somebody leaves a group, or is thrown out of it."""
        chat = self._group(chat_id)
        member = self.anybody(user_id)
        if member is None or not chat.has(user_id):
            raise WrongRequest(f"user {user_id} is not in chat {chat_id}")
        actor = self.people.get(by or 0) or member
        gone = self.post(chat, actor, {"left_chat_member": _plain(member)})
        self._set_status(chat, user_id, "kicked" if kicked else "left", actor)
        self._tell(chat, gone, service=True)
        self.changed()

    def _group(self, chat_id: int) -> Chat:
        if chat_id not in self.groups:
            raise WrongRequest(f"there is no group {chat_id}")
        return self.groups[chat_id]

    def upgrade(self, chat_id: int) -> Chat:
        """A group becomes a supergroup with another id: both say so, and writing to the old one is refused."""
        old = self._group(chat_id)
        if old.type != "group" or old.migrated_to:
            raise WrongRequest(f"chat {chat_id} is no group that can be upgraded")
        new = Chat(-1_001_000_000_000 - len(self.groups) - 1, "supergroup", old.title)
        new.members, new.takes_all_bots = dict(old.members), old.takes_all_bots
        self.groups[new.id] = new
        by = next((self.people[user_id] for user_id in old.members if user_id in self.people), None)
        if by is None:
            raise WrongRequest(f"nobody is in chat {chat_id}")
        self._tell(old, self.post(old, by, {"migrate_to_chat_id": new.id}), service=True)
        old.migrated_to = new.id
        self._tell(new, self.post(new, by, {"migrate_from_chat_id": old.id}), service=True)
        self.changed()
        return new

    def open_topic(self, chat: Chat, name: str, by: User, *, icon_color: int = 7322096) -> dict[str, Any]:
        """A topic of a forum, or of a private chat with topics: its thread, name and colour. Raises WrongRequest."""
        if not chat.forum:
            raise WrongRequest(f"chat {chat.id} has no topics")
        created = {"name": name, "icon_color": icon_color}
        message = self.post(chat, by, {"forum_topic_created": created})
        thread = message["message_thread_id"] = message["message_id"]
        message["is_topic_message"] = True
        chat.topics[thread] = dict(created)
        self._tell(chat, message, service=True)
        self.changed()
        return {"message_thread_id": thread, **created}

    def deactivate(self, user_id: int) -> None:
        """A person deletes the account: nobody can write to them, and bots are told as if they had been blocked.

        That bots are told by my_chat_member is from memory.
        """
        person = self.person(user_id)
        if user_id in self.deactivated:
            return
        for chat in [chat for (_, who), chat in self.private.items() if who == user_id and chat.started]:
            self._set_status(chat, chat.bot_id, "kicked", person)
        self.deactivated.add(user_id)
        self.changed()

    def delete(self, chat: Chat, message_id: int) -> None:
        """A message is deleted, by whom does not matter: bots are not told. Raises WrongRequest."""
        if message_id not in chat.messages:
            raise WrongRequest(f"there is no message {message_id}")
        self.forget(chat, message_id)
        self.changed()

    @staticmethod
    def forget(chat: Chat, message_id: int) -> None:
        """Take a message out of its chat."""
        chat.gone[message_id] = chat.messages.pop(message_id)
        chat.reactions.pop(message_id, None)
        if message_id in chat.pinned:
            chat.pinned.remove(message_id)

    def block(self, user_id: int, bot: str | int | None = None) -> None:
        """A person blocks a bot."""
        self._set_blocked(self.chat_for(user_id, None, bot), blocked=True)

    def unblock(self, user_id: int, bot: str | int | None = None) -> None:
        """A person takes a bot back."""
        self._set_blocked(self.chat_for(user_id, None, bot), blocked=False)

    def _set_blocked(self, chat: Chat, *, blocked: bool) -> None:
        if chat.blocked == blocked:
            return
        chat.blocked = blocked
        self._set_status(chat, chat.bot_id, "kicked" if blocked else "member", self.person(chat.id))
        self.changed()

    # --- updates ----------------------------------------------------------------------------------

    def push(self, bot: Bot, update: Update, *, copies: int = 1) -> Update | None:
        """Queue an update under the bot's next number; None if the bot did not ask for this kind.

        `copies` > 1 delivers it again with the same number, also after it was confirmed, as happens with Telegram
        when it restarts. Faults `duplicate` and `late` are met here.
        """
        kind = next((k for k in update if k != "update_id"), "")
        if not bot.wants(kind):
            return None
        late = self._take_fault(kind, only=("late",))
        twice = self._take_fault(kind, only=("duplicate",))
        again = copies - 1 + (1 if twice else 0)
        if late is not None:
            self._later(late.seconds, bot, update, again)
            return update
        return self._queue(bot, update, again)

    def _queue(self, bot: Bot, update: Update, again: int) -> Update:
        number = update.get("update_id", bot.next_update)
        bot.next_update = max(bot.next_update, number + 1)
        full = {"update_id": number} | {k: v for k, v in update.items() if k != "update_id"}
        # written down now: an update keeps what was true when it was made
        bot.queue.append(Queued(json.dumps(full).encode(), number, again, lane=lane_of(full)))
        bot.bell.ring()
        return full

    def push_raw(self, bot: Bot, updates: Sequence[bytes], *, fresh: bool = False, copies: int = 1) -> list[int]:
        """Queue bytes as updates, all at once, whatever they are; their places in the queue.

        They go to getUpdates or the webhook as given: no kind is held back and no fault is met. `fresh`: each gets the
        bot's next number (only an object can); otherwise each keeps its own, and one below what the bot has confirmed
        is handed out once all the same. Bytes without a number take the next place, which the numbers after it confirm.
        """
        places = []
        for raw in updates:
            own = None if fresh else update_number(raw)
            number = bot.next_update if own is None else own
            # a number far beyond the others moves no counter: the numbers after it would be wrong for ever
            if own is None or 0 <= own - bot.next_update < MOVES_COUNTER:
                bot.next_update = number + 1
            full = numbered(raw, number) if fresh else raw
            lane = lane_of(parsed(full))
            bot.queue.append(Queued(full, number, copies - 1, repeated=number < bot.confirmed, lane=lane))
            places.append(number)
        bot.bell.ring()
        self.changed()
        return places

    def answer_raw(self, bot: Bot, body: RawBody) -> None:
        """Let the next getUpdates of a bot, also one that waits, answer with this and nothing else."""
        bot.bodies.append(body)
        bot.bell.ring()
        self.changed()

    def _later(self, seconds: float, bot: Bot, update: Update, again: int) -> None:
        handle: asyncio.TimerHandle

        def arrive() -> None:
            self._late.discard(handle)
            self._queue(bot, update, again)
            self.changed()

        handle = asyncio.get_running_loop().call_later(seconds, arrive)
        self._late.add(handle)

    async def get_updates(
        self,
        bot: Bot,
        *,
        offset: int,
        limit: int,
        seconds: float,
        allowed: list[str] | None,
        gone: Callable[[], bool] = lambda: False,
    ) -> RawBody:
        """Long polling: confirms what lies below `offset`, waits up to `seconds` for something new.

        Gives the whole body of the answer. Who asked and is `gone` is given nothing. A second request ends the first
        one with 409; a webhook refuses both.
        """
        if bot.webhook.url:
            raise ApiError(
                409,
                "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )
        if allowed is not None:
            bot.allowed = allowed
        self.stop_polling(bot, "getUpdates request; make sure that only one bot instance is running", other=True)
        me = bot.poller = object()
        self._confirm(bot, offset)
        ends = time.monotonic() + min(LONGEST_POLL, max(0.0, seconds))
        try:
            while True:
                if bot.bodies and not gone():
                    return bot.bodies.popleft()
                found = [q for q in bot.queue if q.repeated or q.number >= offset][:limit]
                left = ends - time.monotonic()
                if gone():
                    return RawBody(b"")
                if found or left <= 0:
                    for queued in found:
                        queued.handed = True
                    return RawBody(b'{"ok": true, "result": [' + b", ".join(q.raw for q in found) + b"]}")
                await bot.bell.wait(left)
                if bot.poller is not me:
                    raise ApiError(409, bot.poller_gone)
        finally:
            bot.polled_at = time.monotonic()
            if bot.poller is me:
                bot.poller = None

    def _confirm(self, bot: Bot, offset: int) -> None:
        if offset < 0:
            while len(bot.queue) > -offset:
                bot.queue.popleft()
            return
        bot.confirmed = max(bot.confirmed, offset)
        kept: deque[Queued] = deque()
        for queued in bot.queue:
            taken = queued.handed if queued.repeated else queued.number < offset
            if not taken:
                kept.append(queued)
            elif queued.again > 0:
                kept.append(queued.once_more())
        bot.queue = kept

    def stop_polling(self, bot: Bot, why: str, *, other: bool = False) -> None:
        """End the request that waits, as Telegram does: `terminated by ...`."""
        if bot.poller is not None:
            bot.poller = None
            bot.poller_gone = f"Conflict: terminated by {'other ' if other else ''}{why}"
            bot.bell.ring()

    # --- messages ---------------------------------------------------------------------------------

    def post(self, chat: Chat, sender: User, content: dict[str, Any]) -> Message:
        """Put a message into a chat; numbers run per group, and per bot over its private chats."""
        counter: Bot | Chat = chat
        if chat.private:
            counter = self.bot_by_id(chat.bot_id) or chat
        number = counter.next_message
        counter.next_message += 1
        message = {
            "message_id": number,
            "from": _plain(sender),
            "chat": self.chat_view(chat),
            "date": int(time.time()),
            **content,
        }
        chat.messages[number] = message
        if sender["is_bot"]:
            chat.last_bot = sender["id"]
            chat.action_until = 0.0
            chat.drafts.clear()
        return message

    @staticmethod
    def in_thread(chat: Chat, message: Message, *, thread: int = 0, replied: Message | None = None) -> None:
        """Where a message belongs: a topic of a forum, or the thread a reply in a supergroup makes."""
        thread = thread or (replied or {}).get("message_thread_id", 0)
        if chat.forum and thread:
            message |= {"message_thread_id": thread, "is_topic_message": True}
        elif chat.type == "supergroup" and not chat.forum and replied is not None:
            message["message_thread_id"] = thread or replied["message_id"]

    def quoted(self, message: Message) -> Message:
        """A message as a reply shows it: without what it replies to itself."""
        return {name: value for name, value in message.items() if name != "reply_to_message"}

    def say(
        self,
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
        chat = self.chat_for(user_id, chat_id, bot)
        if not text.strip() and not more:
            raise WrongRequest("an empty message cannot be sent")
        if units(text) > 4096:
            raise WrongRequest("people cannot send more than 4096 characters at once either")
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
            content["reply_to_message"] = self.quoted(replied)
        self.in_thread(chat, content, thread=topic or 0, replied=replied)
        if chat.private and chat.blocked:
            self._set_blocked(chat, blocked=False)
        if chat.private:
            # writing first is what allows a bot to answer; clients only offer START for it
            chat.started = True
        message = self.post(chat, self.person(user_id), content)
        if chat.keyboard and chat.keyboard.get("one_time_keyboard"):
            chat.keyboard = None
        self._tell(chat, message, copies=copies)
        self.changed()
        return message

    def _tell(
        self, chat: Chat, message: Message, *, service: bool = False, kind: str = "message", copies: int = 1
    ) -> None:
        for bot in self.bots.values():
            if self._hears(bot, chat, message, service=service):
                self.push(bot, {kind: message}, copies=copies)

    def _hears(self, bot: Bot, chat: Chat, message: Message, *, service: bool) -> bool:
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
        only = [b.id for b in self.bots.values() if chat.has(b.id)] == [bot.id]
        for entity in message.get("entities") or message.get("caption_entities") or []:
            part = cut(text, entity).lower()
            if entity["type"] == "mention" and part == name:
                return True
            if entity["type"] == "bot_command":
                _, at, addressed = part.partition("@")
                if f"@{addressed}" == name if at else entity["offset"] == 0 and (only or chat.last_bot == bot.id):
                    return True
        return False

    def forward_rich(
        self, user_id: int, rich: Any, *, chat_id: int | None = None, bot: str | int | None = None
    ) -> Message:
        """A person forwards a rich message of somebody who does not want to be named. Raises ApiError, WrongRequest."""
        origin = {"type": "hidden_user", "sender_user_name": "Somebody", "date": int(time.time())}
        more = {"rich_message": received_rich(rich), "forward_origin": origin}
        return self.say(user_id, "", chat_id=chat_id, bot=bot, more=more)

    def edit_own(
        self, user_id: int, message_id: int, text: str, *, chat_id: int | None = None, bot: str | int | None = None
    ) -> Message:
        """A person edits a message of theirs."""
        chat = self.chat_for(user_id, chat_id, bot)
        message = chat.messages.get(message_id)
        if message is None or message["from"]["id"] != user_id or "text" not in message:
            raise WrongRequest(f"message {message_id} cannot be edited by user {user_id}")
        self.remember_edit(chat, message)
        message["text"] = text.strip()
        message.pop("entities", None)
        message.pop("link_preview_options", None)
        entities = found_in(message["text"], [])
        if entities:
            message["entities"] = entities
        if has_link(entities):
            message["link_preview_options"] = {"is_disabled": True}
        message["edit_date"] = int(time.time())
        self._tell(chat, message, kind="edited_message")
        self.changed()
        return message

    def remember_edit(self, chat: Chat, message: Message) -> None:
        """Keep what a message said before."""
        before = {k: message[k] for k in _MODIFIED_KEYS if k in message} | {"until": int(time.time())}
        chat.edits.setdefault(message["message_id"], []).append(_frozen(before))

    def upload(
        self,
        user_id: int,
        name: str,
        data: bytes,
        *,
        caption: str = "",
        chat_id: int | None = None,
        bot: str | int | None = None,
    ) -> Message:
        """A person sends a file."""
        chat = self.chat_for(user_id, chat_id, bot)
        owner = chat.bot_id or next((b.id for b in self.bots.values() if chat.has(b.id)), 0)
        more: dict[str, Any] = {"document": self.keep_file(owner, name, data, kind="documents")}
        if caption:
            more["caption"] = caption
        return self.say(user_id, "", chat_id=chat_id, bot=bot, more=more)

    def keep_file(self, bot_id: int, name: str, data: bytes, *, kind: str) -> dict[str, Any]:
        """Keep a file for a bot; a Document."""
        file_id = f"BQ{secrets.token_urlsafe(24)}"
        number = sum(1 for f in self.files.values() if f.bot_id == bot_id)
        ending = name.rpartition(".")[2] if "." in name else "bin"
        path = f"{kind}/file_{number}.{ending if ending.isalnum() else 'bin'}"
        self.files[file_id] = StoredFile(bot_id, name, data, path, kind)
        return {"file_id": file_id, "file_unique_id": f"AQ{file_id[2:14]}", "file_name": name, "file_size": len(data)}

    def press(
        self,
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
        chat = self.chat_for(user_id, chat_id, bot)
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
                    return self._pressed(chat, message, one, user_id)
        raise WrongRequest(f"there is no button {button!r} (any more)")

    def _pressed(self, chat: Chat, message: Message, button: dict[str, Any], user_id: int) -> dict[str, Any]:
        if not button.get("callback_data") or button.get("disabled"):
            raise WrongRequest(f"the button {button['text']!r} tells the bot nothing")
        owner = self.bot_by_id(message["from"]["id"])
        if owner is None:
            raise WrongRequest("the message is of no bot")
        shown = message if message["message_id"] in chat.messages else self._inaccessible(chat, message)
        return self.forge_press(
            user_id, shown, button["callback_data"], bot=owner.id, instance=self.chat_instance(chat)
        )

    def forge_press(
        self, user_id: int, message: Message, data: str, *, bot: str | int | None = None, instance: str = "1"
    ) -> dict[str, Any]:
        """A press with any data on any message, as clients of one's own can make: no button needs to have it.

        The query can be answered like every other one. Raises WrongRequest.
        """
        owner = self.which_bot(bot)
        query: dict[str, Any] = {
            "id": str(secrets.randbits(62)),
            "from": self.person(user_id),
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
        self.push(owner, {"callback_query": query})
        self.changed()
        return query

    def _inaccessible(self, chat: Chat, message: Message) -> Message:
        """What is told of a message that was deleted."""
        return {"message_id": message["message_id"], "chat": self.chat_view(chat), "date": 0}

    @staticmethod
    def chat_instance(chat: Chat) -> str:
        """The number that stands for a chat in presses and launch data."""
        return str((abs(chat.id) * 7919 + chat.bot_id) * (-1 if chat.id < 0 else 1))

    def react(
        self, user_id: int, message_id: int, emoji: str, *, chat_id: int | None = None, bot: str | int | None = None
    ) -> None:
        """A person puts an emoji on a message, or takes theirs away (empty). Bots hear of it if they asked to."""
        chat = self.chat_for(user_id, chat_id, bot)
        if message_id not in chat.messages:
            raise WrongRequest(f"there is no message {message_id}")
        of_message = chat.reactions.setdefault(message_id, {})
        old = of_message.get(user_id, [])
        new = [{"type": "emoji", "emoji": emoji}] if emoji else []
        of_message[user_id] = new
        change = {
            "chat": self.chat_view(chat),
            "message_id": message_id,
            "user": self.person(user_id),
            "date": int(time.time()),
            "old_reaction": old,
            "new_reaction": new,
        }
        for one in self.bots.values():
            if (chat.private and chat.bot_id == one.id) or (not chat.private and chat.is_admin(one.id)):
                self.push(one, {"message_reaction": change})
        self.changed()

    # --- Mini Apps --------------------------------------------------------------------------------

    def open_app(
        self,
        user_id: int,
        *,
        bot: str | int | None = None,
        url: str = "",
        start_param: str = "",
        how: str = "",
        theme: str = "light",
        chat_id: int | None = None,
        auth_date: int | None = None,
    ) -> dict[str, str]:
        """What a client opens when a person opens a Mini App: `url` to open and its `initData`.

        `how`: `menu` or `inline` (a query_id comes along), `link` (chat_instance, chat_type and start_param),
        `keyboard` (no user at all); without it a start parameter means a link. The address defaults to the bot's.
        """
        one = self.which_bot(bot)
        chat = self.chat_for(user_id, chat_id, one.id)
        target = url or one.mini_app(user_id)
        how = how or ("link" if start_param else "menu")
        if not target:
            raise WrongRequest("the bot has no Mini App yet")
        if theme not in THEMES or how not in ("menu", "inline", "link", "keyboard"):
            raise WrongRequest("theme is light or dark; how is menu, inline, link or keyboard")
        if len(start_param) > 512 or not START_PARAM.issuperset(start_param):
            raise WrongRequest("a start parameter is up to 512 of A-Z a-z 0-9 _ -")
        fields: dict[str, str] = {}
        if how != "keyboard":
            fields["user"] = user_field(self.person(user_id))
        if how in ("menu", "inline"):
            fields["query_id"] = f"AAH{secrets.token_urlsafe(15)}"
            one.web_app_queries[fields["query_id"]] = user_id
        if how == "link":
            fields |= {
                "chat_instance": self.chat_instance(chat),
                "chat_type": "sender" if chat.private else chat.type,
            }
            if start_param:
                fields["start_param"] = start_param
        fields["auth_date"] = str(int(time.time()) if auth_date is None else auth_date)
        data = signed(one.token, fields)
        return {"url": launch_url(target, data, theme=theme, start_param=start_param), "initData": data}

    def web_app_data(self, user_id: int, data: str, button_text: str, *, bot: str | int | None = None) -> Message:
        """A Mini App opened from a reply keyboard sends its data to the bot."""
        if not 1 <= len(data.encode()) <= 4096:
            raise WrongRequest("data of a Mini App is 1 to 4096 bytes")
        return self.say(user_id, "", bot=bot, more={"web_app_data": {"data": data, "button_text": button_text}})

    # --- what the Bot API asks --------------------------------------------------------------------

    def target(self, bot: Bot, chat_id: Any, *, write: bool = True) -> Chat:
        """The chat a bot may write to, or look at. Raises ApiError 400 or 403."""
        name = str(chat_id or "")
        if not name:
            raise bad("chat_id is empty")
        if name.startswith("@"):
            chat = next((g for g in self.groups.values() if g.username.lower() == name[1:].lower()), None)
        elif name.lstrip("-").isdigit():
            number = int(name)
            chat = self.groups.get(number)
            if chat is None and number in self.people:
                chat = self.private_chat(bot, number)
        else:
            chat = None
        if chat is None:
            raise bad("chat not found")
        if chat.private:
            if write:
                self._reachable(chat)
        elif chat.migrated_to:
            if write:
                words = "Bad Request: group chat was upgraded to a supergroup chat"
                raise ApiError(400, words, migrate_to_chat_id=chat.migrated_to)
        elif chat.members.get(bot.id) == "kicked":
            raise forbidden(f"bot was kicked from the {chat.type} chat")
        elif not chat.has(bot.id):
            raise forbidden(f"bot is not a member of the {chat.type} chat")
        return chat

    def _reachable(self, chat: Chat) -> None:
        if chat.id in self.deactivated:
            raise forbidden("user is deactivated")
        if not chat.started:
            raise forbidden("bot can't initiate conversation with a user")
        if chat.blocked:
            raise forbidden("bot was blocked by the user")

    @staticmethod
    def thread(chat: Chat, thread: int) -> int:
        """The topic a bot means by `message_thread_id`, 0 for none; where there are no topics it counts for nothing.

        Private chats refuse an unknown one even without topics. Raises ApiError 400.
        """
        if not thread or not (chat.forum or chat.private):
            return 0
        topic = chat.topics.get(thread)
        if topic is None:
            raise bad("message thread not found")
        if topic.get("closed"):
            # word from memory
            raise bad("TOPIC_CLOSED")
        return thread

    def pace(self, bot: Bot, chat: Chat) -> None:
        """Flood limits, when they are on. Raises ApiError 429."""
        if not self.flood:
            return
        now = time.monotonic()
        times = self._sends.setdefault((bot.id, chat.id), deque(maxlen=60))
        recent = [t for t in times if now - t < BURST]
        if len(recent) >= BURST:
            raise too_many(max(1, round(BURST - (now - recent[0]))))
        minute = [t for t in times if now - t < 60]
        if not chat.private and len(minute) >= GROUP_PER_MINUTE:
            raise too_many(max(1, round(60 - (now - minute[0]))))
        times.append(now)

    # --- faults -----------------------------------------------------------------------------------

    def add_fault(self, method: str, kind: str, *, count: int = 1, seconds: float = 1.0, **error: Any) -> Fault:
        """Let something go wrong, see `Fault`; `error`: code, description, parameters. Raises WrongRequest."""
        if kind not in FAULT_KINDS:
            raise WrongRequest(f"kind must be one of {', '.join(FAULT_KINDS)}")
        if count < 1 or seconds < 0:
            raise WrongRequest("count must be at least 1 and seconds at least 0")
        self._fault_number += 1
        fault = Fault(method or "*", kind, count, seconds, self._fault_number, **error)
        self.faults.append(fault)
        self.changed()
        return fault

    def clear_faults(self, number: int | None = None) -> None:
        """Take one fault back, or all."""
        self.faults = [f for f in self.faults if number is not None and f.number != number]
        self.changed()

    def fault_of_call(self, method: str) -> Fault | None:
        """The fault the next call of this method meets, used up by asking."""
        return self._take_fault(method, only=[k for k in FAULT_KINDS if k not in UPDATE_FAULTS])

    def _take_fault(self, name: str, *, only: Iterable[str]) -> Fault | None:
        for fault in self.faults:
            if fault.kind in only and fault.meets(name):
                fault.count -= 1
                if fault.count == 0:
                    self.faults.remove(fault)
                self.changed()
                return fault
        return None


def _plain(user: User) -> User:
    """A user without what only getMe tells."""
    return {k: v for k, v in user.items() if not k.startswith(("can_", "supports_", "has_")) and k != "photo_url"}


def _frozen(value: Any) -> Any:
    """A deep copy: an update keeps what was true when it was made."""
    if isinstance(value, dict):
        return {k: _frozen(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_frozen(v) for v in value]
    return value
