"""Sends what is queued for Telegram: in order within a chat, at the pace Telegram allows, until it is out.

A message is sent at least once. The one moment in which a crash can send it twice is between
Telegram's answer and the commit that notes it, which follows at once; edits repeat harmlessly.
Everything is rendered when it is sent, from the state of that moment.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from aiogram import Bot
from aiogram.exceptions import (
    AiogramError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.types import (
    ForceReply,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MessageEntity,
    ReplyParameters,
)

from bot.links import Links
from bot.pieces import Piece, Pieces
from bot.refusals import Refusal, refusal_of, simpler
from bot.throttle import Throttle
from domain.backoff import Backoff
from domain.clock import Now
from domain.outbox.message import Message
from domain.outbox.notifications import NoticeKind
from locales import Translator
from services.chat.container import ChatServices
from services.outbox.notifications import OUTBOX_TOPIC
from services.platform.bus import Bus

log = logging.getLogger(__name__)

IN_HAND = 32
POLL_SECONDS = 1.0
# what Telegram does not take in just now waits; and so does all else, but never for long
AWAY = Backoff(first=0.5, longest=60.0)
AWAY_FOR_ALL = Backoff(first=0.5, longest=5.0)
CRITICAL = 4
# a message that breaks whenever it is made ready holds up all that is to follow it in its chat
BROKEN = Backoff(first=1.0, longest=60.0, tries=8)
# somebody waits for these: when one cannot be made ready they hear where else to look
AWAITED = frozenset(kind.value for kind in NoticeKind if kind.startswith(("approval.", "run.uncertain")))


class Sender:
    """The one place from which messages leave."""

    def __init__(
        self,
        *,
        bot: Bot,
        chat: ChatServices,
        translator: Translator,
        links: Links,
        bus: Bus,
        now: Now,
        pace: Throttle | None = None,
    ) -> None:
        self._bot = bot
        self._chat = chat
        self._pieces = Pieces(chat, translator, links, now)
        self._bus = bus
        self._pace = pace or Throttle(time.monotonic)
        self._busy: set[str] = set()
        self._down_until = 0.0
        self._failures = 0
        self.sent = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set; what is in hand is finished first."""
        async with asyncio.TaskGroup() as group:
            with self._bus.listen(OUTBOX_TOPIC) as woken:
                while not stop.is_set():
                    woken.clear()
                    room = IN_HAND - len(self._busy)
                    pause = self._down_until - time.monotonic()
                    if room > 0 and pause <= 0 and await self._start(group, woken, room=room):
                        continue
                    await _first(woken, stop, timeout=min(POLL_SECONDS, pause) if pause > 0 else POLL_SECONDS)

    async def _start(self, group: asyncio.TaskGroup, woken: asyncio.Event, *, room: int) -> bool:
        try:
            found = await self._chat.messages.claim(limit=room, busy=sorted(self._busy))
        except Exception:
            log.exception("outbox_claim_failed")
            return False
        for message in found:
            self._busy.add(message.recipient)
            group.create_task(self._handle(message, woken.set))
        return bool(found)

    async def _handle(self, message: Message, then: Callable[[], None]) -> None:
        try:
            await self._send(message)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # ours, not Telegram's: it must neither be lost nor spin
            log.exception("outbox_failed", extra={"message_id": message.id, "kind": message.payload.get("kind")})
            said = f"{type(error).__name__}: {error}"
            failure = message.attempts + 1
            if BROKEN.is_last(failure):
                await self._chat.messages.failed(message, error=said, instead=await self._pieces.instead(message))
            else:
                await self._put_off(message, BROKEN.pause(failure), said)
        finally:
            self._busy.discard(message.recipient)
            then()

    async def _send(self, message: Message) -> None:
        chat_id = int(message.recipient)
        piece = await self._pieces.render(message)
        if piece is None:
            await self._chat.messages.sent(
                message, chat_id=chat_id, message_id=None, shows=None, result={"skipped": True}
            )
            return
        if not piece.unchanged:
            wait = self._pace.reserve(chat_id)
            if wait > 0:
                await asyncio.sleep(wait)
                # time has passed: show the state of now, and one edit instead of several
                piece = await self._pieces.render(message) or piece
        if piece.unchanged:
            await self._chat.messages.sent(message, chat_id=chat_id, message_id=piece.edit, shows=piece.shows)
            return
        try:
            message_id = await self._call_some_way(message, chat_id, piece)
        except TelegramRetryAfter as error:
            await self._put_off(message, float(error.retry_after), "too many requests")
        except TelegramForbiddenError as error:
            await self._chat.messages.unreachable(message, chat_id=chat_id, error=str(error))
        except TelegramMigrateToChat as error:
            await self._chat.messages.moved(message, to_chat=error.migrate_to_chat_id)
        except TelegramBadRequest as error:
            await self._refused(message, chat_id, piece, error)
        except (TelegramNetworkError, TelegramServerError) as error:
            await self._is_down(message, error)
        except TelegramAPIError as error:
            # a token that was taken back, say: it may be set right, so nothing is thrown away
            log.error("telegram_refuses", extra={"error": str(error), "message_id": message.id})  # noqa: TRY400
            await self._is_down(message, error)
        except AiogramError as error:
            await self._is_down(message, error)
        else:
            self._failures = 0
            self.sent += 1
            await self._chat.messages.sent(
                message, chat_id=chat_id, message_id=message_id, shows=piece.shows, result={"messageId": message_id}
            )

    async def _refused(self, message: Message, chat_id: int, piece: Piece, error: TelegramBadRequest) -> None:
        """The right ending for what Telegram does not take in any form."""
        refusal = refusal_of(str(error))
        if refusal is Refusal.UNCHANGED:
            await self._chat.messages.sent(message, chat_id=chat_id, message_id=piece.edit, shows=piece.shows)
        elif refusal is Refusal.CHAT_GONE:
            await self._chat.messages.unreachable(message, chat_id=chat_id, error=str(error))
        else:
            log.error(
                "message_refused",
                extra={"message_id": message.id, "kind": message.payload.get("kind"), "error": str(error)},
            )
            await self._chat.messages.failed(message, error=str(error))

    async def _call_some_way(self, message: Message, chat_id: int, piece: Piece) -> int | None:
        """The id of the message that shows the piece: as it is, or in the first simpler form that Telegram takes."""
        forms = [piece.view, *simpler(piece.view, elsewhere=piece.elsewhere, instead=piece.instead)]
        while True:
            try:
                return await self._call(chat_id, replace(piece, view=forms[0]))
            except TelegramBadRequest as error:
                refusal = refusal_of(str(error))
                extra = {"message_id": message.id, "kind": message.payload.get("kind"), "error": str(error)}
                if refusal is Refusal.NOTHING_TO_REPLY_TO and piece.reply_to is not None:
                    piece = replace(piece, reply_to=None)
                elif refusal in (Refusal.DELETED, Refusal.LOCKED) and piece.edit is not None:
                    again = await self._anew(message, chat_id, piece, deleted=refusal is Refusal.DELETED)
                    if again is None:
                        return None
                    piece = again
                    forms = [piece.view, *simpler(piece.view, elsewhere=piece.elsewhere, instead=piece.instead)]
                elif refusal is Refusal.CONTENT and len(forms) > 1:
                    del forms[0]
                    log.warning("message_simplified", extra=extra)
                else:
                    raise
            await asyncio.sleep(self._pace.reserve(chat_id))

    async def _anew(self, message: Message, chat_id: int, piece: Piece, *, deleted: bool) -> Piece | None:
        """What cannot be edited is shown in a new message; None where it was deleted and nobody waits for it."""
        assert piece.edit is not None
        await self._chat.conversations.forget_shown(chat_id, piece.edit)
        again = await self._pieces.render(message)
        if again is None or (deleted and not again.needed):
            return None
        return replace(again, edit=None, reply_to=again.reply_to if deleted else piece.edit)

    async def _is_down(self, message: Message, error: Exception) -> None:
        # Telegram is away for everybody: one growing pause for all, so that a long outage costs little
        self._failures += 1
        self._down_until = time.monotonic() + AWAY_FOR_ALL.pause(self._failures)
        await self._put_off(message, AWAY.pause(message.attempts + 1), str(error))

    async def _put_off(self, message: Message, seconds: float, error: str) -> None:
        await self._chat.messages.later(message, seconds=seconds, error=error)

    async def _call(self, chat_id: int, piece: Piece) -> int | None:
        view = piece.view
        entities = [MessageEntity.model_validate(e) for e in view.get("entities", ())]
        keyboard = (
            InlineKeyboardMarkup.model_validate({"inline_keyboard": view["keyboard"]}) if view.get("keyboard") else None
        )
        no_preview = LinkPreviewOptions(is_disabled=True)
        if piece.edit is not None:
            await self._bot.edit_message_text(
                chat_id=chat_id,
                message_id=piece.edit,
                text=view["text"],
                entities=entities,
                parse_mode=None,
                reply_markup=keyboard,
                link_preview_options=no_preview,
            )
            return piece.edit
        markup = (
            ForceReply(force_reply=True, input_field_placeholder=view["force_reply"], selective=True)
            if view.get("force_reply")
            else keyboard
        )
        made = await self._bot.send_message(
            chat_id=chat_id,
            text=view["text"],
            entities=entities,
            parse_mode=None,
            reply_markup=markup,
            link_preview_options=no_preview,
            disable_notification=piece.silent or None,
            reply_parameters=None
            if piece.reply_to is None
            else ReplyParameters(message_id=piece.reply_to, allow_sending_without_reply=True),
        )
        # 0 where nothing was said of what was sent
        return made.message_id or None


async def _first(*events: asyncio.Event, timeout: float) -> None:
    """Wait until one of the events is set, or for `timeout` seconds."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
