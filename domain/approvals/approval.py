"""An approval: one durable question to a person, its states and its answer. No I/O here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from domain.errors import Forbidden
from domain.identity.actor import Actor, Role
from domain.identity.permissions import Action, roles_for
from domain.integrity import differs_field
from domain.policy.settings_schema import PolicyConfig
from domain.receipts.canonical import payload_hash
from domain.runs.states import StateTable
from domain.tools.effect import Effect


def digest_of_call(tool: str, args: Any) -> str:
    """64 hex digits that name exactly this call: SHA-256 over the canonical form of tool and input."""
    return payload_hash({"tool": tool, "input": args})


class ApprovalStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    CHANGES_REQUESTED = "changes_requested"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


APPROVALS = StateTable(
    of="an approval",
    begins={ApprovalStatus.PENDING: "asked"},
    moves={
        ApprovalStatus.PENDING: {
            ApprovalStatus.APPROVED: "approved by as many people as it takes",
            ApprovalStatus.REJECTED: "rejected",
            ApprovalStatus.CHANGES_REQUESTED: "a person asked for changes",
            ApprovalStatus.EXPIRED: "nobody decided in time, which means no",
            ApprovalStatus.CANCELLED: "withdrawn: nobody needs the answer any more",
        },
        ApprovalStatus.APPROVED: {ApprovalStatus.REJECTED: "taken back while its undo window was open"},
        ApprovalStatus.REJECTED: {},
        ApprovalStatus.CHANGES_REQUESTED: {},
        ApprovalStatus.EXPIRED: {},
        ApprovalStatus.CANCELLED: {},
    },
)

# Saying yes to a critical call takes a proof of who says it that is no older than this: a phone left
# on a table, a key, or a tap in chat is not enough.
STEP_UP_WITHIN = timedelta(minutes=5)

DECISIONS = frozenset({ApprovalStatus.APPROVED, ApprovalStatus.REJECTED, ApprovalStatus.CHANGES_REQUESTED})


# parts of its life after which an open question is brought up: two reminders, then the deputies' last call
REMINDER_AT = (0.5, 0.9, 0.95)
LAST_REMINDER = len(REMINDER_AT)


class Via(StrEnum):
    """Where a decision was made."""

    CHAT = "chat"
    MINI_APP = "mini_app"
    API = "api"
    CLI = "cli"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Approver:
    """Somebody of the workspace, as far as deciding goes."""

    user_id: str
    role: Role


def sees_own_only(actor: Actor) -> bool:
    """Whether this person sees only the approvals that name them."""
    return actor.role is Role.MEMBER


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverRule:
    """Who may decide a question: the named people whatever their role, or else everybody of `role` and above.

    With `quorum` above one, who asked is not among them. E4 takes an owner where nobody is named: as the one
    who decides, or as one of those who approve.
    """

    quorum: int
    named: Sequence[str]
    role: Role
    effect: int

    @property
    def needs_owner(self) -> bool:
        """Whether an owner must be among those who approve."""
        return self.effect >= Effect.E4 and not self.named

    @property
    def least(self) -> Role:
        """The weakest role that may decide where nobody is named."""
        return Role.OWNER if self.needs_owner and self.quorum == 1 else self.role

    def refusal(self, who: Approver, *, asked_by: str | None = None) -> Forbidden | None:
        """Why this person may not decide; None when they may."""
        if self.named:
            if who.user_id not in self.named:
                return Forbidden("this approval names other people to decide", code="not_a_decider")
        elif who.role.rank < self.least.rank:
            return Forbidden(
                "insufficient workspace role",
                code="insufficient_role",
                details={
                    "action": "resolve approvals of E4" if self.needs_owner else "resolve approvals",
                    "requiredRole": self.least.value,
                    "currentRole": who.role.value,
                },
            )
        if self.quorum > 1 and asked_by == who.user_id:
            return Forbidden("who asked for it cannot be one of its approvers", code="requester_excluded")
        return None

    def eligible(self, people: Iterable[Approver], *, asked_by: str | None = None) -> Sequence[Approver]:
        """Those of `people` who may decide."""
        return [who for who in people if self.refusal(who, asked_by=asked_by) is None]

    def fewest_eligible(self, people: Iterable[Approver]) -> int:
        """How many of `people` may approve when one of them asks, if any of them may ask."""
        eligible = self.eligible(people)
        asking = roles_for(Action.TASK_RUN)
        one_asks = self.quorum > 1 and any(who.role in asking for who in eligible)
        return len(eligible) - one_asks

    def is_met_by(self, approved_by: Iterable[Approver], *, asked_by: str | None = None) -> bool:
        """Whether the yes of these people is a yes."""
        counted = self.eligible(approved_by, asked_by=asked_by)
        an_owner = not self.needs_owner or any(who.role is Role.OWNER for who in counted)
        return len(counted) >= self.quorum and an_owner


def approver_rule_of(policy: PolicyConfig) -> ApproverRule:
    """Who decides ordinary questions under a policy."""
    return ApproverRule(
        quorum=policy.approval_quorum, named=policy.approvers, role=Role(policy.approver_role), effect=int(Effect.E3)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """`action_hash` (64 hex) is the digest of exactly what was shown; what runs is checked against it."""

    id: str
    workspace_id: str
    task_id: str | None
    run_id: str | None
    step_id: str | None
    action: str
    action_input: Any
    action_hash: str
    effect: int
    policy_version: str
    approval_context: dict[str, Any]
    reason: str
    status: ApprovalStatus
    version: int
    quorum: int
    deciders: list[str] | None
    requested_by: str
    resolved_by: str | None
    resolved_via: str | None
    resolution_note: str | None
    grant_id: str | None
    callback_url: str | None
    callback_secret: str | None
    requested_at: datetime
    resolved_at: datetime | None
    execute_after: datetime | None
    expires_at: datetime | None
    reminded: int
    differs: tuple[str, ...] = differs_field()

    @property
    def pending(self) -> bool:
        return self.status is ApprovalStatus.PENDING

    def is_over(self, now: datetime) -> bool:
        """Whether its time is up."""
        return self.expires_at is not None and self.expires_at <= now

    def reminder_stage(self, now: datetime) -> int:
        """How many of the rungs have been reached; 0 for a question that does not expire."""
        if self.expires_at is None:
            return 0
        life = (self.expires_at - self.requested_at).total_seconds()
        used = (now - self.requested_at).total_seconds()
        return sum(used >= life * part for part in REMINDER_AT)

    @property
    def approver_rule(self) -> ApproverRule:
        """Who may decide it; the role is the one the policy had when it was asked."""
        return ApproverRule(
            quorum=self.quorum,
            named=tuple(self.deciders or ()),
            role=Role(self.approval_context.get("approverRole") or Role.OWNER),
            effect=self.effect,
        )

    @property
    def short_digest(self) -> str:
        """The first 12 hex digits: what the card shows and the button carries."""
        return self.action_hash[:12]

    @property
    def critical(self) -> bool:
        """Whether saying yes takes a fresh proof of who says it."""
        return self.effect >= Effect.E4


def proven_lately(fresh_at: datetime | None, *, now: datetime) -> bool:
    """Whether somebody proved who they are recently enough for a critical approval; None is "never"."""
    return fresh_at is not None and now - fresh_at <= STEP_UP_WITHIN
