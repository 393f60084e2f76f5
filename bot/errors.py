"""The one place where the bot says what went wrong."""

import logging

from aiogram import Bot
from aiogram.types import Update

from bot import approval_views, views
from bot.context import Ctx, context_of
from bot.deps import BotDeps
from bot.text import line
from domain.errors import Conflict, Forbidden, Gone, NotFound, PilotError, RateLimited, Unavailable
from domain.ids import new_id
from locales import Texts
from locales.words import can

log = logging.getLogger(__name__)

BY_KIND: tuple[tuple[type[PilotError], str], ...] = (
    (Unavailable, "unavailable"),
    (RateLimited, "rate_limited"),
    (NotFound, "not_found"),
    (Forbidden, "forbidden"),
)


def text_of(t: Texts, error: PilotError) -> str:
    """A refusal in the reader's language: the truth about a decided approval, else by the error's code."""
    if isinstance(error, Conflict | Gone) and error.details.get("status"):
        return approval_views.late_answer(t, error.details)
    if error.code == "insufficient_role":
        return t(
            "error-insufficient_role",
            action=can(t, error.details.get("action", "")),
            role=str(error.details.get("requiredRole", "owner")),
        )
    field = line(next(iter(error.details.get("fieldErrors") or ()), ""), 80)
    for code in (error.code, *(code for kind, code in BY_KIND if isinstance(error, kind))):
        if t.has(f"error-{code}"):
            return t(f"error-{code}", field=field)
    return t("error-default", message=line(str(error), 300))


async def tell(ctx: Ctx, text: str) -> None:
    """Say it where the person is looking: as an alert after a tap, as a message else."""
    if ctx.callback is not None:
        await ctx.answer(text, alert=True)
    else:
        await ctx.say(views.view(text), reply=not ctx.private)


async def report(deps: BotDeps, bot: Bot, update: Update, error: Exception) -> str | None:
    """Tell the person; None for a refusal they can act on, else what is to be kept with the update."""
    ctx = await context_of(deps, bot, update)
    if ctx is not None:
        # the handler may have said something before it failed: those numbers are taken
        ctx.said = 100
    if isinstance(error, PilotError) and error.status < 500:
        if ctx is not None:
            await tell(ctx, text_of(ctx.t, error))
        return None
    error_id = new_id()[-8:]
    log.error("update_failed", exc_info=error, extra={"update": update.update_id, "error_id": error_id})
    if ctx is not None:
        text = text_of(ctx.t, error) if isinstance(error, Unavailable) else ctx.t("error-internal", id=error_id)
        await tell(ctx, text)
    return f"{error_id}: {type(error).__name__}: {error}"
