"""Receipts in chat: one looked up and checked, and the whole log checked."""

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import Message

from bot import receipt_views, views
from bot.context import Ctx

router = Router(name="receipts")


@router.message(Command("receipt"))
async def receipt(_message: Message, command: CommandObject, ctx: Ctx) -> None:
    """`/receipt <hash or id>`."""
    ctx.known()
    if not command.args:
        await ctx.say(views.view(ctx.t("receipt-usage")))
        return
    found = await ctx.deps.verification.receipt(ctx.who, command.args)
    await ctx.say(receipt_views.receipt(ctx.t, found, ctx.deps.links, private=ctx.private))


@router.message(Command("verify"))
async def verify(_message: Message, ctx: Ctx) -> None:
    """Check the log now."""
    await ctx.say(receipt_views.log_check(ctx.t, await ctx.deps.verification.whole_log(ctx.who)))
