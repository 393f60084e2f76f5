"""Decisions for agents that are not ours: they ask before they act, the workspace's policy and people answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.approvals.approval import ApprovalStatus
from domain.approvals.evaluation import Evaluation, GatewaySession
from domain.clock import Now
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.ids import new_id
from domain.journal.approvals import CallEvaluated
from domain.policy.governance import Decision, ExternalDecision, Verdict
from domain.receipts.canonical import payload_hash
from domain.receipts.decision import SignedDecision, sign_decision
from domain.receipts.receipt import parse
from domain.tools.effect import Effect
from domain.tools.tool import ToolSpec
from services.approvals.external import check_length, check_room
from services.ledger.append import Ledger
from services.ledger.gate import answer_of
from services.ledger.recorder import Recorder
from services.lifecycle.requests import ApprovalRequests, Question, redact_args
from services.policy.service import Decided, PolicyService
from services.policy.violations import note_refusal
from services.tools.registry import ToolRegistry
from storage.approvals import approval_rows, evaluation_rows
from storage.database import Store
from storage.ledger import receipt_rows
from storage.transaction import Tx

# a yes is good for one call within a day, a no stands for an hour; then the same call is a new question
YES_LASTS = timedelta(days=1)
NO_LASTS = timedelta(hours=1)
SOURCE = "approval"
MOST_OF_SESSION = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalCall:
    """What an agent wants to do. `effect_level` is its own word for the reach; `principal` who it says it acts for.

    `context` is kept with the decision and decides nothing.
    """

    tool: str
    effect_level: str
    session: str
    args: Mapping[str, Any]
    context: Mapping[str, Any]
    principal: str

    def digest(self, asker: str) -> str:
        """64 hex digits: the same for the same call by the same asker, whatever its context."""
        return payload_hash(
            {
                "asker": asker,
                "principal": self.principal,
                "session": self.session,
                "tool": self.tool,
                "effect_level": self.effect_level,
                "args": dict(self.args),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """A decision with its receipt and its signature. With ESCALATE `decision_id` is the id of the approval."""

    decision: Decision
    decision_id: str
    receipt_id: str
    lamport_clock: int
    effect_digest: str
    subject_id: str
    action: str
    resource: str
    approval_id: str | None
    signed: SignedDecision
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A receipt's exact bytes with its place in the log."""

    idx: int
    created_at: datetime
    receipt_id: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptQuery:
    """Which receipts: from place `after` on. `session` is the workspace's id for all, or what an agent called it."""

    after: int = 0
    limit: int = 100
    session: str | None = None
    verdict: str | None = None
    reason_code: str | None = None
    principal: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class DecisionPoint:
    """Decides about calls that are carried out elsewhere, and lets their askers read the receipts."""

    store: Store
    policy_service: PolicyService
    tool_registry: ToolRegistry
    requests: ApprovalRequests
    recorder: Recorder
    ledger: Ledger
    now: Now

    async def evaluate(self, actor: Actor, call: ExternalCall) -> Evaluated:
        """Decide about one call, with a receipt of the decision.

        Where a person is needed the verdict is ESCALATE and a card is handed out; the same call asked again gets
        that person's answer, a yes once. Invalid names the field that is wrong; Conflict when too many questions
        are open already.
        """
        require(actor, Action.GOVERNANCE_EVALUATE)
        for name, value in (("args", call.args), ("context", call.context)):
            check_length(name, value)
        spec = self._spec(call)
        consulted = await self.policy_service.consult(
            workspace_id=actor.in_workspace, session_id=call.session, spec=spec, args=call.args
        )
        return await self.store.workspace(actor.in_workspace).write(
            lambda tx: self._evaluate(tx, actor, call, spec, consulted)
        )

    def _spec(self, call: ExternalCall) -> ToolSpec:
        """The call as the policy sees tools. A level that is none counts as acting outside; ours may only be raised."""
        level = call.effect_level.upper()
        effect = Effect[level] if level in Effect.__members__ else Effect.E3
        ours = self.tool_registry.get(call.tool)
        if ours is not None:
            effect = max(effect, ours.spec.effect)
        hidden = () if ours is None else ours.spec.redactions
        # where an agent of others works is not one of our modes, and its connectors are its own
        return ToolSpec(name=call.tool, summary="", parameters={}, effect=effect, redactions=hidden)

    def _evaluate(
        self, tx: Tx, actor: Actor, call: ExternalCall, spec: ToolSpec, consulted: ExternalDecision | None
    ) -> Evaluated:
        workspace_id = actor.in_workspace
        digest = call.digest(actor.principal)
        open_question = evaluation_rows.asked_before(tx, workspace_id, digest)
        answer = None if open_question is None else self._answer(tx, workspace_id, open_question)
        decided = self.policy_service.decide_outside(
            tx, workspace_id=workspace_id, spec=spec, args=call.args, consulted=consulted, asked_before=answer
        )
        decision = decided.decision
        approval_id, decision_id = None, new_id()
        if decision.verdict is Verdict.ESCALATE:
            still_open = open_question is not None and approval_rows.get(tx, workspace_id, open_question).pending
            approval_id = open_question if still_open else self._ask(tx, actor, call, spec, decision)
        elif open_question is not None and decision.verdict is Verdict.ALLOW:
            evaluation_rows.use(tx, workspace_id, open_question)
            # the policy became milder meanwhile: nobody needs to be asked any more
            self.requests.cancel(tx, approval_rows.get(tx, workspace_id, open_question), by="system")
        elif decision.verdict is Verdict.DENY:
            named = {"session": call.session, "principal": call.principal, "decisionId": decision_id}
            note_refusal(tx, workspace_id, tool=call.tool, decision=decision, metadata=named, now=self.now())
        return self._record(
            tx,
            actor,
            call,
            spec,
            decided=decided,
            digest=digest,
            decision_id=approval_id or decision_id,
            approval_id=approval_id,
        )

    def _answer(self, tx: Tx, workspace_id: str, approval_id: str) -> ExternalDecision | None:
        """What people said about this call; None while they think, and when their answer no longer counts."""
        approval = approval_rows.get(tx, workspace_id, approval_id)
        answered = answer_of(self.ledger, tx, approval)
        if answered is None:
            return None
        age = self.now() - min(answered.at, approval.resolved_at or answered.at)
        if approval.status is ApprovalStatus.APPROVED and age < YES_LASTS:
            return ExternalDecision(source=SOURCE, verdict=Verdict.ALLOW)
        if approval.status in _NO and age < NO_LASTS:
            code, words = _NO[approval.status]
            reason = f"{words}: {approval.resolution_note}" if approval.resolution_note else words
            return ExternalDecision(source=SOURCE, verdict=Verdict.DENY, reason_code=code, reason=reason)
        evaluation_rows.use(tx, workspace_id, approval_id)
        return None

    def _ask(self, tx: Tx, actor: Actor, call: ExternalCall, spec: ToolSpec, decision: Decision) -> str:
        workspace_id = actor.in_workspace
        check_room(tx, workspace_id)
        who = f"{call.principal}, " if call.principal else ""
        asked = self.requests.ask_for(
            tx,
            Question(
                action=call.tool,
                args=redact_args(dict(call.args), spec.redactions),
                reason=decision.reason,
                title=f"{who}session {call.session}"[:200],
                effect=int(spec.effect),
            ),
            approval_id=new_id(),
            workspace_id=workspace_id,
            requested_by=actor.principal,
        )
        return asked.id

    def _record(
        self,
        tx: Tx,
        actor: Actor,
        call: ExternalCall,
        spec: ToolSpec,
        *,
        decided: Decided,
        digest: str,
        decision_id: str,
        approval_id: str | None,
    ) -> Evaluated:
        workspace_id, decision = actor.in_workspace, decided.decision
        signed = sign_decision(
            self.ledger.signer,
            decision_id=decision_id,
            verdict=decision.verdict.value,
            reason_code=decision.reason_code,
            reason=decision.reason,
            policy_hash=decision.policy_hash,
            effect_digest=digest,
            subject_id=actor.principal,
            action=call.tool,
            resource=call.effect_level,
        )
        receipt_id = self.recorder.record(
            tx,
            CallEvaluated(
                workspace_id=workspace_id,
                actor=actor.principal,
                decision=decision,
                decision_id=decision_id,
                approval_id=approval_id,
                tool=call.tool,
                effect=int(spec.effect),
                args=call.args,
                context=call.context,
                session=call.session,
                principal=call.principal,
                level=call.effect_level,
                digest=digest,
                signed=signed.hash,
                input=decided.input,
                external=decided.external,
            ),
        )
        assert receipt_id is not None
        row = receipt_rows.get(tx, workspace_id, receipt_id)
        evaluation_rows.add(
            tx,
            Evaluation(
                workspace_id=workspace_id,
                idx=row.idx,
                session=call.session,
                call_digest=digest,
                approval_id=approval_id,
                used=False,
                created_at=row.created_at,
            ),
        )
        return Evaluated(
            decision=decision,
            decision_id=decision_id,
            receipt_id=receipt_id,
            lamport_clock=parse(row.leaf).lamport_clock,
            effect_digest=digest,
            subject_id=actor.principal,
            action=call.tool,
            resource=call.effect_level,
            approval_id=approval_id,
            signed=signed,
            key_id=self.ledger.signer.key_id,
        )

    # --- receipts ---------------------------------------------------------------------------------

    async def receipts(self, actor: Actor, which: ReceiptQuery) -> tuple[Sequence[Leaf], bool]:
        """Receipts in the order of the log, and whether there are more."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace

        def work(tx: Tx) -> Sequence[Leaf]:
            rows = evaluation_rows.leaves(
                tx,
                workspace_id,
                after=which.after,
                limit=which.limit + 1,
                session=None if which.session == workspace_id else which.session,
                verdict=which.verdict,
                reason_code=which.reason_code,
                principal=which.principal,
                since=which.since,
                until=which.until,
            )
            return [_leaf(row) for row in rows]

        found = await self.store.read(work)
        return found[: which.limit], len(found) > which.limit

    async def of_session(self, actor: Actor, session: str) -> Sequence[Leaf]:
        """The newest receipts of a session, at most a thousand, in the order of the log."""
        require(actor, Action.RECEIPT_READ)
        workspace_id = actor.in_workspace
        named = None if session == workspace_id else session
        rows = await self.store.read(
            lambda tx: evaluation_rows.leaves(
                tx, workspace_id, after=0, limit=MOST_OF_SESSION, session=named, newest=True
            )
        )
        return [_leaf(row) for row in rows]

    async def sessions(self, actor: Actor, *, limit: int, offset: int) -> Sequence[GatewaySession]:
        """The whole log first, then the sessions that agents named."""
        require(actor, Action.RECEIPT_READ)

        def work(tx: Tx) -> Sequence[GatewaySession]:
            whole = evaluation_rows.log_session(tx, actor.in_workspace)
            first = [whole] if whole is not None and offset == 0 else []
            skipped = max(0, offset - 1)
            return [
                *first,
                *evaluation_rows.sessions(tx, actor.in_workspace, limit=limit - len(first), offset=skipped),
            ]

        return await self.store.read(work)

    async def receipt(self, actor: Actor, receipt_id: str) -> bytes:
        """The exact bytes of one receipt."""
        require(actor, Action.RECEIPT_READ)
        row = await self.store.read(lambda tx: receipt_rows.get(tx, actor.in_workspace, receipt_id))
        return row.leaf


def _leaf(row: tuple[int, datetime, str, bytes]) -> Leaf:
    return Leaf(idx=row[0], created_at=row[1], receipt_id=row[2], body=row[3])


_NO: Mapping[ApprovalStatus, tuple[str, str]] = {
    ApprovalStatus.REJECTED: ("APPROVAL_REJECTED", "a person said no"),
    ApprovalStatus.CHANGES_REQUESTED: ("APPROVAL_CHANGES_REQUESTED", "a person asked for changes"),
    ApprovalStatus.EXPIRED: ("APPROVAL_TIMEOUT", "nobody decided in time, which means no"),
}
