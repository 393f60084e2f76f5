"""What the chat needs: what a card is to show now, what was sent where, and doing a thing once per update."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from domain.approvals.approval import Approval
from domain.approvals.away import represented
from domain.chat.message import ChatMessage
from domain.chat.person import Person
from domain.clock import Now
from domain.errors import Conflict, Forbidden, NotFound, PilotError
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.ledger.rows import ReceiptRow
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
from domain.receipts import merkle
from domain.runs.run import Run, Step, StepState, UncertainChoice
from domain.runs.task import Task
from domain.tools.operator import Operator
from services.approvals.deciders import excluded_requester
from services.ledger.append import Ledger
from services.ledger.gate import counted_votes
from services.ledger.log_check import LogCheck
from services.ledger.records import Records
from services.lifecycle.container import Lifecycle
from services.lifecycle.requests import redact_args
from services.outbox.notifications import TELEGRAM, Notifications, batch_of, deciders_of
from services.runs.tasks import NewTask, TaskService
from services.tools.registry import ToolRegistry
from storage.approvals import approval_rows
from storage.chat import conversation_rows, inbox_rows, person_rows
from storage.database import Store
from storage.ledger import log_rows, receipt_rows
from storage.outbox import outbox_rows, recipient_rows, recovery
from storage.policy import settings_rows
from storage.runs import run_rows, task_rows, usage_rows
from storage.tools import operator_rows
from storage.transaction import Tx

LEASE = timedelta(seconds=30)
LOOK_BACK = 2000
# chats that move to each other are followed so often
MOVES = 8
CHECKED_BY_VERIFY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalCard:
    """An approval with the names a card shows."""

    approval: Approval
    approved_by: Sequence[str]
    resolver: str | None
    # who asks, where it is nobody of ours
    asker: str | None = None
    # too few people are left who may approve it
    unmet: bool = False
    # by the user id of each deputy the names of those they stand in for
    deputies: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """Changes whenever the card would look different."""
        a = self.approval
        return f"{a.status}:{a.version}:{len(self.approved_by)}:{a.resolved_at}:{self.unmet}:{','.join(a.differs)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCard:
    """A run with its task and steps; `receipt` is the one of its end."""

    run: Run
    task: Task
    steps: Sequence[Step]
    receipt: ReceiptRow | None

    @property
    def mark(self) -> str:
        """Changes whenever the progress message would look different."""
        return f"{self.run.state}:{self.run.cancel_requested}:{self.run.thinking}:{self.run.partial_text}:" + ",".join(
            f"{s.seq}{s.state}" for s in self.steps
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UncertainCard:
    """A step that was interrupted in a call, with its run and task. `args` hide what the tool declares secret."""

    step: Step
    run: Run
    task: Task
    args: Any

    @property
    def choice(self) -> str:
        """What was said of it: retry, skip, mark_done or cancelled; "" while it is open."""
        state = self.step.state
        if state is StepState.UNCERTAIN:
            return ""
        if state is StepState.DONE and isinstance(self.step.output, dict) and self.step.output.get("markedDone"):
            return UncertainChoice.MARK_DONE.value
        return {StepState.SKIPPED: UncertainChoice.SKIP.value, StepState.CANCELLED: "cancelled"}.get(
            state, UncertainChoice.RETRY.value
        )

    @property
    def mark(self) -> str:
        """Changes whenever the question would look different."""
        return self.choice


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCard:
    """Several approvals in one message, in the order they were listed."""

    cards: Sequence[ApprovalCard]

    @property
    def mark(self) -> str:
        """Changes whenever the list would look different."""
        return ",".join(card.mark for card in self.cards)


Card = ApprovalCard | BatchCard | RunCard | UncertainCard


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownState:
    """What a sent message shows: `kind` is approval, batch, run, uncertain or what was asked; `digest` of its looks."""

    kind: str
    ref: str
    digest: str
    mark: str = ""
    user_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What checking receipts found. `problem` is "" when all is well."""

    size: int
    checked: int
    root: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedReceipt:
    """One receipt and whether its signature and its place in the log hold."""

    row: ReceiptRow
    executor: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A workspace at a glance."""

    workspace: str
    mode: str
    killed: bool
    tasks: Mapping[str, int]
    pending_approvals: int
    receipts: int


@dataclass(frozen=True, slots=True)
class ChatService:
    """Reads for cards, bookkeeping of what was sent, and work that a redelivered update must not repeat."""

    store: Store
    tasks: TaskService
    lifecycle: Lifecycle
    tool_registry: ToolRegistry
    notifications: Notifications
    ledger: Ledger
    now: Now

    # --- once per update --------------------------------------------------------------------------

    async def create_task(self, actor: Actor, new: NewTask, *, update_id: int) -> tuple[Task, bool]:
        """Create a task for this update, or find the one it created before; whether it is new."""
        require(actor, Action.TASK_CREATE)
        require(actor, Action.TASK_RUN)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> tuple[Task, bool]:
            before = inbox_rows.effect_of(tx, update_id)
            if before is not None:
                return task_rows.get(tx, workspace_id, before), False
            made = self.tasks.create_in(
                tx,
                workspace_id,
                new,
                principal=actor.principal,
                user_id=actor.user_id,
                channel=actor.channel.value,
            )
            if isinstance(made, str):
                raise Forbidden("the operator is not in this workspace", code="operator_scope")
            inbox_rows.remember_effect(tx, update_id, made.id, now=self.now())
            self._progress(tx, made)
            return made, True

        return await self.store.write(work)

    async def run_task(
        self, actor: Actor, task_id: str, *, update_id: int, origin: dict[str, Any]
    ) -> tuple[Task, bool]:
        """Start a run of a task for this update once; Conflict when another run is under way."""
        require(actor, Action.TASK_RUN)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> tuple[Task, bool]:
            task = task_rows.get(tx, workspace_id, task_id, lock=True)
            if inbox_rows.effect_of(tx, update_id) is not None:
                return task, False
            run = self.lifecycle.runs.begin(
                tx, task, started_by=actor.user_id, principal=actor.principal, origin=origin
            )
            inbox_rows.remember_effect(tx, update_id, run.id, now=self.now())
            self._progress(tx, task)
            return task, True

        return await self.store.write(work)

    def _progress(self, tx: Tx, task: Task) -> None:
        run = run_rows.active_of_task(tx, task.workspace_id, task.id)
        if run is not None:
            self.notifications.run_progressed(tx, run)

    # --- what is to be said -----------------------------------------------------------------------

    async def say(
        self, *, chat_id: int, notice: Notice, dedupe_key: str | None, workspace_id: str | None = None
    ) -> None:
        """Queue one message for a chat; with the same key only once."""
        await self.store.write(
            lambda tx: self.notifications.put(
                tx, workspace_id=workspace_id, chat_id=chat_id, notice=notice, dedupe_key=dedupe_key
            )
        )

    async def card(self, approval_id: str) -> ApprovalCard | None:
        """An approval as its card shows it now, None when it is gone."""
        return await self.store.read(lambda tx: _card(self.ledger, tx, approval_id, now=self.now()))

    async def batch(self, batch_id: str, chat_id: int) -> BatchCard:
        """The approvals of one message as they are now."""
        return await self.store.read(lambda tx: _batch(self.ledger, tx, batch_id, chat_id, now=self.now()))

    async def say_batch(self, *, workspace_id: str, chat_id: int, approval_ids: Sequence[str], dedupe_key: str) -> None:
        """Queue one message about exactly these approvals."""
        await self.store.write(
            lambda tx: self.notifications.approval_batch(
                tx, workspace_id=workspace_id, chat_id=chat_id, approval_ids=approval_ids, dedupe_key=dedupe_key
            )
        )

    async def run_card(self, workspace_id: str, run_id: str) -> RunCard | None:
        """A run as its messages show it now, None when it is gone."""
        return await self.store.read(lambda tx: _run_card(tx, workspace_id, run_id))

    async def uncertain_card(self, workspace_id: str, step_id: str) -> UncertainCard | None:
        """An interrupted step as its question shows it now, None when it is gone."""
        return await self.store.read(lambda tx: self._uncertain_card(tx, workspace_id, step_id))

    def _uncertain_card(self, tx: Tx, workspace_id: str, step_id: str) -> UncertainCard | None:
        try:
            step = run_rows.get_step(tx, workspace_id, step_id)
            run = run_rows.get(tx, workspace_id, step.run_id)
            task = task_rows.get(tx, workspace_id, run.task_id)
        except NotFound:
            return None
        tool = self.tool_registry.within(tx, workspace_id).get(step.tool)
        # a tool that is gone cannot say what it keeps secret: then nothing is shown
        args = {} if tool is None else redact_args(step.args, tool.spec.redactions)
        return UncertainCard(step=step, run=run, task=task, args=args)

    async def person_at(self, chat_id: int) -> Person | None:
        """Whose private chat this is."""
        return await self.store.read(lambda tx: person_rows.at_chat(tx, chat_id))

    async def shown_at(self, chat_id: int, message_id: int) -> ChatMessage | None:
        """What a message of ours shows, None when it shows nothing that is kept track of."""
        return await self.store.read(lambda tx: conversation_rows.at(tx, chat_id=chat_id, message_id=message_id))

    async def messages_of(self, kind: str, ref: str) -> Sequence[ChatMessage]:
        """Every message that shows `ref`."""
        return await self.store.read(lambda tx: conversation_rows.of(tx, kind=kind, ref=ref))

    async def progress_message(self, run_id: str, chat_id: int) -> ChatMessage | None:
        """The one message of a run in a chat."""
        found = await self.store.read(lambda tx: conversation_rows.of(tx, kind="run", ref=run_id))
        return next((m for m in found if m.chat_id == chat_id), None)

    # --- the outbox -------------------------------------------------------------------------------

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
            card = _card(self.ledger, tx, shows.ref, now=self.now())
            update = CardUpdate(approval_id=shows.ref, message_id=message_id)
        elif shows.kind == "batch":
            card = _batch(self.ledger, tx, shows.ref, chat_id, now=self.now())
            update = BatchNotice(batch_id=shows.ref, message_id=message_id)
        elif shows.kind == "uncertain" and message.workspace_id is not None:
            card = self._uncertain_card(tx, message.workspace_id, shows.ref)
            update = UncertainUpdate(step_id=shows.ref, message_id=message_id)
        elif shows.kind == "run" and message.workspace_id is not None:
            card = _run_card(tx, message.workspace_id, shows.ref)
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
                card = _run_card(tx, message.workspace_id, notice.run_id)
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

    async def forget_shown(self, chat_id: int, message_id: int) -> None:
        """A message of ours is gone, or cannot be edited: what it showed is shown elsewhere from now on."""
        await self.store.write(lambda tx: conversation_rows.forget(tx, chat_id=chat_id, message_id=message_id))

    # --- people and conversations -----------------------------------------------------------------

    async def set_chat_open(self, telegram_id: int, *, is_open: bool) -> None:
        """Open or close the private chat of a person."""
        await self.store.write(lambda tx: person_rows.set_chat_open(tx, telegram_id, is_open=is_open, now=self.now()))

    async def set_language(self, actor: Actor, language: str) -> None:
        """The language a person chose."""
        await self.store.write(
            lambda tx: person_rows.set_preference(tx, actor.user_id, "language", language, now=self.now())
        )

    async def get_state(self, key: str) -> tuple[str | None, dict[str, Any]]:
        """State and data of a conversation."""
        return await self.store.read(lambda tx: conversation_rows.get_state(tx, key))

    async def set_state(self, key: str, **values: Any) -> None:
        """Set state, data or both of a conversation."""
        await self.store.write(lambda tx: conversation_rows.set_state(tx, key, now=self.now(), **values))

    # --- reads for commands -----------------------------------------------------------------------

    async def overview(self, actor: Actor) -> Overview:
        """Counts for /status."""
        require(actor, Action.TASK_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Overview:
            stored = settings_rows.get(tx, workspace_id)
            return Overview(
                workspace=person_rows.workspace_name(tx, workspace_id),
                mode=stored.mode,
                killed=stored.policy.get("killSwitch") is True,
                tasks=task_rows.counts(tx, workspace_id),
                pending_approvals=approval_rows.count_pending(tx, workspace_id),
                receipts=log_rows.head(tx, workspace_id).size,
            )

        return await self.store.read(work)

    async def usage(self, actor: Actor) -> Sequence[tuple[str, dict[str, int]]]:
        """What models took today, in seven days and this month (UTC), for /usage."""
        require(actor, Action.USAGE_READ)
        today = self.now().date()
        spans = {"today": today, "week": today - timedelta(days=6), "month": today.replace(day=1)}

        def work(tx: Tx) -> Sequence[tuple[str, dict[str, int]]]:
            until = today.isoformat()
            return [
                (name, usage_rows.total(tx, actor.in_workspace, since=since.isoformat(), until=until))
                for name, since in spans.items()
            ]

        return await self.store.read(work)

    async def workspace_name(self, workspace_id: str) -> str:
        """The name of a workspace."""
        return await self.store.read(lambda tx: person_rows.workspace_name(tx, workspace_id))

    async def operators(self, actor: Actor) -> Sequence[Operator]:
        """The operators of the workspace."""
        require(actor, Action.OPERATOR_READ)
        return await self.store.read(lambda tx: operator_rows.find(tx, actor.in_workspace))

    async def find_task(self, actor: Actor, text: str) -> Task:
        """A task by its id or the end of it (4 characters or more, as lists show it); NotFound or Conflict."""
        require(actor, Action.TASK_READ)
        wanted = text.strip().lower().replace("-", "")
        if len(wanted) < 4:
            raise NotFound("Task not found")

        def work(tx: Tx) -> Task:
            found = [
                t
                for t in task_rows.find(tx, actor.in_workspace, limit=LOOK_BACK)
                if t.id.replace("-", "").endswith(wanted) or t.id.replace("-", "") == wanted
            ]
            if not found:
                raise NotFound("Task not found")
            if len(found) > 1:
                raise Conflict("several tasks end like this", code="ambiguous_id")
            return found[0]

        return await self.store.read(work)

    async def check_receipt(self, actor: Actor, text: str) -> CheckedReceipt:
        """A receipt by its id or the first 8 or more hex digits of its hash, checked; NotFound."""
        require(actor, Action.RECEIPT_READ)
        wanted = text.strip().lower()

        def work(tx: Tx) -> CheckedReceipt:
            row = _find_receipt(tx, actor.in_workspace, wanted)
            problem = self._problem(tx, row)
            return CheckedReceipt(row=row, executor=row.principal, problem=problem)

        return await self.store.read(work)

    def _problem(self, tx: Tx, row: ReceiptRow) -> str:
        """What does not hold of a receipt with its payloads, as one line; "" = everything does."""
        return "; ".join(LogCheck.of(self.ledger, tx, row.workspace_id).check_whole(row).differs)

    async def check_log(self, actor: Actor) -> Checked:
        """Recompute the log's tree, compare it with its head and newest checkpoint, check the newest receipts."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Checked:
            head = log_rows.head(tx, workspace_id)
            newest = receipt_rows.find(tx, workspace_id, limit=CHECKED_BY_VERIFY)
            problem = ""
            try:
                root = merkle.Frontier.from_bytes(head.size, head.frontier).root()
                self.ledger.check_log(tx, workspace_id)
                log_check = LogCheck.of(self.ledger, tx, workspace_id)
                problem = log_check.signed[1]
                if missing := log_check.missing(newest, before=None, limit=CHECKED_BY_VERIFY):
                    problem = f"receipt {missing[-1]} is missing"
                problem = problem or next((p for row in newest if (p := self._problem(tx, row))), "")
            except PilotError as error:
                root, problem = b"", str(error)
            return Checked(size=head.size, checked=len(newest), root=root.hex(), problem=problem)

        return await self.store.read(work)


