"""Runs the bot: intake, worker and sender, started and stopped together."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from aiogram import Bot, Dispatcher
from aiogram.client.default import DefaultBotProperties
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.exceptions import AiogramError

from bot.commands import announce
from bot.deps import BotDeps
from bot.dispatcher import create_dispatcher
from bot.errors import report
from bot.intake import PATH, WATCH_SECONDS, Polling, unless, watch_webhook
from bot.outbox import Sender
from bot.reading import read
from bot.session import BotSession
from bot.throttle import Throttle
from bot.worker import Worker
from domain.backoff import Backoff
from domain.chat.updates import Received

T = TypeVar("T")

log = logging.getLogger(__name__)

REQUEST_SECONDS = 8.0
LEAD_SECONDS = 2.0
BACKOFF = Backoff(first=0.5, longest=30.0)
OFFICIAL = "https://api.telegram.org"


def create_bot(token: str, *, api_url: str = OFFICIAL) -> Bot:
    """The client of the Bot API at `api_url`; nothing is sent yet."""
    server = PRODUCTION if api_url == OFFICIAL else TelegramAPIServer.from_base(api_url)
    session = BotSession(api=server, timeout=REQUEST_SECONDS)
    return Bot(token, session=session, default=DefaultBotProperties())


class LeadLostError(Exception):
    """Another process may poll and send now: this one begins anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where Telegram is to deliver: the public address of the installation, and the secret it sends along."""

    app_url: str
    secret: str


class Lead(Protocol):
    """What one of several processes holds: who has it polls and sends."""

    async def take(self) -> bool:
        """Whether this process has it now."""

    async def held(self) -> bool:
        """Whether it still has it."""

    async def release(self) -> None:
        """Let go."""


class BotRunner:
    """The bot of one process. `run` ends after `stop()`, with the update in hand finished.

    `webhook` None means polling. Of several processes the one that has `lead` polls and sends, as
    Telegram allows one poller and counts what is sent by bot; all of them handle what came in.
    """

    def __init__(
        self,
        deps: BotDeps,
        bot: Bot,
        *,
        webhook: Webhook | None = None,
        lead: Lead | None = None,
        pace: Throttle | None = None,
    ) -> None:
        self._deps = deps
        self._bot = bot
        self._webhook = webhook
        self._lead = lead
        self.leading = asyncio.Event()
        self._pace = pace
        self._stop = asyncio.Event()
        self.ready = asyncio.Event()
        self.username = ""

    def stop(self) -> None:
        """Ask everything to end after what is in hand."""
        self._stop.set()

    async def run(self) -> None:
        """Run until `stop`. Telegram being away at the start is waited for, not an error."""
        try:
            me = await self._introduce()
            if me is None:
                return
            deps = replace(self._deps, links=replace(self._deps.links, username=me))
            self.username = me
            dispatcher = create_dispatcher(deps)
            await deps.inbox.release_after_crash()
            await deps.chat.messages.release_after_crash()
            await self._work(deps, dispatcher)
        finally:
            self.leading.clear()
            if self._lead is not None:
                await self._lead.release()
            await self._bot.session.close()

    async def _work(self, deps: BotDeps, dispatcher: Dispatcher) -> None:
        async def handle(received: Received) -> None:
            await dispatcher.feed_update(self._bot, read(received.body, self._bot))

        async def give_up(received: Received, error: Exception) -> str | None:
            return await report(deps, self._bot, read(received.body, self._bot), error)

        sender = Sender(
            bot=self._bot,
            chat=deps.chat,
            translator=deps.translator,
            links=deps.links,
            bus=deps.bus,
            now=deps.now,
            pace=self._pace,
        )
        worker = Worker(deps.inbox, deps.bus, handle=handle, give_up=give_up)
        allowed = dispatcher.resolve_used_update_types()
        # The sender stops last: what the last update had to say is sent, or waits in the outbox.
        handled = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(self._keep_lead())
            group.create_task(self._when_leading(handled, partial(sender.run, handled)))
            self.ready.set()
            async with asyncio.TaskGroup() as coming_in:
                coming_in.create_task(worker.run(self._stop))
                coming_in.create_task(self._when_leading(self._stop, partial(self._deliver, allowed)))
                coming_in.create_task(unless(self._stop, announce(self._bot, deps.translator, deps.links)))
                await self._stop.wait()
            handled.set()
            keeping.cancel()

    async def _keep_lead(self) -> None:
        """Come to lead as soon as nobody else does, and end everything when the lead is lost."""
        if self._lead is None:
            self.leading.set()
            return
        while True:
            if not self.leading.is_set():
                if await self._lead.take():
                    self.leading.set()
                    log.info("telegram_leading")
            elif not await self._lead.held():
                raise LeadLostError
            await asyncio.sleep(LEAD_SECONDS)

    async def _when_leading(self, stop: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
        if await unless(stop, self.leading.wait()):
            await work()

    async def _deliver(self, allowed: list[str]) -> None:
        if self._webhook is None:
            polling = Polling(self._bot, self._deps.inbox, self._deps.intake, allowed_updates=allowed)
            await polling.run(self._stop)
            return
        webhook = self._webhook
        address = f"{webhook.app_url}{PATH}"
        await self._until_done(
            lambda: self._bot.set_webhook(
                address, secret_token=webhook.secret, allowed_updates=allowed, max_connections=40
            ),
            "set_webhook",
        )
        await watch_webhook(self._bot, self._deps.intake, address=address, stop=self._stop, every=WATCH_SECONDS)

    async def _introduce(self) -> str | None:
        me = await self._until_done(self._bot.get_me, "get_me")
        return None if me is None else (me.username or "")

    async def _until_done(self, call: Callable[[], Awaitable[T]], what: str) -> T | None:
        """The answer of Telegram, asked again with growing pauses; None when stopped meanwhile."""
        failure = 0
        while not self._stop.is_set():
            try:
                return await call()
            except AiogramError as error:
                failure += 1
                pause = BACKOFF.pause(failure)
                log.warning("telegram_away", extra={"call": what, "error": str(error)[:200], "again_in": pause})
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stop.wait()
        return None
