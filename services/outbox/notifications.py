"""What people are told in chat: rows in the outbox, written with the change they tell of.

A row says what to show, not how: it is rendered when it is sent, from the state of that moment,
so a late message never shows a stale question.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.approvals.approval import LAST_REMINDER, Approval
from domain.approvals.away import represented
from domain.clock import Now
from domain.identity.actor import Role
from domain.identity.permissions import Action, roles_for
from domain.ids import new_id
from domain.outbox.notifications import (
    BatchNotice,
    CardNotice,
    CardUpdate,
    Notice,
    ProgressNotice,
    ReminderNotice,
    ResultNotice,
    TextNotice,
    UncertainNotice,
    UncertainUpdate,
    as_json,
)
from domain.outbox.recipient import Recipient
from domain.runs.run import Run
from domain.tools.effect import Effect
from services.platform.bus import Bus
from storage.chat import conversation_rows
from storage.outbox import outbox_rows, recipient_rows
from storage.transaction import Tx

TELEGRAM = "telegram"
OUTBOX_TOPIC = "outbox"
# lists of approvals that are kept up to date in one workspace
MAX_BATCHES = 20


def deciders_of(tx: Tx, approval: Approval) -> Sequence[Recipient]:
    """Who may decide an approval and can be written to."""
    approver_rule = approval.approver_rule
    if approver_rule.named:
        return recipient_rows.named(tx, approval.workspace_id, approver_rule.named)
    roles = [role.value for role in Role if role.rank >= approver_rule.least.rank]
    return recipient_rows.with_roles(tx, approval.workspace_id, roles)


def _batch_key(batch_id: str, chat_id: int) -> str:
    return f"batch:{batch_id}:{chat_id}"


def batch_of(tx: Tx, batch_id: str, chat_id: int) -> Sequence[str]:
    """The ids of the approvals that one message is about; none when that is forgotten."""
    _, data = conversation_rows.get_state(tx, _batch_key(batch_id, chat_id))
    found: Sequence[str] = data.get("approvalIds", ())
    return found


def _moved_key(chat_id: int) -> str:
    return f"moved:{chat_id}"


def _newest_id(tx: Tx, chat_id: int) -> int:
    """The id of a chat; a group's may have changed, more than once."""
    while chat_id < 0:
        _, data = conversation_rows.get_state(tx, _moved_key(chat_id))
        if "to" not in data:
            break
        chat_id = int(data["to"])
    return chat_id


