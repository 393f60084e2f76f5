"""Sends what is queued for Telegram: in order within a chat, at the pace Telegram allows, until it is out.

A message is sent at least once. The one moment in which a crash can send it twice is between
Telegram's answer and the commit that notes it, which follows at once; edits repeat harmlessly.
Everything is rendered when it is sent, from the state of that moment.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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

from bot import views
from bot.links import Links
from bot.pace import Pace
from bot.text import LIMIT, clip
from bot.views import View
from domain.away import away_of
from domain.clock import Now
from locales import Texts, Translator
from services.bus import Bus
from services.chat import ChatService, Shows
from services.notices import OUTBOX_TOPIC
from storage.chat_people import Person
from storage.outbox import Message

log = logging.getLogger(__name__)

IN_HAND = 32
POLL_SECONDS = 1.0
MAX_PAUSE = 60.0
CRITICAL = 4
STALE_EDITS = ("message to edit not found", "message can't be edited", "message_id_invalid", "message is too old")
GONE_CHATS = ("chat not found", "user is deactivated", "bot was kicked", "not enough rights", "peer_id_invalid")


def digest_of(view: View) -> str:
    """16 hex digits that change whenever the message would look different."""
    return hashlib.sha256(json.dumps(view, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One call to make: a new message, or the edit of message `edit`."""

    view: View
    shows: Shows | None = None
    edit: int | None = None
    reply_to: int | None = None
    silent: bool = False
    known: str = ""

    @property
    def unchanged(self) -> bool:
        """The message shows exactly this already."""
        return self.edit is not None and self.known == digest_of(self.view)


