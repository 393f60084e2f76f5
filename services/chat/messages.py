"""Messages that leave for chats: queued, claimed by the sender, and what became of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain.clock import Now
from domain.outbox.message import Message
from domain.outbox.notifications import (
    BatchNotice,
    CardUpdate,
    Notice,
    ProgressNotice,
    ResultNotice,
    TextNotice,
    UncertainUpdate,
    notice_of,
)
from services.chat.cards import Card, Cards, run_card
from services.outbox.notifications import TELEGRAM, Notifications
from storage.chat import conversation_rows, person_rows
from storage.database import Store
from storage.outbox import outbox_rows, recipient_rows, recovery
from storage.transaction import Tx

LEASE = timedelta(seconds=30)
# chats that move to each other are followed so often
MOVES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownState:
    """What a sent message shows: `kind` is approval, batch, run, uncertain or what was asked; `digest` of its looks."""

    kind: str
    ref: str
    digest: str
    mark: str = ""
    user_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessages:
    """The outbox of the chats, one message at a time and in order in each of them."""

    store: Store
    cards: Cards
    notifications: Notifications
    now: Now

    async def say(
        self, *, chat_id: int, notice: Notice, dedupe_key: str | None, workspace_id: str | None = None
    ) -> None:
        """Queue one message for a chat; with the same key only once."""
        await self.store.write(
            lambda tx: self.notifications.put(
                tx, workspace_id=workspace_id, chat_id=chat_id, notice=notice, dedupe_key=dedupe_key
            )
        )

    async def say_batch(self, *, workspace_id: str, chat_id: int, approval_ids: Sequence[str], dedupe_key: str) -> None:
        """Queue one message about exactly these approvals."""
        await self.store.write(
            lambda tx: self.notifications.approval_batch(
                tx, workspace_id=workspace_id, chat_id=chat_id, approval_ids=approval_ids, dedupe_key=dedupe_key
            )
        )

    async def claim(self, *, limit: int, busy: Sequence[str]) -> Sequence[Message]:
        """Messages that are due, one a chat, in the order they were queued."""
        if not await self.store.read(lambda tx: outbox_rows.depth(tx).keys() & {"queued", "claimed"}):
            return ()
        return await self.store.write(
            lambda tx: outbox_rows.claim(tx, channels=[TELEGRAM], now=self.now(), lease=LEASE, limit=limit, busy=busy)
        )

    async def release_after_crash(self) -> int:
        """At start. On SQLite there is one process, so what is claimed was its predecessor's; elsewhere leases end."""
        if self.store.sqlite is None:
            return 0
        return await self.store.write(lambda tx: recovery.release(tx, channel=TELEGRAM))

    async def sent(
        self, message: Message, *, chat_id: int, message_id: int | None, shows: ShownState | None, result: Any = None
    ) -> None:
        """The message is out: note it, and what it shows. If that has changed meanwhile, queue the edit."""

        def work(tx: Tx) -> None:
            now = self.now()
            outbox_rows.sent(tx, message.id, now=now, result=result)
            if shows is None or message_id is None:
                return
            conversation_rows.remember(
                tx,
                workspace_id=message.workspace_id,
                kind=shows.kind,
                ref=shows.ref,
                chat_id=chat_id,
                message_id=message_id,
                user_id=shows.user_id,
                shown=shows.digest,
                now=now,
            )
            self._catch_up(tx, message, chat_id, message_id, shows)

        await self.store.write(work)

    def _catch_up(self, tx: Tx, message: Message, chat_id: int, message_id: int, shows: ShownState) -> None:
        card: Card | None
        update: Notice
        if shows.kind == "approval":
            card = self.cards.approval_in(tx, shows.ref)
            update = CardUpdate(approval_id=shows.ref, message_id=message_id)
        elif shows.kind == "batch":
            card = self.cards.batch_in(tx, shows.ref, chat_id)
            update = BatchNotice(batch_id=shows.ref, message_id=message_id)
        elif shows.kind == "uncertain" and message.workspace_id is not None:
            card = self.cards.uncertain_in(tx, message.workspace_id, shows.ref)
            update = UncertainUpdate(step_id=shows.ref, message_id=message_id)
        elif shows.kind == "run" and message.workspace_id is not None:
            card = run_card(tx, message.workspace_id, shows.ref)
            update = ProgressNotice(run_id=shows.ref)
        else:
            return
        if card is not None and card.mark != shows.mark:
            self.notifications.put(tx, workspace_id=message.workspace_id, chat_id=chat_id, notice=update)

    async def later(self, message: Message, *, seconds: float, error: str) -> None:
        """Try again after a while; everything behind it in the same chat waits with it."""
        until = self.now() + timedelta(seconds=seconds)
        await self.store.write(lambda tx: outbox_rows.later(tx, message.id, not_before=until, error=error))

    async def failed(self, message: Message, *, error: str, instead: str = "") -> None:
        """It can never be sent; `instead` is said in its place."""

        def work(tx: Tx) -> None:
            outbox_rows.failed(tx, message.id, now=self.now(), error=error)
            if instead:
                self.notifications.put(
                    tx,
                    workspace_id=message.workspace_id,
                    chat_id=int(message.recipient),
                    notice=TextNotice(text=instead),
                    dedupe_key=f"instead:{message.id}",
                )

        await self.store.write(work)

    async def unreachable(self, message: Message, *, chat_id: int, error: str) -> None:
        """The person blocked us, or we are not in the chat any more: nothing more is queued for them.

        What came out of a run is told to whoever began it, where a group cannot be told.
        """

        def work(tx: Tx) -> None:
            now = self.now()
            outbox_rows.failed(tx, message.id, now=now, error=error)
            person_rows.set_chat_open(tx, chat_id, is_open=False, now=now)
            notice = notice_of(message.payload)
            if chat_id < 0 and isinstance(notice, ResultNotice) and message.workspace_id is not None:
                card = run_card(tx, message.workspace_id, notice.run_id)
                starter = None if card is None else card.run.started_by
                to_chat = None if starter is None else recipient_rows.open_chat(tx, starter)
                if to_chat is not None:
                    self.notifications.put(tx, workspace_id=message.workspace_id, chat_id=to_chat, notice=notice)

        await self.store.write(work)

    async def moved(self, message: Message, *, to_chat: int) -> None:
        """The group became a supergroup: all that waits for it goes to its new id, and what is said later too."""

        def work(tx: Tx) -> None:
            now = self.now()
            if message.attempts >= MOVES:
                outbox_rows.failed(tx, message.id, now=now, error=f"moved to {to_chat}")
                return
            self.notifications.chat_moved(tx, from_chat=int(message.recipient), to_chat=to_chat)

        await self.store.write(work)
