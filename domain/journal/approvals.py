"""What is recorded of questions to people, their answers, standing permissions, and decisions for other agents."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.approvals.approval import Approval, ApprovalStatus, Via
from domain.clock import iso
from domain.evidence.approvals import approval_facts
from domain.journal.entry import ReceiptFields, Written
from domain.ledger.audit import AuditAction
from domain.ledger.events import OF_APPROVAL, Event, EventKind
from domain.policy.governance import Decision, ExternalDecision
from domain.receipts.receipt import Kind

# why a question was answered as it was, where that is a no
_REASON = {
    ApprovalStatus.REJECTED: "APPROVAL_REJECTED",
    ApprovalStatus.CHANGES_REQUESTED: "APPROVAL_CHANGES_REQUESTED",
    ApprovalStatus.EXPIRED: "APPROVAL_TIMEOUT",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfApproval:
    kind = Kind.RESOLUTION

    approval: Approval

    @property
    def workspace_id(self) -> str:
        return self.approval.workspace_id

    def fields(self, **more: Any) -> ReceiptFields:
        """What the receipts about an approval have in common, and `more`."""
        approval = self.approval
        return ReceiptFields(
            decision_id=approval.id,
            effect=approval.effect,
            task_id=approval.task_id,
            run_id=approval.run_id,
            step_id=approval.step_id,
            approval_id=approval.id,
            policy_hash=approval.policy_version,
            **more,
        )

    def told(self) -> Event:
        """The event of the status it has now."""
        a = self.approval
        payload = {"taskId": a.task_id, "status": a.status.value, "version": a.version}
        return Event(kind=OF_APPROVAL[a.status], ref=a.id, payload=payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalAsked(_OfApproval):
    """People are asked about a call."""

    action = AuditAction.APPROVAL_REQUESTED
    kind = Kind.REQUEST

    @property
    def actor(self) -> str:
        return self.approval.requested_by

    def written(self) -> Written:
        a = self.approval
        return Written(
            target=a.id,
            verdict="escalate",
            reason=a.reason,
            details={"tool": a.action, "digest": a.action_hash},
            receipt=self.fields(
                verdict="ESCALATE",
                reason_code="APPROVAL_REQUIRED",
                status=ApprovalStatus.PENDING.value,
                args=approval_facts(a),
                metadata={"call_digest": a.action_hash},
            ),
            event=Event(
                kind=EventKind.APPROVAL_REQUESTED,
                ref=a.id,
                payload={"taskId": a.task_id, "action": a.action, "status": a.status.value},
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalVoted(_OfApproval):
    """One of several people it takes said yes; `votes` is how many have."""

    action = AuditAction.APPROVAL_VOTED

    actor: str
    votes: int

    def written(self) -> Written:
        return Written(
            target=self.approval.id,
            verdict="escalate",
            details={"votes": self.votes, "quorum": self.approval.quorum},
            receipt=self.fields(verdict="ESCALATE", status="voted"),
            event=self.told(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecided(_OfApproval):
    """The answer, which `approval` has now."""

    action = AuditAction.APPROVAL_RESOLVED

    actor: str
    via: Via
    note: str | None

    def written(self) -> Written:
        a = self.approval
        approved = a.status is ApprovalStatus.APPROVED
        return Written(
            target=a.id,
            verdict="allow" if approved else "deny",
            reason=self.note,
            details={"status": a.status.value, "via": self.via.value, "digest": a.action_hash},
            receipt=self.fields(
                verdict="ALLOW" if approved else "DENY",
                reason_code="" if approved else _REASON[a.status],
                args={"note": self.note} if self.note else None,
                status=a.status.value,
                metadata={
                    "call_digest": a.action_hash,
                    "via": self.via.value,
                    "version": a.version,
                    "grant_id": a.grant_id or "",
                },
            ),
            event=self.told(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalExpired(ApprovalDecided):
    """Nobody answered in time, which means no."""

    action = AuditAction.APPROVAL_EXPIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalEdited(_OfApproval):
    """What would run was changed; `approval` asks about it as it is now, `before` is the digest of what was shown."""

    action = AuditAction.APPROVAL_EDITED

    actor: str
    before: str

    def written(self) -> Written:
        a = self.approval
        return Written(
            target=a.id,
            details={"from": self.before, "to": a.action_hash, "version": a.version},
            receipt=self.fields(
                verdict="ESCALATE",
                args={"tool": a.action, "input": a.action_input},
                status="edited",
                metadata={"from_digest": self.before, "call_digest": a.action_hash},
            ),
            event=self.told(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalUndone(_OfApproval):
    """An approval was taken back before the call was made."""

    action = AuditAction.APPROVAL_UNDONE

    actor: str

    def written(self) -> Written:
        return Written(
            target=self.approval.id,
            verdict="deny",
            receipt=self.fields(verdict="DENY", reason_code="APPROVAL_UNDONE", status=ApprovalStatus.REJECTED.value),
            event=self.told(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalWithdrawn(_OfApproval):
    """Nobody needs the answer any more."""

    action = AuditAction.APPROVAL_WITHDRAWN

    actor: str

    def written(self) -> Written:
        a = self.approval
        return Written(
            target=a.id,
            verdict="deny",
            details={"digest": a.action_hash},
            receipt=self.fields(
                verdict="DENY",
                reason_code="APPROVAL_CANCELLED",
                status=ApprovalStatus.CANCELLED.value,
                metadata={"call_digest": a.action_hash},
            ),
            event=Event(
                kind=EventKind.APPROVAL_CANCELLED,
                ref=a.id,
                payload={"taskId": a.task_id, "status": ApprovalStatus.CANCELLED.value},
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackFailed:
    """The answer to a question of an agent that is not ours could not be delivered."""

    action = AuditAction.APPROVAL_CALLBACK_FAILED
    kind = Kind.CHANGE
    actor = "system"

    workspace_id: str
    approval_id: str
    code: str
    attempts: int

    def written(self) -> Written:
        return Written(target=self.approval_id, verdict="error", reason=self.code, details={"attempts": self.attempts})


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantGiven:
    """A person said yes from now on; `task_id` where it is for one task only, `bound` all that it allows."""

    action = AuditAction.GRANT_CREATED
    kind = Kind.CHANGE

    workspace_id: str
    actor: str
    grant_id: str
    approval_id: str
    task_id: str | None
    tool: str
    expires_at: datetime
    max_uses: int | None
    bound: Mapping[str, Any]

    def written(self) -> Written:
        return Written(
            target=self.grant_id,
            details={"tool": self.tool, "expiresAt": iso(self.expires_at), "maxUses": self.max_uses},
            receipt=ReceiptFields(
                decision_id=self.grant_id, approval_id=self.approval_id, task_id=self.task_id, args=self.bound
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRevoked:
    """A standing permission was ended."""

    action = AuditAction.GRANT_REVOKED
    kind = Kind.CHANGE

    workspace_id: str
    actor: str
    grant_id: str
    tool: str

    def written(self) -> Written:
        return Written(
            target=self.grant_id,
            details={"tool": self.tool},
            receipt=ReceiptFields(decision_id=self.grant_id),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvaluated:
    """The policy decided about a call that an agent which is not ours wants to make.

    `session`, `principal` and `level` are that agent's own words; `digest` names the call, `signed` the decision.
    """

    action = AuditAction.POLICY_EVALUATED
    kind = Kind.DECISION

    workspace_id: str
    actor: str
    decision: Decision
    decision_id: str
    approval_id: str | None
    tool: str
    effect: int
    args: Mapping[str, Any]
    context: Mapping[str, Any]
    session: str
    principal: str
    level: str
    digest: str
    signed: str
    input: Mapping[str, Any] | None
    external: ExternalDecision

    def written(self) -> Written:
        decision = self.decision
        return Written(
            target=self.tool,
            verdict=decision.verdict.value.lower(),
            reason=decision.reason or None,
            details={"session": self.session, "principal": self.principal, "ruleId": decision.rule_id},
            receipt=ReceiptFields(
                verdict=decision.verdict.value,
                reason_code=decision.reason_code,
                decision_id=self.decision_id,
                effect=self.effect,
                approval_id=self.approval_id,
                policy_hash=decision.policy_hash,
                args={
                    "tool": self.tool,
                    "input": dict(self.args),
                    "facts": self.input,
                    "step": {"reason": decision.reason},
                    "context": dict(self.context),
                },
                status="decided",
                metadata={
                    "rule_id": decision.rule_id,
                    "tool": self.tool,
                    "call_digest": self.digest,
                    "decision_hash": self.signed,
                    "agent_session": self.session,
                    "agent_principal": self.principal,
                    "agent_effect_level": self.level,
                    **self.external.metadata,
                },
                attached=self.external.attached,
            ),
        )