def _card(ledger: Ledger, tx: Tx, approval_id: str, *, now: datetime) -> ApprovalCard | None:
    workspace_id = approval_rows.workspace_of(tx, approval_id)
    if workspace_id is None:
        return None
    [approval] = Records(ledger, tx, workspace_id).approvals([approval_rows.get(tx, workspace_id, approval_id)])
    voters = [who.user_id for who in counted_votes(ledger, tx, approval, approval_rows.voters(tx, approval))]
    by = approval.resolved_by or ""
    resolver_id = by.removeprefix("user:") if by.startswith("user:") else None
    known = person_rows.names(tx, [*voters, *([resolver_id] if resolver_id else [])])
    return ApprovalCard(
        approval=approval,
        approved_by=[known.get(v, "?") for v in voters],
        resolver=known.get(resolver_id, by) if resolver_id else (by or None),
        asker=None if approval.run_id is not None else recipient_rows.name_of_principal(tx, approval.requested_by),
        unmet=approval.pending and not _can_be_met(tx, approval),
        deputies=_deputies(tx, approval, now) if approval.pending else {},
    )


def _batch(ledger: Ledger, tx: Tx, batch_id: str, chat_id: int, *, now: datetime) -> BatchCard:
    found = (_card(ledger, tx, approval_id, now=now) for approval_id in batch_of(tx, batch_id, chat_id))
    return BatchCard(cards=[card for card in found if card is not None])