@dataclass(frozen=True, slots=True)
class Notifications:
    """Queues messages for chats. Nothing is sent here."""

    bus: Bus
    now: Now

    def put(
        self, tx: Tx, *, workspace_id: str | None, chat_id: int, notice: Notice, dedupe_key: str | None = None
    ) -> None:
        """Queue one message for a chat, at its newest id, and wake the sender."""
        outbox_rows.put(
            tx,
            workspace_id=workspace_id,
            channel=TELEGRAM,
            recipient=str(_newest_id(tx, chat_id)),
            payload=as_json(notice),
            now=self.now(),
            dedupe_key=dedupe_key,
        )
        tx.on_commit(lambda: self.bus.woke(OUTBOX_TOPIC))

    def chat_moved(self, tx: Tx, *, from_chat: int, to_chat: int) -> None:
        """A group has another id: what waits for it goes there, and what is queued for it from now on."""
        conversation_rows.set_state(tx, _moved_key(from_chat), now=self.now(), data={"to": to_chat})
        # where it moves back, the way must not lead around
        conversation_rows.set_state(tx, _moved_key(to_chat), now=self.now(), data={})
        outbox_rows.redirect(tx, channel=TELEGRAM, recipient=str(from_chat), to=str(to_chat))
        tx.on_commit(lambda: self.bus.woke(OUTBOX_TOPIC))

    def approval_asked(self, tx: Tx, approval: Approval) -> None:
        """A card for everybody who may decide and can be written to."""
        for person in deciders_of(tx, approval):
            self.put(
                tx,
                workspace_id=approval.workspace_id,
                chat_id=person.telegram_id,
                notice=CardNotice(approval_id=approval.id, user_id=person.user_id),
                dedupe_key=f"card:{approval.id}:{approval.version}:{person.user_id}",
            )

    def approval_changed(self, tx: Tx, approval: Approval) -> None:
        """Every copy of the card is edited to the truth, and every list that holds it."""
        for message in conversation_rows.of(tx, kind="approval", ref=approval.id):
            self.put(
                tx,
                workspace_id=approval.workspace_id,
                chat_id=message.chat_id,
                notice=CardUpdate(approval_id=approval.id, message_id=message.message_id),
            )
        for message in conversation_rows.newest(tx, approval.workspace_id, kind="batch", limit=MAX_BATCHES):
            if approval.id in batch_of(tx, message.ref, message.chat_id):
                self.put(
                    tx,
                    workspace_id=approval.workspace_id,
                    chat_id=message.chat_id,
                    notice=BatchNotice(batch_id=message.ref, message_id=message.message_id),
                )

    def approval_batch(
        self, tx: Tx, *, workspace_id: str, chat_id: int, approval_ids: Sequence[str], dedupe_key: str
    ) -> None:
        """One message about exactly these approvals, each with buttons of its own."""
        batch_id = new_id()
        conversation_rows.set_state(
            tx, _batch_key(batch_id, chat_id), now=self.now(), data={"approvalIds": list(approval_ids)}
        )
        self.put(
            tx,
            workspace_id=workspace_id,
            chat_id=chat_id,
            notice=BatchNotice(batch_id=batch_id),
            dedupe_key=dedupe_key,
        )

    def approval_reminder(self, tx: Tx, approval: Approval, *, stage: int) -> None:
        """A reminder to everybody who may still decide; who is away is spared where a deputy hears it instead.

        Nobody is spared what is critical. The last call is the deputies' alone.
        """
        people = deciders_of(tx, approval)
        by_deputy = represented(people, self.now())
        spared = {one.user_id for ones in by_deputy.values() for one in ones}
        for person in people:
            instead_of = [one.name for one in by_deputy.get(person.user_id, ())]
            if stage == LAST_REMINDER and not instead_of:
                continue
            if person.user_id in spared and approval.effect < Effect.E4:
                continue
            self.put(
                tx,
                workspace_id=approval.workspace_id,
                chat_id=person.telegram_id,
                notice=ReminderNotice(approval_id=approval.id, stage=stage, instead_of=instead_of),
                dedupe_key=f"reminder:{approval.id}:{approval.version}:{stage}:{person.user_id}",
            )

    def run_progressed(self, tx: Tx, run: Run) -> None:
        """The progress message of the run is brought up to date, where the run came from a chat."""
        chat_id = run.origin.get("chatId")
        if chat_id is not None:
            self.put(
                tx,
                workspace_id=run.workspace_id,
                chat_id=int(chat_id),
                notice=ProgressNotice(run_id=run.id),
            )

    def run_ended(self, tx: Tx, run: Run) -> None:
        """The result, to the chat the run came from, or else to the person who started it."""
        chat_id = run.origin.get("chatId")
        if chat_id is None and run.started_by is not None:
            chat_id = recipient_rows.open_chat(tx, run.started_by)
        if chat_id is None:
            return
        self.run_progressed(tx, run)
        self.put(
            tx,
            workspace_id=run.workspace_id,
            chat_id=int(chat_id),
            notice=ResultNotice(run_id=run.id),
            dedupe_key=f"result:{run.id}",
        )

    def run_uncertain(self, tx: Tx, run: Run, *, step_id: str, attempt: int) -> None:
        """A call was interrupted while it was under way: the people who may say so are asked what to do."""
        roles = [role.value for role in roles_for(Action.RUN_SETTLE)]
        for person in recipient_rows.with_roles(tx, run.workspace_id, roles):
            self.put(
                tx,
                workspace_id=run.workspace_id,
                chat_id=person.telegram_id,
                notice=UncertainNotice(run_id=run.id, step_id=step_id),
                dedupe_key=f"uncertain:{step_id}:{attempt}:{person.user_id}",
            )

    def uncertain_settled(self, tx: Tx, *, workspace_id: str, step_id: str) -> None:
        """Every copy of the question is edited to its answer."""
        for message in conversation_rows.of(tx, kind="uncertain", ref=step_id):
            self.put(
                tx,
                workspace_id=workspace_id,
                chat_id=message.chat_id,
                notice=UncertainUpdate(step_id=step_id, message_id=message.message_id),
            )

    def text(self, tx: Tx, *, workspace_id: str, chat_id: int, text: str, dedupe_key: str) -> None:
        """Plain words, once."""
        self.put(
            tx,
            workspace_id=workspace_id,
            chat_id=chat_id,
            notice=TextNotice(text=text),
            dedupe_key=dedupe_key,
        )
