"""The workspace and the person in chat: status, mode, kill switch, language, switching, being away."""

import re
from datetime import datetime, timedelta

from aiogram import Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Text

from bot import views, workspace_views
from bot.buttons import KillTap, LanguageTap, ModeTap, WorkspaceTap
from bot.context import Ctx
from bot.text import line
from domain.identity.permissions import Action, require

router = Router(name="workspace")

SPAN = re.compile(r"^(\d{1,3})\s*(m|min|h|d|w)$")
SPANS = {"m": timedelta(minutes=1), "min": timedelta(minutes=1), "h": timedelta(hours=1)}
SPANS |= {"d": timedelta(days=1), "w": timedelta(weeks=1)}
FULL_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAYS = tuple(day[:3] for day in FULL_DAYS)
MAX_AWAY = timedelta(days=90)


@router.message(Command("status"))
async def status(_message: Message, ctx: Ctx) -> None:
    """The workspace at a glance."""
    await ctx.say(workspace_views.overview(ctx.t, await ctx.deps.chat.overview.of_workspace(ctx.who)))


@router.message(Command("operators"))
async def operators(_message: Message, ctx: Ctx) -> None:
    """Who does the work."""
    await ctx.say(workspace_views.operators(ctx.t, await ctx.deps.chat.overview.operators(ctx.who)))


@router.message(Command("usage"))
async def usage(_message: Message, ctx: Ctx) -> None:
    """What models cost."""
    await ctx.say(workspace_views.usage(ctx.t, await ctx.deps.chat.overview.usage(ctx.who)))


@router.message(Command("mode"))
async def mode(_message: Message, ctx: Ctx) -> None:
    """The mode, with buttons for the others."""
    seen = await ctx.deps.chat.overview.of_workspace(ctx.who)
    await ctx.say(workspace_views.modes(ctx.t, seen.mode))


@router.callback_query(ModeTap.filter())
async def set_mode(_tap: CallbackQuery, ctx: Ctx, callback_data: ModeTap) -> None:
    """Set the mode and bring the message up to date."""
    wanted = callback_data.mode
    await ctx.deps.set_mode(ctx.who, wanted)
    await ctx.answer(ctx.t("mode-set", mode=ctx.t(f"mode-{wanted.value}")))
    await ctx.say(workspace_views.modes(ctx.t, wanted.value), edit=ctx.message_id)


@router.message(Command("kill"))
async def kill(_message: Message, ctx: Ctx) -> None:
    """Ask before everything stops."""
    require(ctx.who, Action.KILL_SWITCH_WRITE)
    await ctx.say(workspace_views.kill_confirm(ctx.t, on=True))


@router.message(Command("unkill"))
async def unkill(_message: Message, ctx: Ctx) -> None:
    """Ask before work goes on."""
    require(ctx.who, Action.KILL_SWITCH_WRITE)
    await ctx.say(workspace_views.kill_confirm(ctx.t, on=False))


@router.callback_query(KillTap.filter())
async def set_kill(_tap: CallbackQuery, ctx: Ctx, callback_data: KillTap) -> None:
    """Throw the kill switch, or leave it."""
    wanted = callback_data.wanted
    if wanted == "no":
        await ctx.say(views.view(ctx.t("left-as-is")), edit=ctx.message_id)
        await ctx.answer(ctx.t("left-as-is"))
        return
    await ctx.deps.set_kill_switch(ctx.who, wanted == "on")
    text = ctx.t(f"kill-{wanted}", who=line(ctx.who.name, 80))
    await ctx.answer(text, alert=wanted == "on")
    await ctx.say(views.view(text), edit=ctx.message_id)


@router.message(Command("away"))
async def away(_message: Message, command: CommandObject, ctx: Ctx) -> None:
    """`/away 2h`, `/away until fri`, `/away until 2026-12-01 deputy @bob`, `/away off`: without sound until then."""
    actor = ctx.who
    wanted, _, deputy = (command.args or "").strip().partition(" deputy ")
    if wanted.lower() == "off":
        await ctx.deps.approvals.come_back(actor)
        await ctx.say(views.view(ctx.t("away-off")))
        return
    until = _until(wanted.lower().removeprefix("until").strip(), ctx.deps.now())
    if until is None or wanted.endswith(" deputy"):
        await ctx.say(views.view(ctx.t("away-usage")))
        return
    found = await ctx.deps.approvals.go_away(actor, until, deputy=deputy.strip() or None)
    await ctx.say(
        views.view(
            Text(ctx.t("away-set"), " ", views.moment(until)),
            None if found is None else ctx.t("away-deputy", who=line(found.name, 80)),
        )
    )


