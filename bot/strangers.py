"""Who may not sign up is told so once, and nothing else of an update of theirs is looked at."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware
from aiogram.types import Message, TelegramObject, Update

from bot import views
from bot.commands import COMMANDS
from bot.context import Ctx
from domain.errors import Forbidden
from domain.identity.sign_up import SignUpClosed

OURS = frozenset(command.name for command in COMMANDS)


async def turn_away(ctx: Ctx, refused: Forbidden | None = None) -> None:
    """Say how somebody gets in, in their language: after a tap as an alert, as a message once in each chat.

    Of an invite that is no good it is said once an hour, whatever it is that is wrong with it.
    """
    closed = refused is None or refused.code == SignUpClosed.code
    text = ctx.t("error-sign_up_closed" if closed else "error-invite")
    if ctx.callback is not None:
        await ctx.answer(text, alert=True)
        return
    once = f"stranger:{ctx.user.id}:{ctx.chat_id}" + ("" if closed else f":{ctx.deps.now():%Y-%m-%dT%H}")
    await ctx.say(views.view(text), reply=not ctx.private, once=once)


class StrangersMiddleware(BaseMiddleware):
    """Lets through who is at home here, who may sign up, and whoever comes with an invite."""

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Called by aiogram around every update, when its context is made."""
        ctx: Ctx = data["ctx"]
        assert isinstance(event, Update)
        message = event.message
        invited = message is not None and ctx.private and _comes_with_invite(message.text or "")
        if ctx.actor is not None or invited or await ctx.deps.admission.may_enter(telegram_id=ctx.user.id):
            return await handler(event, data)
        if ctx.callback is not None or (message is not None and (ctx.private or _to_us(message, ctx))):
            await turn_away(ctx)
        return None


def _comes_with_invite(text: str) -> bool:
    command, *argument = text.split(maxsplit=1) or [""]
    return command.partition("@")[0] == "/start" and argument[:1] != [] and argument[0].startswith("inv_")


def _to_us(message: Message, ctx: Ctx) -> bool:
    """Whether a message in a group is for this bot: a command of ours, or our name in it."""
    text, username = (message.text or message.caption or "").lower(), ctx.deps.links.username.lower()
    if username and f"@{username}" in text:
        return True
    command = text.split(maxsplit=1)[0] if text.startswith("/") else ""
    return command[1:] in OURS
