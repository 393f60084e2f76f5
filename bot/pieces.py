"""What a queued message is when it is sent: rendered from the state of that moment."""

import hashlib
import json
import logging
from dataclasses import dataclass
from typing import Any

from bot import approval_views, receipt_views, task_views, workspace_views
from bot.links import Links
from bot.text import LIMIT, clip
from bot.views import View
from domain.approvals.approval import Approval
from domain.approvals.away import away_of
from domain.chat.person import Person
from domain.clock import Now
from domain.outbox.message import Message
from domain.outbox.notifications import (
    BatchNotice,
    BudgetNotice,
    CallbackNotice,
    CardNotice,
    CardUpdate,
    CheckpointNotice,
    IntegrityNotice,
    LoginCodeNotice,
    NoticeKind,
    ProgressNotice,
    ReminderNotice,
    ResultNotice,
    TextNotice,
    UncertainNotice,
    UncertainUpdate,
    ViewNotice,
    notice_of,
)
from locales import Texts, Translator
from services.chat.container import ChatServices
from services.chat.messages import ShownState

log = logging.getLogger(__name__)

CRITICAL = 4
# somebody waits for these: when one cannot be made ready they hear where else to look
AWAITED = frozenset(kind.value for kind in NoticeKind if kind.startswith(("approval.", "run.uncertain")))


