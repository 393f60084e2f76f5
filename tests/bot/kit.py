"""The whole bot on a real store and engine, talking HTTP to a Bot API."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import locales
from bot.deps import BotDeps
from bot.links import Links
from bot.pace import Pace
from bot.runner import BotRunner, create_bot
from domain.actor import Actor, Channel, Role
from domain.clock import utc_now
from domain.errors import NotFound
from domain.ids import new_id
from services.chat import ChatService
from services.inbox import InboxService
from storage import settings, tables
from tests.bot.telegram import TOKEN, Telegram, serve
from tests.databases import fresh_url
from tests.kit import Deed, Kit, open_kit


@dataclass
class TableIdentity:
    """People straight from the tables, as the bot needs them."""

    kit: Kit

    async def of_telegram(self, telegram_user_id: int) -> Actor | None:
        return await self.kit.store.read(lambda tx: self._find(tx, telegram_user_id))

    def _find(self, tx: Any, telegram_user_id: int) -> Actor | None:
        u, m = tables.users.c, tables.workspace_members.c
        row = tx.one(
            sa.select(u.id, u.name, m.workspace_id, m.role)
            .join(tables.workspace_members, m.user_id == u.id)
            .where(u.telegram_id == telegram_user_id)
            .order_by(m.joined_at)
        )
        if row is None:
            return None
        return Actor(user_id=row[0], name=row[1], channel=Channel.CHAT, workspace_id=row[2], role=Role(row[3]))

    async def ensure_telegram_user(
        self, *, telegram_user_id: int, name: str, username: str | None, language: str | None
    ) -> Actor:
        def work(tx: Any) -> None:
            if self._find(tx, telegram_user_id) is not None:
                tx.execute(
                    sa.update(tables.users)
                    .where(tables.users.c.telegram_id == telegram_user_id)
                    .values(name=name, chat_open=True)
                )
                return
            user_id, workspace_id, now = new_id(), new_id(), utc_now()
            tx.execute(
                sa.insert(tables.users).values(
                    id=user_id,
                    name=name,
                    telegram_id=telegram_user_id,
                    chat_open=True,
                    preferences={},
                    created_at=now,
                    updated_at=now,
                )
            )
            tx.execute(
                sa.insert(tables.workspaces).values(
                    id=workspace_id,
                    name=f"{name}'s workspace",
                    owner_id=user_id,
                    current_mode="build",
                    compliance_frameworks=[],
                    created_at=now,
                    updated_at=now,
                )
            )
            tx.execute(
                sa.insert(tables.workspace_members).values(
                    id=new_id(), workspace_id=workspace_id, user_id=user_id, role="owner", joined_at=now
                )
            )

        await self.kit.store.write(work)
        found = await self.of_telegram(telegram_user_id)
        assert found is not None
        return found

    async def workspaces(self, actor: Actor) -> Sequence[tuple[str, str]]:
        return [(actor.in_workspace, "W")]

    async def switch_workspace(self, actor: Actor, workspace_id: str) -> Actor:
        raise NotFound("Workspace not found")

    async def accept_invite(self, actor: Actor, token: str) -> Actor:
        raise NotFound("Invite not found")


@dataclass
class BotKit:
    kit: Kit
    telegram: Telegram
    deps: BotDeps
    deed: Deed

    @asynccontextmanager
    async def running(self, *, pace: Pace | None = None) -> AsyncIterator[BotRunner]:
        """The bot, until the block ends; killed like kill -9 by raising `Killed`."""
        bot = create_bot(TOKEN, api_url=self.telegram.url)
        runner = BotRunner(self.deps, bot, pace=pace or Pace(asyncio.get_running_loop().time, burst=1000, overall=1000))
        async with asyncio.TaskGroup() as group:
            work = group.create_task(runner.run())
            await runner.ready.wait()
            try:
                yield runner
            finally:
                runner.stop()
                async with asyncio.timeout(15):
                    await asyncio.wait([work])

    @property
    def said(self) -> list[str]:
        return [m["text"] for m in self.telegram.in_chat()]


@asynccontextmanager
async def open_bot(folder: Path, *, database: str = "sqlite") -> AsyncIterator[BotKit]:
    deed = Deed("http.post")
    async with open_kit(fresh_url(database, folder), deeds=[deed]) as kit, serve() as telegram:

        async def set_mode(actor: Actor, mode: Any) -> None:
            await kit.store.write(
                lambda tx: tx.execute(
                    sa.update(tables.workspaces)
                    .where(tables.workspaces.c.id == actor.in_workspace)
                    .values(current_mode=mode.value)
                )
            )

        async def set_kill_switch(actor: Actor, on: bool) -> None:
            await kit.set_policy(killSwitch=on)

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
            identity=TableIdentity(kit),
            chat=chat,
            inbox=InboxService(kit.store, kit.bus, utc_now),
            tasks=kit.tasks,
            runs=kit.runs,
            approvals=kit.approvals,
            set_mode=set_mode,
            set_kill_switch=set_kill_switch,
            translator=translator,
            links=Links(app_url="http://127.0.0.1:3100", in_chat=True),
            bus=kit.bus,
            now=utc_now,
            example="example",
        )
        yield BotKit(kit=kit, telegram=telegram, deps=deps, deed=deed)


__all__ = ["BotKit", "open_bot", "replace", "settings"]