def _until(wanted: str, now: datetime) -> datetime | None:
    """When `2h`, `fri` (the next one, at its beginning in UTC), a date or a time is; None for anything else."""
    span = SPAN.match(wanted)
    if span is not None:
        until = now + int(span[1]) * SPANS[span[2]]
    elif wanted[:3] in DAYS and wanted in (wanted[:3], FULL_DAYS[DAYS.index(wanted[:3])]):
        ahead = (DAYS.index(wanted[:3]) - now.weekday() - 1) % 7 + 1
        until = (now + timedelta(days=ahead)).replace(hour=0, minute=0, second=0, microsecond=0)
    else:
        try:
            until = datetime.fromisoformat(wanted)
        except ValueError:
            return None
        until = until.replace(tzinfo=now.tzinfo) if until.tzinfo is None else until
    return until if now < until <= now + MAX_AWAY else None


@router.message(Command("settings"))
async def settings(_message: Message, ctx: Ctx) -> None:
    """The way to the settings page."""
    ctx.known()
    button = ctx.deps.links.button(ctx.t("open-app"), page="settings", start="settings", private=ctx.private)
    if button is None:
        await ctx.say(views.view(ctx.t("settings-no-app", url=ctx.deps.links.mini_app)))
        return
    await ctx.say(views.view(ctx.t("settings-text"), keyboard=((button,),)))


@router.message(Command("language"))
async def language(_message: Message, ctx: Ctx) -> None:
    """Choose a language."""
    ctx.known()
    await ctx.say(workspace_views.languages(ctx.t, ctx.deps.translator))


@router.callback_query(LanguageTap.filter())
async def set_language(_tap: CallbackQuery, ctx: Ctx, callback_data: LanguageTap) -> None:
    """Keep the choice; it outranks what the client says."""
    code = callback_data.code
    if code not in ctx.deps.translator.languages:
        raise SkipHandler
    await ctx.deps.chat.people.set_language(ctx.who, code)
    ctx.t = ctx.deps.translator.of(code)
    await ctx.answer(ctx.t("language-set", language=ctx.t.language.name))
    await ctx.say(views.view(ctx.t("language-set", language=ctx.t.language.name)), edit=ctx.message_id)


@router.message(Command("workspace"))
async def workspace(_message: Message, ctx: Ctx) -> None:
    """Where the person is, and where else they could be."""
    actor = ctx.who
    found = await ctx.deps.memberships.workspaces(actor)
    name = next((label for ref, label in found if ref == actor.workspace_id), "")
    others = [(ref, label) for ref, label in found if ref != actor.workspace_id]
    await ctx.say(workspace_views.workspaces(ctx.t, name=name, role=str(actor.role), others=others))


@router.callback_query(WorkspaceTap.filter())
async def set_workspace(_tap: CallbackQuery, ctx: Ctx, callback_data: WorkspaceTap) -> None:
    """Switch to another workspace of the person."""
    workspace_id = callback_data.workspace_id
    ctx.actor = await ctx.deps.memberships.switch_workspace(ctx.who, workspace_id)
    name = await ctx.deps.chat.overview.workspace_name(workspace_id)
    text = ctx.t("workspace-set", workspace=line(name, 100))
    await ctx.answer(text)
    await ctx.say(views.view(text), edit=ctx.message_id)


@router.message(Command("whoami"))
async def whoami(_message: Message, ctx: Ctx) -> None:
    """Who the bot takes the person for."""
    actor = ctx.who
    name = await ctx.deps.chat.overview.workspace_name(actor.in_workspace)
    role = ctx.t(f"role-{actor.role}")
    await ctx.say(
        views.view(
            ctx.t("whoami", name=line(actor.name, 100), role=role, workspace=line(name, 200), id=str(ctx.user.id))
        ),
        reply=not ctx.private,
    )
