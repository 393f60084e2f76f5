"""Cards: what approvals, runs and interrupted steps are as a message shows them now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.approvals.approval import Approval
from domain.approvals.away import represented
from domain.clock import Now
from domain.errors import NotFound
from domain.ledger.rows import ReceiptRow
from domain.runs.run import Run, Step, StepState, UncertainChoice
from domain.runs.task import Task
from services.approvals.deciders import excluded_requester
from services.ledger.append import Ledger
from services.ledger.gate import counted_votes
from services.ledger.records import Records
from services.lifecycle.requests import redact_args
from services.outbox.notifications import batch_of, deciders_of
from services.tools.registry import ToolRegistry
from storage.approvals import approval_rows
from storage.chat import person_rows
from storage.database import Store
from storage.ledger import receipt_rows
from storage.outbox import recipient_rows
from storage.runs import run_rows, task_rows
from storage.transaction import Tx


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
class Cards:
    """Reads cards, held against the log. `mark` of a card changes whenever its message would look different."""

    store: Store
    ledger: Ledger
    tool_registry: ToolRegistry
    now: Now

    async def approval(self, approval_id: str) -> ApprovalCard | None:
        """An approval as its card shows it now, None when it is gone."""
        return await self.store.read(lambda tx: self.approval_in(tx, approval_id))

    def approval_in(self, tx: Tx, approval_id: str) -> ApprovalCard | None:
        """As `approval`, in the caller's transaction."""
        workspace_id = approval_rows.workspace_of(tx, approval_id)
        if workspace_id is None:
            return None
        [approval] = Records(self.ledger, tx, workspace_id).approvals(
            [approval_rows.get(tx, workspace_id, approval_id)]
        )
        voters = [who.user_id for who in counted_votes(self.ledger, tx, approval, approval_rows.voters(tx, approval))]
        by = approval.resolved_by or ""
        resolver_id = by.removeprefix("user:") if by.startswith("user:") else None
        known = person_rows.names(tx, [*voters, *([resolver_id] if resolver_id else [])])
        return ApprovalCard(
            approval=approval,
            approved_by=[known.get(v, "?") for v in voters],
            resolver=known.get(resolver_id, by) if resolver_id else (by or None),
            asker=None if approval.run_id is not None else recipient_rows.name_of_principal(tx, approval.requested_by),
            unmet=approval.pending and not _can_be_met(tx, approval),
            deputies=_deputies(tx, approval, self.now()) if approval.pending else {},
        )

    async def batch(self, batch_id: str, chat_id: int) -> BatchCard:
        """The approvals of one message as they are now."""
        return await self.store.read(lambda tx: self.batch_in(tx, batch_id, chat_id))

    def batch_in(self, tx: Tx, batch_id: str, chat_id: int) -> BatchCard:
        """As `batch`, in the caller's transaction."""
        found = (self.approval_in(tx, approval_id) for approval_id in batch_of(tx, batch_id, chat_id))
        return BatchCard(cards=[card for card in found if card is not None])

    async def run(self, workspace_id: str, run_id: str) -> RunCard | None:
        """A run as its messages show it now, None when it is gone."""
        return await self.store.read(lambda tx: run_card(tx, workspace_id, run_id))

    async def uncertain(self, workspace_id: str, step_id: str) -> UncertainCard | None:
        """An interrupted step as its question shows it now, None when it is gone."""
        return await self.store.read(lambda tx: self.uncertain_in(tx, workspace_id, step_id))

    def uncertain_in(self, tx: Tx, workspace_id: str, step_id: str) -> UncertainCard | None:
        """As `uncertain`, in the caller's transaction."""
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


def run_card(tx: Tx, workspace_id: str, run_id: str) -> RunCard | None:
    """As `Cards.run`, in the caller's transaction."""
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


def _can_be_met(tx: Tx, approval: Approval) -> bool:
    return approval.approver_rule.is_met_by(
        approval_rows.people(tx, approval.workspace_id), asked_by=excluded_requester(tx, approval)
    )


def _deputies(tx: Tx, approval: Approval, now: datetime) -> Mapping[str, Sequence[str]]:
    by_deputy = represented(deciders_of(tx, approval), now)
    return {deputy: [one.name for one in ones] for deputy, ones in by_deputy.items()}
