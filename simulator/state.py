"""What this Telegram remembers: bots, chats, files, faults."""

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]
Update = dict[str, Any]
User = dict[str, Any]

# left out of a bot's updates unless it asks for them by name
NOT_BY_DEFAULT = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
ACTION_SECONDS = 5.0
DRAFT_SECONDS = 30.0
POLLED_LATELY = 3.0


def shown_user(user: User) -> User:
    """A user without what only getMe tells."""
    return {k: v for k, v in user.items() if not k.startswith(("can_", "supports_", "has_")) and k != "photo_url"}


class Bell:
    """Wakes everybody who waits, once; who comes later waits for the next ring."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiting."""
        rung, self._event = self._event, asyncio.Event()
        rung.set()

    async def wait(self, seconds: float) -> None:
        """Until the next ring, or for so long."""
        event = self._event
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await event.wait()


@dataclass(eq=False)
class Queued:
    """An update on its way, as the bytes that will be delivered.

    `number`: the place that an offset confirms. `again`: how often it comes once more after it was taken.
    `repeated`: it is handed out whatever the offset is, and confirmed by the first request after that (`handed`).
    `lane`: a webhook gets updates of one lane one after the other, of several at once; empty = one of its own.
    """

    raw: bytes
    number: int
    again: int = 0
    repeated: bool = False
    handed: bool = False
    lane: str = ""
    # while a webhook is given it, and until when it rests after a failure
    under_way: bool = False
    rests_until: float = 0.0
    failures: int = 0

    def once_more(self) -> "Queued":
        """The same update on its way again."""
        return Queued(self.raw, self.number, self.again - 1, repeated=True, lane=self.lane)


@dataclass(frozen=True)
class RawBody:
    """What one getUpdates answers instead of updates: status, type and bytes as given."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"


@dataclass
class Webhook:
    """Where a bot wants its updates, and how the last delivery went."""

    url: str = ""
    secret: str = ""
    max_connections: int = 40
    last_error: str = ""
    last_error_at: int = 0
    generation: int = 0


@dataclass
class Bot:
    """One bot: its identity, its updates not yet taken, its settings."""

    token: str
    user: User
    queue: deque[Queued] = field(default_factory=deque)
    bodies: deque[RawBody] = field(default_factory=deque)
    bell: Bell = field(default_factory=Bell)
    next_update: int = 1
    confirmed: int = 0
    next_message: int = 1
    allowed: list[str] = field(default_factory=list)
    webhook: Webhook = field(default_factory=Webhook)
    poller: object | None = None
    poller_gone: str = ""
    polled_at: float = 0.0
    # (scope as text, language) -> commands
    commands: dict[tuple[str, str], list[dict[str, str]]] = field(default_factory=dict)
    # 0 is the default for all chats
    menu_buttons: dict[int, dict[str, Any]] = field(default_factory=dict)
    # (what, language) -> text, for names and descriptions
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    queries: dict[str, dict[str, Any]] = field(default_factory=dict)
    web_app_queries: dict[str, int] = field(default_factory=dict)
    app_url: str = ""

    @property
    def id(self) -> int:
        """The bot's user id."""
        number: int = self.user["id"]
        return number

    @property
    def username(self) -> str:
        """Without the @."""
        return str(self.user["username"])

    def listens(self) -> bool:
        """Whether somebody takes the updates: a webhook, or a poll now or just now."""
        return bool(self.webhook.url) or self.poller is not None or time.monotonic() - self.polled_at < POLLED_LATELY

    def wants(self, kind: str) -> bool:
        """Whether updates of this kind are made for the bot."""
        return kind in self.allowed if self.allowed else kind not in NOT_BY_DEFAULT

    def menu_button(self, user_id: int) -> dict[str, Any]:
        """The menu button in the private chat with a person."""
        return self.menu_buttons.get(user_id) or self.menu_buttons.get(0) or {"type": "default"}

    def mini_app(self, user_id: int) -> str:
        """The address of the bot's main Mini App, empty without one."""
        web_app: dict[str, str] = self.menu_button(user_id).get("web_app", {})
        return self.app_url or web_app.get("url", "")

    def commands_for(self, user_id: int, chat_id: int, language: str) -> list[dict[str, str]]:
        """The commands a person sees in a chat: the narrowest scope wins, then the language."""
        private = user_id == chat_id
        scopes = [
            f"chat_member:{chat_id}:{user_id}",
            f"chat:{chat_id}",
            "all_private_chats" if private else "all_group_chats",
            "default",
        ]
        short = language.partition("-")[0].lower()
        for scope in scopes:
            for code in (short, ""):
                if self.commands.get((scope, code)):
                    return self.commands[scope, code]
        return []


