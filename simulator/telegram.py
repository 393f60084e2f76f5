"""A Telegram in memory: people, chats, messages, updates, and the methods of the Bot API on them."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from simulator import rules
from simulator.launch import init_data, launch_url
from simulator.rules import ApiError, bad

QUERY_LIFE = 120.0
Params = dict[str, Any]


@dataclass
class Fault:
    """What goes wrong with the next `count` calls of a method (`*` = any).

    kind: `429` (with retry_after), `5xx`, `drop_before` (connection dropped, nothing done),
    `drop_after` (done, but the answer is lost), `delay` (seconds).
    """

    method: str
    kind: str
    count: int = 1
    seconds: float = 1.0


@dataclass
class BotState:
    """One bot: its identity, its updates not yet confirmed, its webhook."""

    token: str
    user: dict[str, Any]
    updates: deque[dict[str, Any]] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    next_update: int = 1
    webhook: str = ""
    secret: str = ""
    allowed: list[str] = field(default_factory=list)
    last_error: str = ""
    polling: int = 0
    commands: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    menu_button: dict[str, Any] = field(default_factory=lambda: {"type": "default"})
    queries: dict[str, dict[str, Any]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


@dataclass
class Chat:
    """A private chat (id of the person) or a group (negative id)."""

    id: int
    type: str
    title: str = ""
    members: set[int] = field(default_factory=set)
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    edits: dict[int, list[str]] = field(default_factory=dict)
    next_message: int = 1
    started: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)
    action: str = ""
    draft: str = ""

    def public(self) -> dict[str, Any]:
        """The chat as updates show it."""
        return {"id": self.id, "type": self.type, **({"title": self.title} if self.title else {})}


class Telegram:
    """The whole of it. `flood` turns Telegram's limits on (1 message a second and chat, with a burst of 5)."""

    def __init__(self, *, auto_register: bool = True, flood: bool = False) -> None:
        self.bots: dict[str, BotState] = {}
        self.people: dict[int, dict[str, Any]] = {}
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, tuple[str, bytes]] = {}
        self.calls: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.auto_register = auto_register
        self.flood = flood
        self._sends: dict[int, deque[float]] = {}
        self._watchers: set[asyncio.Event] = set()
        self.version = 0

    # --- people and chats -------------------------------------------------------------------------

    def add_person(self, user_id: int, first_name: str, **more: Any) -> dict[str, Any]:
        """A person, with the private chat they have with any bot."""
        person = {"id": user_id, "is_bot": False, "first_name": first_name, **more}
        self.people[user_id] = person
        self.chats.setdefault(user_id, Chat(user_id, "private", members={user_id}))
        self.changed()
        return person

    def add_group(self, title: str, members: list[int]) -> Chat:
        """A group with these people; every bot of this Telegram is in it, with privacy mode on."""
        chat = Chat(-1_000_000_000_000 - len(self.chats), "supergroup", title, set(members))
        self.chats[chat.id] = chat
        self.changed()
        return chat

    def bot(self, token: str) -> BotState:
        """The bot with this token; unknown ones appear when they are well-formed and that is allowed."""
        found = self.bots.get(token)
        if found is not None:
            return found
        number, _, secret = token.partition(":")
        if not self.auto_register or not number.isdigit() or len(secret) < 4:
            raise ApiError(401, "Unauthorized")
        user = {
            "id": int(number),
            "is_bot": True,
            "first_name": "Pilot",
            "username": "pilot_demo_bot",
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }
        self.bots[token] = BotState(token, user)
        return self.bots[token]

    def only_bot(self) -> BotState:
        """The first bot, for a page that shows one."""
        if not self.bots:
            raise bad("no bot has connected yet")
        return next(iter(self.bots.values()))

    def changed(self) -> None:
        """Wake whoever watches (the page)."""
        self.version += 1
        for watcher in self._watchers:
            watcher.set()

    def watch(self) -> tuple[asyncio.Event, Callable[[], None]]:
        """An event that is set at every change, and how to stop watching."""
        watcher = asyncio.Event()
        self._watchers.add(watcher)
        return watcher, lambda: self._watchers.discard(watcher)

    # --- what people do ---------------------------------------------------------------------------

    def push(self, bot: BotState, update: dict[str, Any], *, copies: int = 1) -> dict[str, Any]:
        """Queue an update; `copies` > 1 delivers it again with the same number, as Telegram sometimes does."""
        full = {"update_id": bot.next_update, **update}
        bot.next_update += 1
        for _ in range(copies):
            bot.updates.append(full)
        bot.arrived.set()
        return full

    def say(
        self, user_id: int, text: str, *, chat_id: int | None = None, reply_to: int | None = None, copies: int = 1
    ) -> dict[str, Any]:
        """A person types."""
        chat = self._chat(user_id if chat_id is None else chat_id)
        message = self._post(chat, self.people[user_id], {"text": text, "entities": rules.commands_in(text)})
        if not message["entities"]:
            del message["entities"]
        if reply_to is not None and reply_to in chat.messages:
            message["reply_to_message"] = chat.messages[reply_to]
        for bot in self.bots.values():
            if chat.type == "private" and text.startswith("/start"):
                chat.started.add(bot.token)
                chat.blocked.discard(bot.token)
            if self._hears(bot, chat, message):
                self.push(bot, {"message": message}, copies=copies)
        self.changed()
        return message

    def _hears(self, bot: BotState, chat: Chat, message: dict[str, Any]) -> bool:
        if chat.type == "private":
            return bot.token not in chat.blocked
        text: str = message["text"]
        replied = message.get("reply_to_message", {}).get("from", {}).get("id") == bot.user["id"]
        return text.startswith("/") or f"@{bot.user['username']}" in text or replied

    def press(self, user_id: int, message_id: int, data: str, *, chat_id: int | None = None) -> dict[str, Any]:
        """A person presses an inline button (by its callback data, or its label)."""
        chat = self._chat(user_id if chat_id is None else chat_id)
        message = chat.messages.get(message_id)
        if message is None:
            raise bad("message not found")
        bot = next(b for b in self.bots.values() if b.user["id"] == message["from"]["id"])
        buttons = [b for row in message.get("reply_markup", {}).get("inline_keyboard", []) for b in row]
        button = next((b for b in buttons if b.get("callback_data") == data or b["text"] == data), None)
        if button is None or "callback_data" not in button:
            raise bad("there is no such button any more")
        query = {
            "id": str(secrets.randbits(62)),
            "from": self.people[user_id],
            "message": message,
            "chat_instance": str(chat.id * 7919),
            "data": button["callback_data"],
        }
        bot.queries[query["id"]] = {"at": time.monotonic(), "user": user_id}
        self.push(bot, {"callback_query": query})
        self.changed()
        return query

    def block(self, user_id: int, token: str) -> None:
        """A person blocks the bot."""
        self._chat(user_id).blocked.add(token)
        bot = self.bots[token]
        change = {
            "chat": self._chat(user_id).public(),
            "from": self.people[user_id],
            "date": int(time.time()),
            "old_chat_member": {"status": "member", "user": bot.user},
            "new_chat_member": {"status": "kicked", "user": bot.user, "until_date": 0},
        }
        self.push(bot, {"my_chat_member": change})
        self.changed()

    def open_app(self, user_id: int, *, url: str = "", theme: str = "light", start_param: str = "") -> dict[str, str]:
        """What a client opens when a person opens the Mini App (its menu button's, when no url is given)."""
        bot = self.only_bot()
        target = url or bot.menu_button.get("web_app", {}).get("url", "")
        if not target:
            raise bad("the bot has no Mini App yet")
        data = init_data(bot.token, self.people[user_id], start_param=start_param)
        return {"url": launch_url(target, data, theme=theme), "initData": data}

    # --- the Bot API ------------------------------------------------------------------------------

    def _chat(self, chat_id: int) -> Chat:
        chat = self.chats.get(chat_id)
        if chat is None:
            raise bad("chat not found")
        return chat

    def _target(self, bot: BotState, params: Params) -> Chat:
        try:
            chat = self._chat(int(params.get("chat_id", 0)))
        except ValueError:
            raise bad("chat not found") from None
        if chat.type == "private":
            if bot.token in chat.blocked:
                raise ApiError(403, "Forbidden: bot was blocked by the user")
            if bot.token not in chat.started:
                raise ApiError(403, "Forbidden: bot can't initiate conversation with a user")
        return chat

    def _post(self, chat: Chat, sender: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
        message = {
            "message_id": chat.next_message,
            "date": int(time.time()),
            "chat": chat.public()
            | ({"first_name": self.people[chat.id]["first_name"]} if chat.type == "private" else {}),
            "from": sender,
            **content,
        }
        chat.messages[chat.next_message] = message
        chat.next_message += 1
        chat.action, chat.draft = "", ""
        return message

    def _pace(self, chat: Chat) -> None:
        if not self.flood:
            return
        now = time.monotonic()
        times = self._sends.setdefault(chat.id, deque())
        while times and now - times[0] > 5:
            times.popleft()
        if len(times) >= 5:
            raise ApiError(429, f"Too Many Requests: retry after {1}", retry_after=max(1, int(5 - (now - times[0]))))
        times.append(now)

    def call(self, token: str, method: str, params: Params) -> Any:
        """Carry out one method (all but getUpdates, which waits)."""
        bot = self.bot(token)
        name = method.lower()
        handler: Callable[[BotState, Params], Any] | None = getattr(self, f"do_{name}", None)
        if handler is None:
            if name in _JUST_TRUE:
                bot.texts[name] = str(params)
                return True
            raise ApiError(404, "Not Found")
        result = handler(bot, params)
        self.changed()
        return result

    def do_getme(self, bot: BotState, _params: Params) -> Any:
        return bot.user

    def do_sendmessage(self, bot: BotState, params: Params) -> Any:
        chat = self._target(bot, params)
        self._pace(chat)
        text, entities = rules.checked_text(params)
        markup = rules.checked_markup(params, private=chat.type == "private")
        content: dict[str, Any] = {"text": text}
        if entities:
            content["entities"] = entities
        if markup:
            content["reply_markup"] = markup
        reply = rules.load(params.get("reply_parameters")) or {}
        if reply.get("message_id") in chat.messages:
            content["reply_to_message"] = chat.messages[reply["message_id"]]
        return self._post(chat, bot.user, content)

    def _own(self, bot: BotState, params: Params) -> tuple[Chat, dict[str, Any]]:
        chat = self._target(bot, params)
        message = chat.messages.get(int(params.get("message_id", 0)))
        if message is None or message["from"]["id"] != bot.user["id"]:
            raise bad("message to edit not found")
        return chat, message

    def do_editmessagetext(self, bot: BotState, params: Params) -> Any:
        chat, message = self._own(bot, params)
        text, entities = rules.checked_text(params)
        markup = rules.checked_markup(params, private=chat.type == "private")
        same = (
            text == message.get("text")
            and entities == message.get("entities", [])
            and (markup or None) == message.get("reply_markup")
        )
        if same:
            raise bad(
                "message is not modified: specified new message content and reply markup are exactly the same as a "
                "current content and reply markup of the message"
            )
        chat.edits.setdefault(message["message_id"], []).append(message.get("text", ""))
        message["text"] = text
        message["edit_date"] = int(time.time())
        for key, value in (("entities", entities), ("reply_markup", markup)):
            message.pop(key, None)
            if value:
                message[key] = value
        return message

    def do_editmessagereplymarkup(self, bot: BotState, params: Params) -> Any:
        chat, message = self._own(bot, params)
        markup = rules.checked_markup(params, private=chat.type == "private")
        if (markup or None) == message.get("reply_markup"):
            raise bad("message is not modified")
        message.pop("reply_markup", None)
        if markup:
            message["reply_markup"] = markup
        return message

    def do_deletemessage(self, bot: BotState, params: Params) -> Any:
        chat = self._target(bot, params)
        if chat.messages.pop(int(params.get("message_id", 0)), None) is None:
            raise bad("message to delete not found")
        return True

    def do_answercallbackquery(self, bot: BotState, params: Params) -> Any:
        query = bot.queries.pop(str(params.get("callback_query_id")), None)
        if query is None or time.monotonic() - query["at"] > QUERY_LIFE:
            raise bad("query is too old and response timeout expired or query ID is invalid")
        text = str(params.get("text") or "")
        if rules.units(text) > rules.ANSWER_LIMIT:
            raise bad("MESSAGE_TOO_LONG")
        alert = str(params.get("show_alert", "")).lower() == "true"
        self.answers.append({"user": query["user"], "text": text, "alert": alert})
        return True

    def do_setmycommands(self, bot: BotState, params: Params) -> Any:
        commands = rules.load(params.get("commands")) or []
        for one in commands:
            if not 1 <= len(one["command"]) <= 32 or not one["description"] or len(one["description"]) > 256:
                raise bad("BOT_COMMAND_INVALID")
        bot.commands[str(params.get("language_code") or "")] = commands
        return True

    def do_getmycommands(self, bot: BotState, params: Params) -> Any:
        return bot.commands.get(str(params.get("language_code") or ""), [])

    def do_deletemycommands(self, bot: BotState, params: Params) -> Any:
        bot.commands.pop(str(params.get("language_code") or ""), None)
        return True

    def do_setchatmenubutton(self, bot: BotState, params: Params) -> Any:
        bot.menu_button = rules.load(params.get("menu_button")) or {"type": "default"}
        return True

    def do_getchatmenubutton(self, bot: BotState, _params: Params) -> Any:
        return bot.menu_button

    def do_sendchataction(self, bot: BotState, params: Params) -> Any:
        self._target(bot, params).action = str(params.get("action", "typing"))
        return True

    def do_sendmessagedraft(self, bot: BotState, params: Params) -> Any:
        chat = self._target(bot, params)
        if chat.type != "private" or int(params.get("draft_id", 0)) == 0:
            raise bad("drafts are for private chats, with an id other than 0")
        chat.draft = str(params.get("text") or "Thinking…")
        return True

    def do_setwebhook(self, bot: BotState, params: Params) -> Any:
        bot.webhook = str(params.get("url") or "")
        bot.secret = str(params.get("secret_token") or "")
        bot.allowed = rules.load(params.get("allowed_updates")) or []
        self._maybe_drop(bot, params)
        bot.arrived.set()
        return True

    def do_deletewebhook(self, bot: BotState, params: Params) -> Any:
        bot.webhook = bot.secret = ""
        self._maybe_drop(bot, params)
        return True

    @staticmethod
    def _maybe_drop(bot: BotState, params: Params) -> None:
        if str(params.get("drop_pending_updates", "")).lower() == "true":
            bot.updates.clear()

    def do_getwebhookinfo(self, bot: BotState, _params: Params) -> Any:
        return {
            "url": bot.webhook,
            "has_custom_certificate": False,
            "pending_update_count": len(bot.updates),
            **({"last_error_message": bot.last_error, "last_error_date": int(time.time())} if bot.last_error else {}),
        }

    def do_getchat(self, bot: BotState, params: Params) -> Any:
        chat = self._target(bot, params)
        return {**chat.public(), "accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": _GIFTS}

    def do_getchatmember(self, bot: BotState, params: Params) -> Any:
        chat = self._target(bot, params)
        user_id = int(params.get("user_id", 0))
        person = self.people.get(user_id)
        if person is None:
            raise bad("user not found")
        return {"status": "member" if user_id in chat.members else "left", "user": person}

    def do_getchatadministrators(self, bot: BotState, params: Params) -> Any:
        self._target(bot, params)
        return []

    def do_getfile(self, bot: BotState, params: Params) -> Any:
        del bot
        file_id = str(params.get("file_id"))
        if file_id not in self.files:
            raise bad("invalid file_id")
        return {
            "file_id": file_id,
            "file_unique_id": file_id[:12],
            "file_size": len(self.files[file_id][1]),
            "file_path": f"documents/{file_id}",
        }

    def do_senddocument(self, bot: BotState, params: Params) -> Any:
        chat = self._target(bot, params)
        given = params.get("document")
        name, data = given if isinstance(given, tuple) else ("", b"")
        if not data:
            raise bad("there is no document in the request")
        file_id = secrets.token_urlsafe(16)
        self.files[file_id] = (name, data)
        caption, entities = rules.parsed(str(params.get("caption") or ""), params, entities_key="caption_entities")
        if rules.units(caption) > rules.CAPTION_LIMIT:
            raise bad("message caption is too long")
        document = {"file_id": file_id, "file_unique_id": file_id[:12], "file_name": name, "file_size": len(data)}
        content: dict[str, Any] = {"document": document}
        if caption:
            content["caption"] = caption
        if entities:
            content["caption_entities"] = entities
        return self._post(chat, bot.user, content)

    async def get_updates(self, token: str, params: Params) -> Any:
        """Long polling: confirms what lies below `offset`, waits up to `timeout` seconds for something new."""
        bot = self.bot(token)
        if bot.webhook:
            raise ApiError(
                409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook first"
            )
        bot.polling += 1
        mine = bot.polling
        bot.arrived.set()
        offset = int(params.get("offset") or 0)
        while bot.updates and bot.updates[0]["update_id"] < offset:
            bot.updates.popleft()
        allowed = rules.load(params.get("allowed_updates")) or []
        ends = time.monotonic() + min(50.0, float(params.get("timeout") or 0))
        while True:
            found = [u for u in bot.updates if u["update_id"] >= offset and _wanted(u, allowed)]
            if found or time.monotonic() >= ends:
                return found[: int(params.get("limit") or 100)]
            bot.arrived.clear()
            try:
                async with asyncio.timeout(max(0.01, ends - time.monotonic())):
                    await bot.arrived.wait()
            except TimeoutError:
                pass
            if bot.polling != mine:
                raise ApiError(
                    409,
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
                )

    async def deliver(self, bot: BotState, session: aiohttp.ClientSession) -> None:
        """Call a webhook for ever, one update after the other, each until it was taken."""
        pause = 0.2
        while True:
            if not bot.webhook or not bot.updates:
                bot.arrived.clear()
                await bot.arrived.wait()
                continue
            update = bot.updates[0]
            headers = {"X-Telegram-Bot-Api-Secret-Token": bot.secret} if bot.secret else {}
            try:
                async with session.post(bot.webhook, json=update, headers=headers) as answer:
                    taken = 200 <= answer.status < 300
                    bot.last_error = "" if taken else f"Wrong response from the webhook: {answer.status}"
            except (aiohttp.ClientError, TimeoutError) as error:
                taken, bot.last_error = False, f"Connection failed: {type(error).__name__}"
            if taken:
                pause = 0.2
                if bot.updates and bot.updates[0] is update:
                    bot.updates.popleft()
            else:
                await asyncio.sleep(pause)
                pause = min(5.0, pause * 2)

    def fault_for(self, method: str) -> Fault | None:
        """The fault the next call of this method meets, used up by asking."""
        for fault in self.faults:
            if fault.method in ("*", method) and fault.count > 0:
                fault.count -= 1
                if fault.count == 0:
                    self.faults.remove(fault)
                return fault
        return None


def _wanted(update: dict[str, Any], allowed: list[str]) -> bool:
    return not allowed or any(kind in update for kind in allowed)


_JUST_TRUE = frozenset(
    {
        "setmydescription",
        "setmyshortdescription",
        "setmyname",
        "setmessagereaction",
        "logout",
        "close",
        "pinchatmessage",
        "unpinchatmessage",
        "leavechat",
    }
)
_GIFTS = {
    "unlimited_gifts": False,
    "limited_gifts": False,
    "unique_gifts": False,
    "premium_subscription": False,
    "gifts_from_channels": False,
}