def digest_of(view: View) -> str:
    """16 hex digits that change whenever the message would look different."""
    return hashlib.sha256(json.dumps(view, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One call to make: a new message, or the edit of message `edit`."""

    view: View
    shows: ShownState | None = None
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


@dataclass(frozen=True, slots=True)
class Pieces:
    """Makes pieces of queued messages."""

    chat: ChatServices
    translator: Translator
    links: Links
    now: Now

    async def render(self, message: Message) -> Piece | None:
        """What a queued message is now; None when there is nothing to say any more."""
        notice, chat_id = notice_of(message.payload), int(message.recipient)
        person = await self.chat.people.at(chat_id) if chat_id > 0 else None
        language = notice.language if isinstance(notice, ViewNotice) else None
        t = self.translator.of(person.language if person else None, language)
        match notice:
            case BatchNotice():
                return await self._batch(notice, chat_id, t, person)
            case CardNotice() | CardUpdate() | ReminderNotice():
                return await self._approval(notice, chat_id, t, person)
            case UncertainNotice() | UncertainUpdate():
                return await self._uncertain(notice, message, t)
            case ProgressNotice() | ResultNotice():
                return await self._run(notice, message, t, person)
            case IntegrityNotice():
                found = receipt_views.integrity(t, subject=notice.subject, differs=notice.differs, count=notice.count)
                return Piece(view=found)
            case CheckpointNotice():
                where: dict[str, Any] = {"workspace_id": message.workspace_id or "", "silent": self._away(person)}
                return self._piece(t, receipt_views.checkpoint(t, notice), page="receipts", **where)
            case BudgetNotice():
                return self._piece(t, workspace_views.installation_budget(t, notice), page="usage")
            case TextNotice():
                text = clip(notice.text, LIMIT)
                return self._piece(t, {"text": text}, page="", silent=self._away(person)) if text.strip() else None
            case ViewNotice():
                return self._piece(t, notice.view, page="", **_stored(notice))
            case CallbackNotice() | LoginCodeNotice() | None:
                kind = message.payload.get("kind")
                log.error("unknown_message_kind", extra={"kind": kind, "message_id": message.id})
                return None

    async def _approval(
        self, notice: CardNotice | CardUpdate | ReminderNotice, chat_id: int, t: Texts, person: Person | None
    ) -> Piece | None:
        card = await self.chat.cards.approval(notice.approval_id)
        if card is None:
            return None
        approval = card.approval
        silent = self._away(person) and approval.effect < CRITICAL
        if isinstance(notice, ReminderNotice):
            if not approval.pending:
                return None
            cards = await self.chat.conversations.messages_of("approval", approval.id)
            shown_in = next((m.message_id for m in reversed(cards) if m.chat_id == chat_id), None)
            view = approval_views.approval_reminder(t, card, stage=notice.stage, instead_of=notice.instead_of)
            return self._piece(t, view, page=f"approvals/{approval.id}", of=approval, silent=silent, reply_to=shown_in)
        reader = None if person is None else person.id
        view = approval_views.approval_card(t, card, self.links, private=chat_id > 0, now=self.now(), reader=reader)
        shows = ShownState(
            kind="approval",
            ref=approval.id,
            digest=digest_of(view),
            mark=card.mark,
            user_id=reader,
        )
        page = f"approvals/{approval.id}"
        if isinstance(notice, CardNotice):
            return self._piece(t, view, page=page, of=approval, shows=shows, silent=silent)
        edit = await self._edit(chat_id, notice.message_id)
        return self._piece(t, view, page=page, of=approval, shows=shows, **edit)

    async def _edit(self, chat_id: int, message_id: int) -> dict[str, Any]:
        """Which message a piece replaces, and what that shows."""
        known = await self.chat.conversations.shown_at(chat_id, message_id)
        return {"edit": message_id, "known": "" if known is None else known.shown}

    def _piece(
        self, t: Texts, view: View, *, page: str, of: Approval | None = None, workspace_id: str = "", **more: Any
    ) -> Piece:
        """A piece that says where else what it shows is found; `of` is the approval it asks about."""
        url = self.links.page(page, workspace_id=workspace_id if of is None else of.workspace_id)
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

    async def _batch(self, notice: BatchNotice, chat_id: int, t: Texts, person: Person | None) -> Piece | None:
        card = await self.chat.cards.batch(notice.batch_id, chat_id)
        if not card.cards:
            return None
        view = approval_views.approval_batch(t, card, now=self.now())
        shows = ShownState(kind="batch", ref=notice.batch_id, digest=digest_of(view), mark=card.mark)
        asked = next((one.approval for one in card.cards if one.approval.pending), card.cards[0].approval)
        if notice.message_id is None:
            return self._piece(t, view, page="approvals", of=asked, shows=shows, silent=self._away(person))
        edit = await self._edit(chat_id, notice.message_id)
        return self._piece(t, view, page="approvals", of=asked, shows=shows, **edit)

    async def _uncertain(self, notice: UncertainNotice | UncertainUpdate, message: Message, t: Texts) -> Piece | None:
        assert message.workspace_id is not None
        card = await self.chat.cards.uncertain(message.workspace_id, notice.step_id)
        if card is None:
            return None
        view = task_views.uncertain(t, card)
        shows = ShownState(kind="uncertain", ref=card.step.id, digest=digest_of(view), mark=card.mark)
        more: dict[str, Any] = {"page": f"tasks/{card.task.id}", "workspace_id": message.workspace_id, "shows": shows}
        if isinstance(notice, UncertainNotice):
            return self._piece(t, view, **more)
        edit = await self._edit(int(message.recipient), notice.message_id)
        return self._piece(t, view, needed=not card.choice, **edit, **more)

    async def _run(
        self, notice: ProgressNotice | ResultNotice, message: Message, t: Texts, person: Person | None
    ) -> Piece | None:
        assert message.workspace_id is not None
        run_id, chat_id = notice.run_id, int(message.recipient)
        card = await self.chat.cards.run(message.workspace_id, run_id)
        if card is None:
            return None
        if person is None:
            t = self.translator.of(card.run.origin.get("language"))
        reply_to = task_views.run_origin(card.run) if card.run.origin.get("chatId") == chat_id else None
        more: dict[str, Any] = {"page": f"tasks/{card.task.id}", "workspace_id": message.workspace_id}
        if isinstance(notice, ResultNotice):
            view = task_views.run_result(t, card, self.links, private=chat_id > 0)
            return self._piece(t, view, reply_to=reply_to, silent=self._away(person), **more)
        view = task_views.run_progress(t, card, self.links, private=chat_id > 0)
        shows = ShownState(kind="run", ref=run_id, digest=digest_of(view), mark=card.mark)
        known = await self.chat.conversations.progress_message(run_id, chat_id)
        if known is None:
            # its result is on the way: a first progress message beside it would say the same twice
            if card.run.ended and reply_to is None:
                return None
            return self._piece(t, view, shows=shows, reply_to=reply_to, **more)
        more |= {"edit": known.message_id, "known": known.shown, "needed": not card.run.ended}
        return self._piece(t, view, shows=shows, **more)

    def _away(self, person: Person | None) -> bool:
        return person is not None and away_of(person.preferences, self.now()) is not None

    async def instead(self, message: Message) -> str:
        """What is said in place of a message that breaks whenever it is made ready; "" where nobody waits for it."""
        if message.payload.get("kind") not in AWAITED:
            return ""
        person = await self.chat.people.at(int(message.recipient))
        t = self.translator.of(person.language if person else None)
        return t("card-instead", url=self.links.page("approvals", workspace_id=message.workspace_id or ""))


def _stored(notice: ViewNotice) -> dict[str, Any]:
    about = notice.shows
    return {
        "shows": None if about is None else ShownState(kind=about["kind"], ref=about["ref"], digest=about["digest"]),
        "reply_to": notice.reply_to,
        "edit": notice.edit,
    }
