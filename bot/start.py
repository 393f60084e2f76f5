"""/start with its deep links, /help, /stop: how somebody begins, finds their way, and leaves."""

from aiogram import Router
from aiogram.filters import Command, CommandObject, CommandStart
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold

from bot import task_views, views
from bot.buttons import ExampleTap
from bot.commands import COMMANDS
from bot.context import Ctx
from bot.strangers import turn_away
from bot.tasks import title_of
from bot.text import line
from domain.errors import Forbidden, PilotError
from domain.ids import parse_id
from domain.outbox.notifications import CardNotice
from services.runs.tasks import NewTask

router = Router(name="start")

MAX_NAME = 200


@router.message(CommandStart())
async def start(_message: Message, command: CommandObject, ctx: Ctx) -> None:
    """Create or refresh the person, open the chat, and follow a deep link."""
    if not ctx.private:
        await ctx.say(views.view(ctx.t("group-hello")), reply=True)
        return
    known = ctx.actor is not None
    kind, _, ref = (command.args or "").strip().partition("_")
    try:
        ctx.actor = await ctx.deps.telegram_login.ensure_user(
            telegram_user_id=ctx.user.id,
            name=line(ctx.user.full_name, MAX_NAME) or str(ctx.user.id),
            username=ctx.user.username,
            language=ctx.user.language_code,
            invite=ref if kind == "inv" else None,
        )
    except Forbidden as refused:
        await turn_away(ctx, refused)
        return
    if kind == "inv" and ref:
        await _join(ctx, ref)
    elif kind == "apr" and ref:
        await _show_approval(ctx, ref)
        return
    elif kind == "task" and ref:
        task = await ctx.deps.tasks.get(ctx.who, parse_id(ref, what="task"))
        await ctx.say(task_views.task_detail(ctx.t, task, ctx.deps.links, private=True))
        return
    await _greet(ctx, known=known)


async def _greet(ctx: Ctx, *, known: bool) -> None:
    t, actor = ctx.t, ctx.who
    name = line(actor.name, 100)
    if known:
        await ctx.say(
            views.view(t("start-again", name=name), keyboard=((ctx.deps.links.button(t("open-app"), private=True),),))
        )
        return
    workspace = await ctx.deps.chat.overview.workspace_name(actor.in_workspace)
    await ctx.say(
        views.view(
            Bold(t("start-hello", name=name)),
            t("start-what"),
            "",
            t("start-workspace", workspace=line(workspace, 200)),
            t("start-begin"),
            keyboard=(
                (ctx.deps.links.button(t("open-app"), private=True),),
                (views.tap(t("start-example"), ExampleTap().pack()),),
            ),
        )
    )


async def _join(ctx: Ctx, token: str) -> None:
    try:
        ctx.actor = await ctx.deps.accept_invite(ctx.who, token)
    except PilotError:
        # which of unknown, used or expired it is would tell a guesser something
        await ctx.say(views.view(ctx.t("error-invite")))
        return
    workspace = await ctx.deps.chat.overview.workspace_name(ctx.who.in_workspace)
    role = ctx.t(f"role-{ctx.who.role}")
    await ctx.say(views.view(ctx.t("start-joined", workspace=line(workspace, 200), role=role)))


async def _show_approval(ctx: Ctx, ref: str) -> None:
    approval_id = parse_id(ref, what="approval")
    await ctx.go_to(await ctx.deps.approvals.workspace_of(approval_id))
    approval = await ctx.deps.approvals.get(ctx.who, approval_id)
    await ctx.deps.chat.messages.say(
        chat_id=ctx.chat_id,
        notice=CardNotice(approval_id=approval.id),
        dedupe_key=f"tg:{ctx.update_id}:card:{approval.id}",
        workspace_id=approval.workspace_id,
    )


@router.callback_query(ExampleTap.filter())
async def example(_tap: CallbackQuery, ctx: Ctx) -> None:
    """Really create the example task; tapping again creates another."""
    await ctx.deps.chat.tasks.create(
        ctx.who,
        NewTask(
            title=title_of(ctx.t("example-title")),
            description=ctx.deps.example,
            auto_run=True,
            origin=ctx.origin,
        ),
        update_id=ctx.update_id,
    )
    await ctx.answer(ctx.t("example-queued"))


@router.message(Command("help"))
async def help_(_message: Message, ctx: Ctx) -> None:
    """Every command, from the table that also makes the menu."""
    shown = [c for c in COMMANDS if ctx.private or c.groups]
    await ctx.say(
        views.view(
            Bold(ctx.t("help-title")),
            *(f"/{c.name} – {c.text(ctx.t)}" for c in shown),
            "",
            ctx.t("help-free") if ctx.private else ctx.t("help-groups"),
        ),
        reply=not ctx.private,
    )


@router.message(Command("stop"))
async def stop(_message: Message, ctx: Ctx) -> None:
    """Close the chat: nothing more is queued for it until /start."""
    ctx.known()
    await ctx.say(views.view(ctx.t("stopped")))
    await ctx.deps.chat.people.set_chat_open(ctx.user.id, is_open=False)
