"""Puts the handlers together, in the order in which they are asked."""

import copy
from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware, Dispatcher, Router
from aiogram.types import Message, TelegramObject

from bot import approvals, fallback, policy, receipts, start, tasks, workspace
from bot.commands import PRIVATE_ONLY
from bot.context import ContextMiddleware, Ctx
from bot.deps import BotDeps
from bot.storage import ChatStorage
from bot.strangers import StrangersMiddleware
from domain.errors import Forbidden

ROUTERS: tuple[Router, ...] = (
    start.router,
    approvals.router,
    tasks.router,
    workspace.router,
    policy.router,
    receipts.router,
    fallback.router,
)


class PrivateOnly(BaseMiddleware):
    """Commands about one's own affairs are refused in groups, where everybody reads the answer."""

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Called by aiogram around every message handler."""
        ctx: Ctx = data["ctx"]
        command = data.get("command")
        if isinstance(event, Message) and not ctx.private and command is not None and command.command in PRIVATE_ONLY:
            if command.command == "start":
                return await handler(event, data)
            raise Forbidden("this works in a private chat only", code="private")
        return await handler(event, data)


def create_dispatcher(deps: BotDeps) -> Dispatcher:
    """A dispatcher over these services. It may be made several times in one process (tests do)."""
    dispatcher = Dispatcher(storage=ChatStorage(deps.chat.conversations), name="pilot")
    dispatcher.update.outer_middleware(ContextMiddleware(deps))
    dispatcher.update.outer_middleware(StrangersMiddleware())
    for router in ROUTERS:
        # a router belongs to one dispatcher for ever: each gets its own copy of the same handlers
        dispatcher.include_router(_copy(router))
    return dispatcher


def _copy(router: Router) -> Router:
    twin = Router(name=router.name)
    for name, observer in router.observers.items():
        twin.observers[name].handlers = copy.copy(observer.handlers)
    twin.message.middleware(PrivateOnly())
    return twin
