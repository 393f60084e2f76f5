"""What no other handler took: free text is a task, the rest gets an honest answer."""

from aiogram import F, Router
from aiogram.enums import ChatMemberStatus
from aiogram.types import CallbackQuery, ChatMemberUpdated, Message

from bot import views
from bot.context import Ctx
from bot.tasks import give

router = Router(name="fallback")


def addressed(message: Message, username: str) -> str | None:
    """The text of a group message without the mention of us, None when it is not for us."""
    text = message.text or ""
    mention = f"@{username}".lower()
    if not username or mention not in text.lower():
        return None
    at = text.lower().index(mention)
    return f"{text[:at]} {text[at + len(mention) :]}".strip()


@router.message(F.text.startswith("/"))
async def unknown_command(message: Message, ctx: Ctx) -> None:
    """Commands in groups may be meant for another bot: silence there, unless it names us."""
    username = ctx.deps.links.username.lower()
    if ctx.private or (username and f"@{username}" in (message.text or "").lower().split(maxsplit=1)[0]):
        await ctx.say(views.view(ctx.t("unknown-command")))


@router.message(F.text)
async def free_text(message: Message, ctx: Ctx) -> None:
    """In private a task; in a group only when we are mentioned."""
    text = message.text or ""
    if not ctx.private:
        found = addressed(message, ctx.deps.links.username)
        if found is None:
            return
        text = found
    if not text.strip():
        await ctx.say(views.view(ctx.t("task-usage")), reply=not ctx.private)
        return
    await give(ctx, text)


@router.message()
async def other(message: Message, ctx: Ctx) -> None:
    """Pictures, voice, stickers: told, not ignored. A caption is a task like any text."""
    if not ctx.private:
        return
    if message.caption:
        await give(ctx, message.caption)
        return
    await ctx.say(views.view(ctx.t("only-text")))


@router.callback_query()
async def old_button(_tap: CallbackQuery, ctx: Ctx) -> None:
    """A button of an older version."""
    await ctx.answer(ctx.t("error-old-button"), alert=True)


@router.my_chat_member()
async def membership(event: ChatMemberUpdated, ctx: Ctx) -> None:
    """Blocked and unblocked in private: the chat closes and opens. Added to a group: say how it works there."""
    status = event.new_chat_member.status
    if event.chat.type == "private":
        is_open = status == ChatMemberStatus.MEMBER
        if ctx.actor is not None:
            await ctx.deps.chat.people.set_chat_open(ctx.user.id, is_open=is_open)
    elif status in (ChatMemberStatus.MEMBER, ChatMemberStatus.ADMINISTRATOR) and event.old_chat_member.status in (
        ChatMemberStatus.LEFT,
        ChatMemberStatus.KICKED,
    ):
        await ctx.say(views.view(ctx.t("group-hello")))