class Sender:
    """The one place from which messages leave."""

    def __init__(
        self,
        *,
        bot: Bot,
        chat: ChatService,
        translator: Translator,
        links: Links,
        bus: Bus,
        now: Now,
        pace: Pace | None = None,
    ) -> None:
        self._bot = bot
        self._chat = chat
        self._translator = translator
        self._links = links
        self._bus = bus
        self._now = now
        self._pace = pace or Pace(time.monotonic)
        self._busy: set[str] = set()
        self._down_until = 0.0
        self._down_for = 0.0
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
            found = await self._chat.claim(limit=room, busy=sorted(self._busy))
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
            await self._put_off(message, min(MAX_PAUSE, 2.0**message.attempts), f"{type(error).__name__}: {error}")
        finally:
            self._busy.discard(message.recipient)
            then()

    async def _send(self, message: Message) -> None:
        chat_id = int(message.recipient)
        piece = await self.render(message)
        if piece is None:
            await self._chat.sent(message, chat_id=chat_id, message_id=None, shows=None, result={"skipped": True})
            return
        if not piece.unchanged:
            wait = self._pace.reserve(chat_id)
            if wait > 0:
                await asyncio.sleep(wait)
                # time has passed: show the state of now, and one edit instead of several
                piece = await self.render(message) or piece
        if piece.unchanged:
            await self._chat.sent(message, chat_id=chat_id, message_id=piece.edit, shows=piece.shows)
            return
        try:
            message_id = await self._call(chat_id, piece)
        except TelegramRetryAfter as error:
            await self._put_off(message, float(error.retry_after), "too many requests")
        except TelegramForbiddenError as error:
            await self._chat.failed(message, error=str(error), close_chat=chat_id)
        except TelegramMigrateToChat as error:
            await self._chat.moved(message, to_chat=error.migrate_to_chat_id)
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
            self._down_for = 0.0
            self.sent += 1
            await self._chat.sent(
                message, chat_id=chat_id, message_id=message_id, shows=piece.shows, result={"messageId": message_id}
            )

    async def _refused(self, message: Message, chat_id: int, piece: Piece, error: TelegramBadRequest) -> None:
        text = str(error).lower()
        if "message is not modified" in text:
            await self._chat.sent(message, chat_id=chat_id, message_id=piece.edit, shows=piece.shows)
        elif piece.edit is not None and any(part in text for part in STALE_EDITS):
            await self._chat.failed(message, error=str(error))
        elif any(part in text for part in GONE_CHATS):
            await self._chat.failed(message, error=str(error), close_chat=chat_id)
        else:
            log.error(
                "message_refused",
                extra={"message_id": message.id, "kind": message.payload.get("kind"), "error": str(error)},
            )
            await self._chat.failed(message, error=str(error))

    async def _is_down(self, message: Message, error: Exception) -> None:
        # Telegram is away for everybody: one growing pause for all, so that a long outage costs little
        self._down_for = min(MAX_PAUSE, max(0.5, self._down_for * 2))
        self._down_until = time.monotonic() + min(5.0, self._down_for)
        await self._put_off(message, min(MAX_PAUSE, 0.5 * 2.0 ** min(message.attempts, 7)), str(error))

    async def _put_off(self, message: Message, seconds: float, error: str) -> None:
        await self._chat.later(message, seconds=seconds, error=error)

    async def _call(self, chat_id: int, piece: Piece) -> int:
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
        return made.message_id

    # --- rendering --------------------------------------------------------------------------------

    async def render(self, message: Message) -> Piece | None:
        """What a queued message is now; None when there is nothing to say any more."""
        payload, chat_id = message.payload, int(message.recipient)
        person = await self._chat.person_at(chat_id) if chat_id > 0 else None
        t = self._translator.of(person.language if person else None, payload.get("language"))
        kind = payload["kind"]
        if kind == "approval.batch":
            return await self._batch(payload, chat_id, t, person)
        if kind.startswith("approval."):
            return await self._approval(payload, chat_id, t, person)
        if kind.startswith("run.uncertain"):
            return await self._uncertain(message, t)
        if kind.startswith("run."):
            return await self._run(message, chat_id, t, person)
        if kind == "integrity":
            return Piece(view=views.integrity(t, payload))
        if kind == "text":
            return Piece(view={"text": clip(payload["text"], LIMIT), "entities": []}, silent=self._away(person))
        if kind == "view":
            return _stored(payload)
        log.error("unknown_message_kind", extra={"kind": kind, "message_id": message.id})
        return None

    async def _approval(self, payload: dict[str, Any], chat_id: int, t: Texts, person: Person | None) -> Piece | None:
        card = await self._chat.card(payload["approvalId"])
        if card is None:
            return None
        approval = card.approval
        silent = self._away(person) and approval.effect < CRITICAL
        if payload["kind"] == "approval.reminder":
            if not approval.pending:
                return None
            cards = await self._chat.messages_of("approval", approval.id)
            shown_in = next((m.message_id for m in reversed(cards) if m.chat_id == chat_id), None)
            view = views.approval_reminder(
                t, card, stage=int(payload["stage"]), instead_of=payload.get("insteadOf", ())
            )
            return Piece(view=view, silent=silent, reply_to=shown_in)
        reader = None if person is None else person.id
        view = views.approval_card(t, card, self._links, private=chat_id > 0, now=self._now(), reader=reader)
        shows = Shows(
            kind="approval",
            ref=approval.id,
            digest=digest_of(view),
            mark=card.mark,
            user_id=reader,
        )
        if payload["kind"] == "approval.card":
            return Piece(view=view, shows=shows, silent=silent)
        message_id = int(payload["messageId"])
        known = await self._chat.shown_at(chat_id, message_id)
        return Piece(view=view, shows=shows, edit=message_id, known="" if known is None else known.shown)

    async def _batch(self, payload: dict[str, Any], chat_id: int, t: Texts, person: Person | None) -> Piece | None:
        card = await self._chat.batch(payload["batchId"], chat_id)
        if not card.cards:
            return None
        view = views.approval_batch(t, card, now=self._now())
        shows = Shows(kind="batch", ref=payload["batchId"], digest=digest_of(view), mark=card.mark)
        if "messageId" not in payload:
            return Piece(view=view, shows=shows, silent=self._away(person))
        message_id = int(payload["messageId"])
        known = await self._chat.shown_at(chat_id, message_id)
        return Piece(view=view, shows=shows, edit=message_id, known="" if known is None else known.shown)

    async def _uncertain(self, message: Message, t: Texts) -> Piece | None:
        payload, chat_id = message.payload, int(message.recipient)
        assert message.workspace_id is not None
        card = await self._chat.uncertain_card(message.workspace_id, payload["stepId"])
        if card is None:
            return None
        view = views.uncertain(t, card)
        shows = Shows(kind="uncertain", ref=card.step.id, digest=digest_of(view), mark=card.mark)
        if payload["kind"] == "run.uncertain":
            return Piece(view=view, shows=shows)
        message_id = int(payload["messageId"])
        known = await self._chat.shown_at(chat_id, message_id)
        return Piece(view=view, shows=shows, edit=message_id, known="" if known is None else known.shown)

    async def _run(self, message: Message, chat_id: int, t: Texts, person: Person | None) -> Piece | None:
        assert message.workspace_id is not None
        run_id = message.payload["runId"]
        card = await self._chat.run_card(message.workspace_id, run_id)
        if card is None:
            return None
        if person is None:
            t = self._translator.of(card.run.origin.get("language"))
        reply_to = views.run_origin(card.run) if card.run.origin.get("chatId") == chat_id else None
        if message.payload["kind"] == "run.result":
            view = views.run_result(t, card, self._links, private=chat_id > 0)
            return Piece(view=view, reply_to=reply_to, silent=self._away(person))
        view = views.run_progress(t, card, self._links, private=chat_id > 0)
        shows = Shows(kind="run", ref=run_id, digest=digest_of(view), mark=card.mark)
        known = await self._chat.progress_message(run_id, chat_id)
        if known is None:
            # its result is on the way: a first progress message beside it would say the same twice
            return None if card.run.ended and reply_to is None else Piece(view=view, shows=shows, reply_to=reply_to)
        return Piece(view=view, shows=shows, edit=known.message_id, known=known.shown)

    def _away(self, person: Person | None) -> bool:
        return person is not None and away_of(person.preferences, self._now()) is not None


def _stored(payload: dict[str, Any]) -> Piece:
    about = payload.get("shows")
    view = payload["view"]
    return Piece(
        view=view,
        shows=None if about is None else Shows(kind=about["kind"], ref=about["ref"], digest=about["digest"]),
        reply_to=payload.get("replyTo"),
        edit=payload.get("edit"),
    )


async def _first(*events: asyncio.Event, timeout: float) -> None:
    """Wait until one of the events is set, or for `timeout` seconds."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
