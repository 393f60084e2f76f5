"""The whole bot on a real store and engine, talking HTTP to a Bot API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

import locales
from bot.deps import BotDeps
from bot.intake import webhook_routes
from bot.links import Links
from bot.runner import BotRunner, Webhook, create_bot
from bot.throttle import Throttle
from connectors.cel import CelRules
from domain.clock import utc_now
from domain.identity.actor import Actor, Role
from services.chat.container import make_chat
from services.chat.inbox import InboxService
from services.chat.intake import IntakeService
from services.identity.api_keys import ApiKeys
from services.identity.container import make_identity
from services.ledger.verification import VerificationService
from services.workspaces.container import make_workspaces
from services.workspaces.invites import InviteService
from services.workspaces.members import MemberService
from services.workspaces.service import WorkspaceService
from services.workspaces.settings import SettingsService
from tests.bot.people import TOKEN, People, people
from tests.databases import fresh_url
from tests.kit import Kit, RecordingTool, open_kit

ADDRESS = "https://pilot.example"
SECRET = "s" * 20


@dataclass
class BotKit:
    kit: Kit
    telegram: People
    deps: BotDeps
    deed: RecordingTool
    workspaces: WorkspaceService
    settings: SettingsService
    members: MemberService
    invites: InviteService
    api_keys: ApiKeys

    async def person(self, role: Role, *, telegram_id: int) -> Actor:
        """Another member, whom the bot may write to."""
        self.telegram.meet(telegram_id, "Bob")
        return await self.kit.person(role, telegram_id=telegram_id)

    @asynccontextmanager
    async def running(self, *, pace: Throttle | None = None, webhook: bool = False) -> AsyncIterator[BotRunner]:
        """The bot, until the block ends; by polling, or by `webhook`."""
        bot = create_bot(TOKEN, api_url=self.telegram.url)
        pace = pace or Throttle(asyncio.get_running_loop().time, burst=1000, overall=1000)
        async with AsyncExitStack() as stack:
            hook = Webhook(app_url=await stack.enter_async_context(self._door()), secret=SECRET) if webhook else None
            runner = BotRunner(self.deps, bot, webhook=hook, pace=pace)
            async with self._run(runner):
                yield runner

    @asynccontextmanager
    async def _door(self) -> AsyncIterator[str]:
        """Where Telegram delivers to; its address."""
        app = web.Application(client_max_size=2**21)
        app.add_routes(webhook_routes(self.deps.inbox, secret=SECRET))
        server = web.AppRunner(app, access_log=None)
        await server.setup()
        await web.TCPSite(server, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{server.addresses[0][1]}"
        finally:
            await server.cleanup()

    @asynccontextmanager
    async def _run(self, runner: BotRunner) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            work = group.create_task(runner.run())
            await runner.ready.wait()
            try:
                yield
            finally:
                runner.stop()
                async with asyncio.timeout(60):
                    await asyncio.wait([work])

    @property
    def said(self) -> list[str]:
        return [m["text"] for m in self.telegram.in_chat()]


@asynccontextmanager
async def open_bot(folder: Path, *, database: str = "sqlite") -> AsyncIterator[BotKit]:
    deed = RecordingTool("http.post")
    async with open_kit(fresh_url(database, folder), deeds=[deed]) as kit, people() as telegram:
        identity = make_identity(store=kit.store, recorder=kit.recorder, now=utc_now, bot_key=None)
        places = make_workspaces(
            store=kit.store,
            identity=identity,
            lifecycle=kit.lifecycle,
            recorder=kit.recorder,
            rules=CelRules(),
            now=utc_now,
            app_url=ADDRESS,
        )
        translator = await asyncio.to_thread(locales.load)
        chat = make_chat(
            store=kit.store,
            tasks=kit.tasks,
            lifecycle=kit.lifecycle,
            tool_registry=kit.tool_registry,
            notifications=kit.approvals.notifications,
            ledger=kit.ledger,
            now=utc_now,
        )
        deps = BotDeps(
            memberships=identity.memberships,
            admission=identity.admission,
            telegram_login=identity.telegram_login,
            accept_invite=places.invites.accept,
            chat=chat,
            verification=VerificationService(store=kit.store, ledger=kit.ledger),
            inbox=InboxService(kit.store, kit.bus, utc_now),
            intake=IntakeService(kit.store, utc_now),
            tasks=kit.tasks,
            runs=kit.runs,
            approvals=kit.approvals,
            set_mode=places.settings.set_mode,
            set_kill_switch=places.settings.set_kill_switch,
            settings=places.settings.get,
            change_settings=places.settings.change,
            tools=lambda: [spec.name for spec in kit.tool_registry.specs],
            translator=translator,
            links=Links(app_url=ADDRESS, in_chat=True),
            bus=kit.bus,
            now=utc_now,
        )
        yield BotKit(
            kit=kit,
            telegram=telegram,
            deps=deps,
            deed=deed,
            workspaces=places.workspaces,
            settings=places.settings,
            members=places.members,
            invites=places.invites,
            api_keys=identity.api_keys,
        )


__all__ = ["SECRET", "BotKit", "open_bot"]