@dataclass
class Chat:
    """The chat of a person with one bot (its id is the person's), or a group (negative id)."""

    id: int
    type: str
    title: str = ""
    username: str = ""
    bot_id: int = 0
    # topics by their thread: name, icon_color, closed; only in forums
    forum: bool = False
    topics: dict[int, dict[str, Any]] = field(default_factory=dict)
    # the supergroup a group became
    migrated_to: int = 0
    # user or bot id -> status: creator, administrator, member, left, kicked
    members: dict[int, str] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)
    # deleted ones, which a client may still show
    gone: dict[int, Message] = field(default_factory=dict)
    edits: dict[int, list[Message]] = field(default_factory=dict)
    reactions: dict[int, dict[int, list[dict[str, Any]]]] = field(default_factory=dict)
    next_message: int = 1
    started: bool = False
    blocked: bool = False
    pinned: list[int] = field(default_factory=list)
    takes_all_bots: bool = False
    last_bot: int = 0
    action: str = ""
    action_until: float = 0.0
    drafts: dict[int, dict[str, Any]] = field(default_factory=dict)
    keyboard: dict[str, Any] | None = None

    @property
    def private(self) -> bool:
        """Whether it is the chat of one person with a bot."""
        return self.type == "private"

    @property
    def instance(self) -> str:
        """The number that stands for it in presses and launch data."""
        return str((abs(self.id) * 7919 + self.bot_id) * (-1 if self.id < 0 else 1))

    def has(self, user_id: int) -> bool:
        """Whether somebody is in it."""
        return self.members.get(user_id) in ("creator", "administrator", "member")

    def is_admin(self, user_id: int) -> bool:
        """Whether somebody may do everything in it."""
        return self.members.get(user_id) in ("creator", "administrator")

    def now_doing(self) -> str:
        """The chat action that still shows."""
        return self.action if time.monotonic() < self.action_until else ""

    def draft(self) -> dict[str, Any] | None:
        """The draft that still shows: the newest."""
        now = time.monotonic()
        alive = [d for d in self.drafts.values() if d["until"] > now]
        return max(alive, key=lambda d: d["until"], default=None)

    def expire(self) -> bool:
        """Take away a chat action and drafts whose time is over; whether there were any."""
        now = time.monotonic()
        over = [number for number, draft in self.drafts.items() if draft["until"] <= now]
        for number in over:
            del self.drafts[number]
        done = bool(self.action) and now >= self.action_until
        if done:
            self.action = ""
        return done or bool(over)


@dataclass
class StoredFile:
    """A file one bot sent or got."""

    bot_id: int
    name: str
    data: bytes
    path: str
    kind: str


FAULT_KINDS = ("429", "5xx", "html", "drop_before", "drop_after", "delay", "error", "deleted", "duplicate", "late")
UPDATE_FAULTS = frozenset({"duplicate", "late"})


@dataclass
class Fault:
    """What goes wrong with the next `count` calls of a method, or updates of a kind (`*` = any).

    kind: `429` (retry_after = seconds), `5xx` (502), `html` (502 that is no JSON), `drop_before` (connection
    dropped, nothing done), `drop_after` (done, the answer lost), `delay` (seconds, then done as usual), `error` (that
    code, description and parameters, nothing done), `deleted` (done, and the message is deleted at once),
    and for updates `duplicate` (delivered once more) and `late` (only after so many seconds).
    """

    method: str
    kind: str
    count: int = 1
    seconds: float = 1.0
    number: int = 0
    code: int = 400
    description: str = "Bad Request"
    parameters: dict[str, Any] = field(default_factory=dict)

    def meets(self, name: str) -> bool:
        """Whether a call of this name, or an update of this kind, meets the fault."""
        return self.count > 0 and (self.method == "*" or self.method.lower() == name.lower())