def _can_be_met(tx: Tx, approval: Approval) -> bool:
    return approval.approver_rule.is_met_by(
        approval_rows.people(tx, approval.workspace_id), asked_by=excluded_requester(tx, approval)
    )


def _deputies(tx: Tx, approval: Approval, now: datetime) -> Mapping[str, Sequence[str]]:
    by_deputy = represented(deciders_of(tx, approval), now)
    return {deputy: [one.name for one in ones] for deputy, ones in by_deputy.items()}


def _run_card(tx: Tx, workspace_id: str, run_id: str) -> RunCard | None:
    try:
        run = run_rows.get(tx, workspace_id, run_id)
        task = task_rows.get(tx, workspace_id, run.task_id)
    except NotFound:
        return None
    ended = [
        r
        for r in (receipt_rows.of_task(tx, workspace_id, task.id) if run.ended else ())
        if r.run_id == run.id and r.action == "run:finished"
    ]
    return RunCard(
        run=run,
        task=task,
        steps=run_rows.steps_of(tx, workspace_id, run_id),
        receipt=ended[-1] if ended else None,
    )


def _find_receipt(tx: Tx, workspace_id: str, wanted: str) -> ReceiptRow:
    if len(wanted) == 36:
        return receipt_rows.get(tx, workspace_id, wanted)
    if len(wanted) < 8 or set(wanted) - set("0123456789abcdef"):
        raise NotFound("Receipt not found")
    found = receipt_rows.newest_with_hash(tx, workspace_id, wanted, among=LOOK_BACK)
    if found is None:
        raise NotFound("Receipt not found")
    return found
