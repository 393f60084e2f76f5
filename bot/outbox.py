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
from dataclasses import dataclass, replace
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
from bot.refusals import Refusal, refusal_of, simpler
from bot.text import LIMIT, clip
from bot.views import View
from domain.approvals import Approval
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
# a message that breaks whenever it is made ready holds up all that is to follow it in its chat
BROKEN_TRIES = 8


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
    # said in place of buttons, or of the whole message, that Telegram does not take
    elsewhere: str = ""
    instead: str = ""
    # somebody waits for it, also where the message it would have been shown in is deleted
    needed: bool = True

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
            said = f"{type(error).__name__}: {error}"
            if message.attempts + 1 < BROKEN_TRIES:
                await self._put_off(message, min(MAX_PAUSE, 2.0**message.attempts), said)
            else:
                await self._chat.failed(message, error=said, instead=await self._instead(message))
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
            message_id = await self._call_some_way(message, chat_id, piece)
        except TelegramRetryAfter as error:
            await self._put_off(message, float(error.retry_after), "too many requests")
        except TelegramForbiddenError as error:
            await self._chat.unreachable(message, chat_id=chat_id, error=str(error))
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
        """The right ending for what Telegram does not take in any form."""
        refusal = refusal_of(str(error))
        if refusal is Refusal.UNCHANGED:
            await self._chat.sent(message, chat_id=chat_id, message_id=piece.edit, shows=piece.shows)
        elif refusal is Refusal.CHAT_GONE:
            await self._chat.unreachable(message, chat_id=chat_id, error=str(error))
        else:
            log.error(
                "message_refused",
                extra={"message_id": message.id, "kind": message.payload.get("kind"), "error": str(error)},
            )
            await self._chat.failed(message, error=str(error))

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
        await self._chat.forget_shown(chat_id, piece.edit)
        again = await self.render(message)
        if again is None or (deleted and not again.needed):
            return None
        return replace(again, edit=None, reply_to=again.reply_to if deleted else piece.edit)

    async def _instead(self, message: Message) -> str:
        """What is said in place of a message that breaks whenever it is made ready; "" where nobody waits for it."""
        payload = message.payload
        if not str(payload.get("kind", "")).startswith(("approval.", "run.uncertain")):
            return ""
        person = await self._chat.person_at(int(message.recipient))
        t = self._translator.of(person.language if person else None, payload.get("language"))
        return t("card-instead", url=self._links.page("approvals", workspace_id=message.workspace_id or ""))

    async def _is_down(self, message: Message, error: Exception) -> None:
        # Telegram is away for everybody: one growing pause for all, so that a long outage costs little
        self._down_for = min(MAX_PAUSE, max(0.5, self._down_for * 2))
        self._down_until = time.monotonic() + min(5.0, self._down_for)
        await self._put_off(message, min(MAX_PAUSE, 0.5 * 2.0 ** min(message.attempts, 7)), str(error))

    async def _put_off(self, message: Message, seconds: float, error: str) -> None:
        await self._chat.later(message, seconds=seconds, error=error)

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
            text = clip(payload["text"], LIMIT)
            return self._piece(t, {"text": text}, page="", silent=self._away(person)) if text.strip() else None
        if kind == "view":
            return self._piece(t, payload["view"], page="", **_stored(payload))
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
            return self._piece(t, view, page=f"approvals/{approval.id}", of=approval, silent=silent, reply_to=shown_in)
        reader = None if person is None else person.id
        view = views.approval_card(t, card, self._links, private=chat_id > 0, now=self._now(), reader=reader)
        shows = Shows(
            kind="approval",
            ref=approval.id,
            digest=digest_of(view),
            mark=card.mark,
            user_id=reader,
        )
        page = f"approvals/{approval.id}"
        if payload["kind"] == "approval.card":
            return self._piece(t, view, page=page, of=approval, shows=shows, silent=silent)
        message_id = int(payload["messageId"])
        known = await self._chat.shown_at(chat_id, message_id)
        shown = "" if known is None else known.shown
        return self._piece(t, view, page=page, of=approval, shows=shows, edit=message_id, known=shown)

    def _piece(
        self, t: Texts, view: View, *, page: str, of: Approval | None = None, workspace_id: str = "", **more: Any
    ) -> Piece:
        """A piece that says where else what it shows is found; `of` is the approval it asks about."""
        url = self._links.page(page, workspace_id=workspace_id if of is None else of.workspace_id)
        if of is None:
            return Piece(
                view=view, elsewhere=t("buttons-elsewhere", url=url), instead=t("message-instead", url=url), **more
            )
        asks = of.pending
        return Piece(
            view=view,
            elsewhere=t("card-elsewhere" if asks else "buttons-elsewhere", url=url),
            instead=t("card-instead" if asks else "message-instead", url=url),
            needed=asks,
            **more,
        )

    async def _batch(self, payload: dict[str, Any], chat_id: int, t: Texts, person: Person | None) -> Piece | None:
        card = await self._chat.batch(payload["batchId"], chat_id)
        if not card.cards:
            return None
        view = views.approval_batch(t, card, now=self._now())
        shows = Shows(kind="batch", ref=payload["batchId"], digest=digest_of(view), mark=card.mark)
        asked = next((one.approval for one in card.cards if one.approval.pending), card.cards[0].approval)
        if "messageId" not in payload:
            return self._piece(t, view, page="approvals", of=asked, shows=shows, silent=self._away(person))
        message_id = int(payload["messageId"])
        known = await self._chat.shown_at(chat_id, message_id)
        shown = "" if known is None else known.shown
        return self._piece(t, view, page="approvals", of=asked, shows=shows, edit=message_id, known=shown)

    async def _uncertain(self, message: Message, t: Texts) -> Piece | None:
        payload, chat_id = message.payload, int(message.recipient)
        assert message.workspace_id is not None
        card = await self._chat.uncertain_card(message.workspace_id, payload["stepId"])
        if card is None:
            return None
        view = views.uncertain(t, card)
        shows = Shows(kind="uncertain", ref=card.step.id, digest=digest_of(view), mark=card.mark)
        more: dict[str, Any] = {"page": f"tasks/{card.task.id}", "workspace_id": message.workspace_id, "shows": shows}
        if payload["kind"] == "run.uncertain":
            return self._piece(t, view, **more)
        message_id = int(payload["messageId"])
        known = await self._chat.shown_at(chat_id, message_id)
        shown = "" if known is None else known.shown
        return self._piece(t, view, edit=message_id, known=shown, needed=not card.choice, **more)

    async def _run(self, message: Message, chat_id: int, t: Texts, person: Person | None) -> Piece | None:
        assert message.workspace_id is not None
        run_id = message.payload["runId"]
        card = await self._chat.run_card(message.workspace_id, run_id)
        if card is None:
            return None
        if person is None:
            t = self._translator.of(card.run.origin.get("language"))
        reply_to = views.run_origin(card.run) if card.run.origin.get("chatId") == chat_id else None
        more: dict[str, Any] = {"page": f"tasks/{card.task.id}", "workspace_id": message.workspace_id}
        if message.payload["kind"] == "run.result":
            view = views.run_result(t, card, self._links, private=chat_id > 0)
            return self._piece(t, view, reply_to=reply_to, silent=self._away(person), **more)
        view = views.run_progress(t, card, self._links, private=chat_id > 0)
        shows = Shows(kind="run", ref=run_id, digest=digest_of(view), mark=card.mark)
        known = await self._chat.progress_message(run_id, chat_id)
        if known is None:
            # its result is on the way: a first progress message beside it would say the same twice
            if card.run.ended and reply_to is None:
                return None
            return self._piece(t, view, shows=shows, reply_to=reply_to, **more)
        more |= {"edit": known.message_id, "known": known.shown, "needed": not card.run.ended}
        return self._piece(t, view, shows=shows, **more)

    def _away(self, person: Person | None) -> bool:
        return person is not None and away_of(person.preferences, self._now()) is not None


def _stored(payload: dict[str, Any]) -> dict[str, Any]:
    about = payload.get("shows")
    return {
        "shows": None if about is None else Shows(kind=about["kind"], ref=about["ref"], digest=about["digest"]),
        "reply_to": payload.get("replyTo"),
        "edit": payload.get("edit"),
    }


async def _first(*events: asyncio.Event, timeout: float) -> None:
    """Wait until one of the events is set, or for `timeout` seconds."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
