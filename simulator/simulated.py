"""A Telegram for tests in the same process: people's actions, and waiting for what bots do in return."""

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web

from simulator.apps import open_app
from simulator.bots import register_bot
from simulator.control.views import message_view
from simulator.faults import add_fault
from simulator.groups import add_group
from simulator.messages import delete
from simulator.people import add_person, block, edit_own, forward_rich, react, say, unblock, upload
from simulator.presses import press
from simulator.server import create_simulator
from simulator.state import Chat, Fault, Message, RawBody, Update, User
from simulator.telegram import Telegram
from simulator.updates import answer_raw, push, push_raw

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Launch:
    """A Mini App opened: the address with its launch data, and the launch data alone."""

    url: str
    init_data: str


class SimulatedTelegram:
    """Wraps a `Telegram`; `serve()` puts it on a loopback port, `url` is then its base address.

    Persons are named by their user id, chats by theirs (a private chat by the person's), bots by username, id or
    token (the first one without a name). What cannot be done raises `WrongRequest`.
    """

    def __init__(
        self,
        telegram: Telegram | None = None,
        *,
        auto_register: bool = True,
        flood: bool = False,
        http_apps: bool = False,
    ) -> None:
        self.telegram = telegram or Telegram(auto_register=auto_register, flood=flood, http_apps=http_apps)
        self.url = ""

    @asynccontextmanager
    async def serve(self, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator["SimulatedTelegram"]:
        """On a port (0 = a free one) until the block ends."""
        runner = web.AppRunner(
            create_simulator(self.telegram), access_log=None, handle_signals=False, shutdown_timeout=0.2
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            self.url = f"http://{host}:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    # --- who is there -----------------------------------------------------------------------------

    async def add_user(self, user_id: int, first_name: str, **more: Any) -> User:
        """A person."""
        return add_person(self.telegram, user_id, first_name, **more)

    async def add_bot(self, token: str, **more: Any) -> User:
        """A bot, see `bots.register_bot`."""
        return register_bot(self.telegram, token, **more).user

    async def add_group(
        self, title: str, members: Iterable[int], *, bots: Iterable[str | int] | None = None, **more: Any
    ) -> Chat:
        """A group of people and bots (None = every bot, later ones too), see `groups.add_group`."""
        return add_group(self.telegram, title, members, bots=bots, **more)

    # --- what people do ---------------------------------------------------------------------------

    async def send_text(
        self,
        user_id: int,
        text: str,
        *,
        chat: int | None = None,
        bot: str | int | None = None,
        reply_to: int | None = None,
        copies: int = 1,
        topic: int | None = None,
    ) -> Message:
        """Somebody types."""
        return say(self.telegram, user_id, text, chat_id=chat, bot=bot, reply_to=reply_to, copies=copies, topic=topic)

    async def forward_rich(
        self, user_id: int, rich: Any, *, chat: int | None = None, bot: str | int | None = None
    ) -> Message:
        """Somebody forwards a rich message."""
        return forward_rich(self.telegram, user_id, rich, chat_id=chat, bot=bot)

    async def delete(
        self, user_id: int, message_id: int, *, chat: int | None = None, bot: str | int | None = None
    ) -> None:
        """A message goes, whoever wrote it."""
        delete(self.telegram, self.telegram.chat_for(user_id, chat, bot), message_id)

    async def edit_text(
        self, user_id: int, message_id: int, text: str, *, chat: int | None = None, bot: str | int | None = None
    ) -> Message:
        """Somebody edits what they typed."""
        return edit_own(self.telegram, user_id, message_id, text, chat_id=chat, bot=bot)

    async def send_document(
        self, user_id: int, name: str, data: bytes, *, caption: str = "", bot: str | int | None = None
    ) -> Message:
        """Somebody sends a file to a bot."""
        return upload(self.telegram, user_id, name, data, caption=caption, bot=bot)

    async def press(
        self,
        user_id: int,
        button: str,
        *,
        message: int | None = None,
        chat: int | None = None,
        bot: str | int | None = None,
    ) -> dict[str, Any]:
        """Somebody presses a button, named by callback data or label; the callback query."""
        return press(self.telegram, user_id, button, message_id=message, chat_id=chat, bot=bot)

    async def react(
        self, user_id: int, message_id: int, emoji: str, *, chat: int | None = None, bot: str | int | None = None
    ) -> None:
        """Somebody puts an emoji on a message."""
        react(self.telegram, user_id, message_id, emoji, chat_id=chat, bot=bot)

    async def block(self, user_id: int, *, bot: str | int | None = None, blocked: bool = True) -> None:
        """Somebody blocks a bot, or takes it back."""
        (block if blocked else unblock)(self.telegram, user_id, bot)

    async def open_app(self, user_id: int, **more: Any) -> Launch:
        """Somebody opens a Mini App, see `apps.open_app`."""
        opened = open_app(self.telegram, user_id, **more)
        return Launch(opened["url"], opened["initData"])

    async def push_update(self, update: Update, *, bot: str | int | None = None, copies: int = 1) -> Update | None:
        """An update of a kind the bot asked for; a number of its own is kept."""
        return push(self.telegram, self.telegram.which_bot(bot), update, copies=copies)

    async def push_raw(
        self, *updates: bytes | str, fresh: bool = False, copies: int = 1, bot: str | int | None = None
    ) -> list[int]:
        """Bytes as updates, in one batch, whatever they are, see `updates.push_raw`; their places in the queue."""
        raw = [one.encode("utf-8", "surrogatepass") if isinstance(one, str) else one for one in updates]
        return push_raw(self.telegram, self.telegram.which_bot(bot), raw, fresh=fresh, copies=copies)

    async def answer_raw(
        self,
        body: bytes,
        *,
        status: int = 200,
        content_type: str = "application/json",
        bot: str | int | None = None,
    ) -> None:
        """The whole body of the next getUpdates."""
        answer_raw(self.telegram, self.telegram.which_bot(bot), RawBody(body, status, content_type))

    # --- what is seen -----------------------------------------------------------------------------

    async def messages(self, chat: int, *, bot: str | int | None = None) -> list[Message]:
        """Messages of a chat, oldest first, each with `edits` and `reactions`."""
        group = self.telegram.groups.get(chat)
        where = group if group is not None else self.telegram.chat_for(chat, None, bot)
        return [message_view(where, message) for _, message in sorted(where.messages.items())]

    async def message(
        self, chat: int, containing: str, *, bot: str | int | None = None, seconds: float = 30.0
    ) -> Message:
        """The newest message of a bot that holds this text, as soon as there is one."""

        def found(messages: list[Message]) -> Message | None:
            for one in reversed(messages):
                if one["from"]["is_bot"] and containing in str(one.get("text", one.get("caption", ""))):
                    return one
            return None

        ends = time.monotonic() + seconds
        while True:
            messages = await self.messages(chat, bot=bot)
            one = found(messages)
            if one is not None:
                return one
            if time.monotonic() > ends:
                texts = [m.get("text", m.get("caption", "")) for m in messages]
                raise AssertionError(f"no message with {containing!r} within {seconds} s, only {texts}")
            await self.telegram.bell.wait(ends - time.monotonic())

    async def until(self, probe: Callable[[], T], *, seconds: float = 30.0) -> T:
        """The first true value of `probe`, asked after every change. Raises AssertionError."""
        ends = time.monotonic() + seconds
        while True:
            value = probe()
            if value:
                return value
            if time.monotonic() > ends:
                raise AssertionError(f"waited {seconds} s in vain")
            await self.telegram.bell.wait(min(0.1, ends - time.monotonic()))

    async def calls(self, method: str = "") -> list[dict[str, Any]]:
        """The log of calls, of one method or of all but getUpdates."""
        wanted = method.lower()
        return [
            entry
            for entry in self.telegram.calls
            if (entry["method"].lower() == wanted if wanted else entry["method"].lower() != "getupdates")
        ]

    async def answers(self) -> list[dict[str, Any]]:
        """Answers to presses: user, data, text, alert, ..."""
        return list(self.telegram.answers)

    async def inject_fault(
        self, method: str, kind: str, *, count: int = 1, seconds: float = 1.0, **error: Any
    ) -> Fault:
        """Let something go wrong, see `Fault`; `error`: code, description, parameters."""
        return add_fault(self.telegram, method, kind, count=count, seconds=seconds, **error)
