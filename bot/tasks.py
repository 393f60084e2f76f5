"""Tasks in chat: giving them, listing, running again, cancelling."""

import re

from aiogram import F, Router
from aiogram.filters import Command, CommandObject
from aiogram.fsm.context import FSMContext
from aiogram.types import CallbackQuery, Message

from bot import task_views, views
from bot.buttons import TaskTap, TaskVerb
from bot.context import Ctx
from bot.text import line
from domain.runs.task import ACTIVE, Task, TaskStatus
from services.runs.tasks import NewTask

router = Router(name="tasks")

MAX_TITLE = 120
MAX_TEXT = 20_000
LISTED = 10
SHORT_COMMAND = re.compile(r"^/task_([0-9a-f]{4,36})(?:@\w+)?$")


def title_of(text: str) -> str:
    """The first line with words in it, up to 120 UTF-16 units."""
    first = next((part for part in text.splitlines() if part.strip()), text)
    return line(first, MAX_TITLE)


async def give(ctx: Ctx, text: str) -> None:
    """Make `text` a task that runs at once. Its progress message is the answer."""
    actor = ctx.who
    text = text.replace("\x00", "").strip()
    if len(text) > MAX_TEXT:
        await ctx.say(views.view(ctx.t("task-too-long", max=MAX_TEXT, have=len(text))), reply=True)
        return
    new = NewTask(title=title_of(text), description=text, auto_run=True, origin=ctx.origin)
    await ctx.deps.chat.tasks.create(actor, new, update_id=ctx.update_id)


@router.message(Command("task"))
async def task(message: Message, command: CommandObject, ctx: Ctx) -> None:
    """`/task <text>`; in reply to a message without a text of its own, that message is the task."""
    ctx.known()
    text = (command.args or "").strip()
    if not text and message.reply_to_message is not None:
        text = (message.reply_to_message.text or message.reply_to_message.caption or "").strip()
    if not text:
        await ctx.say(views.view(ctx.t("task-usage")), reply=not ctx.private)
        return
    await give(ctx, text)


@router.message(F.text.regexp(SHORT_COMMAND))
async def detail(message: Message, ctx: Ctx) -> None:
    """`/task_<id>`: one task with its buttons."""
    found = SHORT_COMMAND.match(message.text or "")
    assert found is not None
    one = await ctx.deps.chat.tasks.find(ctx.who, found[1])
    await ctx.say(task_views.task_detail(ctx.t, one, ctx.deps.links, private=ctx.private))


@router.message(Command("tasks"))
async def tasks(_message: Message, ctx: Ctx) -> None:
    """The newest tasks."""
    found = await ctx.deps.tasks.list(ctx.who, limit=LISTED)
    await ctx.say(task_views.task_list(ctx.t, found, ctx.deps.links, private=ctx.private))


@router.message(Command("run"))
async def run(_message: Message, command: CommandObject, ctx: Ctx) -> None:
    """`/run <id>`: a new run of a task."""
    ctx.known()
    if not command.args:
        await ctx.say(views.view(ctx.t("task-missing", command="/run")))
        return
    one = await ctx.deps.chat.tasks.find(ctx.who, command.args)
    await ctx.deps.chat.tasks.run(ctx.who, one.id, update_id=ctx.update_id, origin=ctx.origin)


@router.message(Command("cancel"))
async def cancel(_message: Message, command: CommandObject, ctx: Ctx, state: FSMContext) -> None:
    """`/cancel` leaves a question of ours open; `/cancel <id>` stops a task."""
    ctx.known()
    if command.args:
        one = await ctx.deps.chat.tasks.find(ctx.who, command.args)
        await ctx.say(views.view(await _cancel(ctx, one)))
    elif await state.get_state() is not None:
        await state.set_state(None)
        await ctx.say(views.view(ctx.t("ask-closed")))
    else:
        await ctx.say(views.view(ctx.t("nothing-to-cancel")))


async def _cancel(ctx: Ctx, one: Task) -> str:
    title = line(one.title, 100)
    if TaskStatus(one.status) in ACTIVE:
        ended = await ctx.deps.runs.cancel(ctx.who, one.id)
        if ended is not None:
            return ctx.t("task-cancelled" if ended.ended else "task-cancel-asked", title=title)
    return ctx.t("task-cancel-none", status=ctx.t(f"status-{one.status}"))


@router.callback_query(TaskTap.filter())
async def tapped(_tap: CallbackQuery, ctx: Ctx, callback_data: TaskTap) -> None:
    """Cancel or run again, from a button."""
    one = await ctx.deps.tasks.get(ctx.who, callback_data.task_id)
    if callback_data.verb is TaskVerb.CANCEL:
        await ctx.answer(await _cancel(ctx, one))
        return
    await ctx.deps.chat.tasks.run(ctx.who, one.id, update_id=ctx.update_id, origin=ctx.origin)
    await ctx.answer(ctx.t("state-queued"))
