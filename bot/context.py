"""Who wrote, where, in which language, and how to answer: made once an update, before its handler."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiogram import BaseMiddleware, Bot
from aiogram.exceptions import AiogramError
from aiogram.types import CallbackQuery, InaccessibleMessage, Message, TelegramObject, Update, User

from bot.deps import BotDeps
from bot.pieces import digest_of
from bot.text import clip
from bot.views import View
from domain.errors import Forbidden, NotFound
from domain.identity.actor import Actor
from domain.outbox.notifications import ViewNotice
from locales import Texts

log = logging.getLogger(__name__)

ALERT_LIMIT = 200


@dataclass(slots=True, kw_only=True)
class Ctx:
    """The update being handled. What is said leaves through the outbox, once, however often it is delivered."""

    deps: BotDeps
    bot: Bot
    update_id: int
    chat_id: int
    private: bool
    user: User
    actor: Actor | None
    t: Texts
    message_id: int | None = None
    callback: CallbackQuery | None = None
    said: int = field(default=0)

    @property
    def who(self) -> Actor:
        """The person as an actor; Forbidden when they never said /start."""
        if self.actor is None:
            raise Forbidden("unknown chat user", code="stranger")
        return self.actor

    def known(self) -> None:
        """Forbidden when the person never said /start."""
        self.who  # noqa: B018 - raises

    async def go_to(self, place: str | None) -> None:
        """Act where the thing belongs that is spoken of, whichever workspace is looked at; NotFound where it is not."""
        if place is None:
            raise NotFound("no such thing")
        self.actor = await self.deps.memberships.in_workspace(self.who, place)

    @property
    def origin(self) -> dict[str, Any]:
        """Where a task or run came from: its progress and result are shown there."""
        return {
            "channel": "telegram",
            "chatId": self.chat_id,
            "messageId": self.message_id,
            "language": self.t.code,
        }

    async def say(
        self,
        view: View,
        *,
        reply: bool = False,
        shows: tuple[str, str] | None = None,
        edit: int | None = None,
        once: str | None = None,
    ) -> None:
        """Queue a message for this chat. `shows` is (kind, ref) to remember it by; `edit` an own message to replace.

        `once` names what is said once as long as sent messages are kept, and not once an update.
        """
        self.said += 1
        notice = ViewNotice(
            view=view,
            language=self.t.code,
            shows=None if shows is None else {"kind": shows[0], "ref": shows[1], "digest": digest_of(view)},
            reply_to=self.message_id if reply else None,
            edit=edit,
        )
        await self.deps.chat.messages.say(
            chat_id=self.chat_id,
            notice=notice,
            dedupe_key=once or f"tg:{self.update_id}:{self.said}",
            workspace_id=None if self.actor is None else self.actor.workspace_id,
        )

    async def answer(self, text: str = "", *, alert: bool = False) -> None:
        """Answer the tap, best effort: Telegram gives up on it after a while, and nothing hangs on it."""
        if self.callback is None:
            return
        try:
            await self.bot.answer_callback_query(
                self.callback.id, text=clip(text, ALERT_LIMIT) if text else None, show_alert=alert or None
            )
        except AiogramError as error:
            log.info("callback_not_answered", extra={"update": self.update_id, "error": str(error)[:200]})


async def context_of(deps: BotDeps, bot: Bot, update: Update) -> Ctx | None:
    """The context of an update, None for kinds that have no person or chat."""
    event = update.event
    callback = event if isinstance(event, CallbackQuery) else None
    message: Message | InaccessibleMessage | None = (
        callback.message if callback is not None else event if isinstance(event, Message) else None
    )
    user = callback.from_user if callback is not None else getattr(event, "from_user", None)
    chat = message.chat if message is not None else getattr(event, "chat", None)
    if user is None:
        return None
    actor = await deps.memberships.of_telegram(user.id)
    person = await deps.chat.people.at(user.id)
    chosen = None if person is None else person.language
    return Ctx(
        deps=deps,
        bot=bot,
        update_id=update.update_id,
        chat_id=user.id if chat is None else chat.id,
        private=chat is None or chat.type == "private",
        user=user,
        actor=actor,
        t=deps.translator.of(chosen, user.language_code),
        message_id=None if message is None else message.message_id,
        callback=callback,
    )


class ContextMiddleware(BaseMiddleware):
    """Gives handlers their `ctx`; updates without a person, and those of bots, go no further."""

    def __init__(self, deps: BotDeps) -> None:
        self._deps = deps

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Called by aiogram around every update."""
        assert isinstance(event, Update)
        ctx = await context_of(self._deps, data["bot"], event)
        if ctx is None or ctx.user.is_bot:
            return None
        data["ctx"] = ctx
        return await handler(event, data)
