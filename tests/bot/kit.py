"""The whole bot on a real store and engine, talking HTTP to a Bot API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import locales
from bot.deps import BotDeps
from bot.links import Links
from bot.pace import Pace
from bot.runner import BotRunner, create_bot
from connectors.cel import CelRules
from domain.clock import utc_now
from services.chat import ChatService
from services.identity import IdentityService
from services.inbox import InboxService
from services.intake import IntakeService
from services.workspaces import WorkspaceService
from tests.bot.telegram import TOKEN, Telegram, serve
from tests.databases import fresh_url
from tests.kit import Deed, Kit, open_kit


@dataclass
class BotKit:
    kit: Kit
    telegram: Telegram
    deps: BotDeps
    deed: Deed
    workspaces: WorkspaceService

    @asynccontextmanager
    async def running(self, *, pace: Pace | None = None) -> AsyncIterator[BotRunner]:
        """The bot, until the block ends."""
        bot = create_bot(TOKEN, api_url=self.telegram.url)
        runner = BotRunner(self.deps, bot, pace=pace or Pace(asyncio.get_running_loop().time, burst=1000, overall=1000))
        async with asyncio.TaskGroup() as group:
            work = group.create_task(runner.run())
            await runner.ready.wait()
            try:
                yield runner
            finally:
                runner.stop()
                async with asyncio.timeout(60):
                    await asyncio.wait([work])

    @property
    def said(self) -> list[str]:
        return [m["text"] for m in self.telegram.in_chat()]


@asynccontextmanager
async def open_bot(folder: Path, *, database: str = "sqlite") -> AsyncIterator[BotKit]:
    deed = Deed("http.post")
    async with open_kit(fresh_url(database, folder), deeds=[deed]) as kit, serve() as telegram:
        identity = IdentityService(kit.store, kit.recorder, utc_now, None)
        workspaces = WorkspaceService(
            kit.store, identity, kit.runs, kit.recorder, CelRules(), utc_now, "http://127.0.0.1:3100"
        )
        translator = await asyncio.to_thread(locales.load)
        chat = ChatService(
            store=kit.store,
            tasks=kit.tasks,
            runs=kit.runs,
            toolbox=kit.toolbox,
            notices=kit.approvals.notices,
            ledger=kit.ledger,
            now=utc_now,
        )
        deps = BotDeps(
            identity=identity,
            accept_invite=workspaces.accept_invite,
            chat=chat,
            inbox=InboxService(kit.store, kit.bus, utc_now),
            intake=IntakeService(kit.store, utc_now),
            tasks=kit.tasks,
            runs=kit.runs,
            approvals=kit.approvals,
            set_mode=workspaces.set_mode,
            set_kill_switch=workspaces.set_kill_switch,
            settings=workspaces.settings,
            change_settings=workspaces.change_settings,
            tools=lambda: [spec.name for spec in kit.toolbox.specs],
            translator=translator,
            links=Links(app_url="http://127.0.0.1:3100", in_chat=True),
            bus=kit.bus,
            now=utc_now,
        )
        yield BotKit(kit=kit, telegram=telegram, deps=deps, deed=deed, workspaces=workspaces)


__all__ = ["BotKit", "open_bot"]
