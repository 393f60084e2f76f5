"""Deciding approvals: chat, Mini App, API and CLI race for one compare-and-set; the first wins.

The decision, its receipt and the queueing of the run's next segment are one transaction.
Everybody else gets the true outcome, and every copy of the card is edited to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.approvals.approval import (
    DECISIONS,
    STEP_UP_WITHIN,
    Approval,
    ApprovalStatus,
    Approver,
    Via,
    digest_of_call,
    proven_lately,
    sees_own_only,
)
from domain.clock import Now
from domain.errors import Conflict, Forbidden, Gone, Invalid, NotFound, PilotError
from domain.identity.actor import Actor
from domain.identity.permissions import Action, require
from domain.journal.approvals import ApprovalEdited, ApprovalVoted
from domain.workspaces.workspace import Member
from services.approvals.away import come_back, go_away
from services.approvals.deciders import decider, excluded_requester, ids
from services.approvals.grants import GrantRequest, GrantService
from services.approvals.outcome import already_decided, already_expired
from services.approvals.reminders import Reminders
from services.ledger.gate import check_question, counted_votes
from services.ledger.recorder import Recorder
from services.ledger.records import Records
from services.lifecycle.container import Lifecycle
from services.lifecycle.moves import Superseded
from services.lifecycle.requests import redact_args, restore_redacted
from services.outbox.notifications import Notifications
from services.policy.service import PolicyService
from services.tools.registry import ToolRegistry
from storage.approvals import approval_rows
from storage.database import Store
from storage.runs import run_rows
from storage.transaction import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecision:
    """What one person decided about one approval, and what they saw when they did.

    `version` and `digest` are what was shown (a digest may be shortened, from 12 hex digits);
    None skips that check, for clients of the plain contract.
    """

    status: ApprovalStatus
    via: Via
    note: str | None = None
    version: int | None = None
    digest: str | None = None
    grant: GrantRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The approval after a decision. `counted` is False while a quorum waits for more people."""

    approval: Approval
    counted: bool
    approved_by: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideRights:
    """`refused` says why a person may not decide. `can_be_met` is False when too few people could ever approve."""

    refused: Forbidden | None
    can_be_met: bool


@dataclass(frozen=True, slots=True)
class ApprovalService:
    """Lists and decides approvals, and sweeps those nobody decided."""

    store: Store
    lifecycle: Lifecycle
    grants: GrantService
    policy_service: PolicyService
    tool_registry: ToolRegistry
    recorder: Recorder
    notifications: Notifications
    now: Now

    async def list(
        self,
        actor: Actor,
        *,
        status: str | None = None,
        limit: int = 50,
        task_id: str | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> Sequence[Approval]:
        """Approvals of the workspace, newest first."""
        require(actor, Action.APPROVAL_READ)
        return await self.store.read(
            lambda tx: self._records(tx, actor.in_workspace).approvals(
                approval_rows.find(
                    tx,
                    actor.in_workspace,
                    limit=limit,
                    status=status,
                    task_id=task_id,
                    before=before,
                    naming=actor.user_id if sees_own_only(actor) else None,
                )
            )
        )

    def _records(self, tx: Tx, workspace_id: str) -> Records:
        return Records(self.recorder.ledger, tx, workspace_id)

    async def get(self, actor: Actor, approval_id: str) -> Approval:
        """One approval; NotFound also for a member whom it does not name."""
        require(actor, Action.APPROVAL_READ)
        [found] = await self.store.read(
            lambda tx: self._records(tx, actor.in_workspace).approvals(
                [approval_rows.get(tx, actor.in_workspace, approval_id)], signatures=True
            )
        )
        if sees_own_only(actor) and actor.user_id not in found.approver_rule.named:
            raise NotFound("Approval not found")
        return found

    async def approved_by(self, actor: Actor, found: Sequence[Approval]) -> Mapping[str, Sequence[str]]:
        """User ids of who approved each of these so far, in order; only questions that take several people have any."""
        require(actor, Action.APPROVAL_READ)
        several = [one for one in found if one.quorum > 1]
        if not several:
            return {}
        ledger = self.recorder.ledger
        return await self.store.read(
            lambda tx: {one.id: ids(counted_votes(ledger, tx, one, approval_rows.voters(tx, one))) for one in several}
        )

    async def rights(self, actor: Actor, found: Sequence[Approval]) -> Mapping[str, DecideRights]:
        """What this person may do about each of these, and whether they can be approved at all."""
        require(actor, Action.APPROVAL_READ)

        def work(tx: Tx) -> Mapping[str, DecideRights]:
            people = approval_rows.people(tx, actor.in_workspace)
            return {one.id: self._rights(tx, actor, one, people) for one in found}

        return await self.store.read(work)

    def _rights(self, tx: Tx, actor: Actor, approval: Approval, people: Sequence[Approver]) -> DecideRights:
        asked_by = excluded_requester(tx, approval)
        refused: Forbidden | None
        try:
            require(actor, Action.APPROVAL_RESOLVE)
            refused = approval.approver_rule.refusal(decider(actor), asked_by=asked_by)
        except Forbidden as error:
            refused = error
        return DecideRights(refused=refused, can_be_met=approval.approver_rule.is_met_by(people, asked_by=asked_by))

    async def workspace_of(self, approval_id: str) -> str | None:
        """Where an approval belongs; what its reader may see is decided there."""
        return await self.store.read(lambda tx: approval_rows.workspace_of(tx, approval_id))

    async def resolve(self, actor: Actor, approval_id: str, wish: ApprovalDecision) -> Resolution:
        """Decide. Conflict with the true outcome when it was decided already, Gone when it expired."""
        require(actor, Action.APPROVAL_RESOLVE)
        if wish.status not in DECISIONS:
            raise Invalid.field("status", "must be approved, rejected or changes_requested")
        done = await self.store.workspace(actor.in_workspace).write(
            lambda tx: self._resolve(tx, actor, approval_id, wish)
        )
        if isinstance(done, Resolution):
            return done
        raise done

    async def resolve_many(
        self, actor: Actor, items: Sequence[tuple[str, ApprovalDecision]]
    ) -> Sequence[tuple[str, Resolution | PilotError]]:
        """Decide exactly the named ones, each on its own; never "everything that is pending"."""
        require(actor, Action.APPROVAL_RESOLVE)
        answers: list[tuple[str, Resolution | PilotError]] = []
        for approval_id, wish in items:
            try:
                answers.append((approval_id, await self.resolve(actor, approval_id, wish)))
            except (NotFound, Forbidden, Conflict, Gone) as refused:
                # what was decided before this one stands, and its answer must not be lost
                answers.append((approval_id, refused))
        return answers

    def _resolve(self, tx: Tx, actor: Actor, approval_id: str, wish: ApprovalDecision) -> Resolution | Gone:
        """The decision. What expired meanwhile is settled as such, and that is kept: Gone is returned, not raised."""
        approval = self._entitled(tx, actor, approval_id)
        now = self.now()
        if approval.is_over(now):
            return self._too_late(tx, approval)
        if wish.status is ApprovalStatus.APPROVED:
            check_question(self.recorder.ledger, tx, approval)
        if wish.version is not None and wish.version != approval.version:
            raise Conflict(
                "this approval was changed meanwhile", code="stale_version", details={"version": approval.version}
            )
        if wish.digest is not None and (len(wish.digest) < 12 or not approval.action_hash.startswith(wish.digest)):
            raise Conflict("what was shown is not what would run", code="stale_digest")
        if wish.status is ApprovalStatus.APPROVED and approval.critical:
            self._check_critical(actor, wish, now)
        if approval.run_id is None and wish.status is ApprovalStatus.APPROVED:
            self._check_outside(tx, approval, wish)
        if wish.status is ApprovalStatus.APPROVED and approval.quorum > 1:
            if wish.grant is not None:
                raise Invalid.field("grant", "what takes several people is approved for this once only")
            new = approval_rows.vote(tx, approval, user_id=actor.user_id, choice="approved", now=now)
            voters = counted_votes(self.recorder.ledger, tx, approval, approval_rows.voters(tx, approval), now=actor)
            if not approval.approver_rule.is_met_by(voters):
                if new:
                    self._voted(tx, approval, actor, ids(voters))
                return Resolution(approval=approval, counted=False, approved_by=ids(voters))
        grant_id = None
        if wish.grant is not None and wish.status is ApprovalStatus.APPROVED:
            grant_id = self.grants.give(tx, actor, approval, wish.grant)
        settled = self._settle(tx, approval, wish, principal=actor.principal, grant_id=grant_id)
        return Resolution(approval=settled, counted=True, approved_by=ids(approval_rows.voters(tx, approval)))

    def _too_late(self, tx: Tx, approval: Approval) -> Gone:
        """Settle what expired and was not swept yet."""
        return already_expired(tx, self.lifecycle.approvals.expire(tx, approval))

    @staticmethod
    def _entitled(tx: Tx, actor: Actor, approval_id: str) -> Approval:
        """The pending approval, locked, if this person may decide it.

        Who may not hears that first; who may hears the true outcome when there is one already.
        """
        approval = approval_rows.get(tx, actor.in_workspace, approval_id, lock=True)
        who = decider(actor)
        refused = approval.approver_rule.refusal(who)
        if refused is None and not approval.pending:
            raise already_decided(tx, approval)
        refused = refused or approval.approver_rule.refusal(who, asked_by=excluded_requester(tx, approval))
        if refused is not None:
            raise refused
        return approval

    @staticmethod
    def _check_critical(actor: Actor, wish: ApprovalDecision, now: datetime) -> None:
        if wish.grant is not None:
            raise Invalid.field("grant", "a critical action is approved for this once only")
        if not proven_lately(actor.fresh_at, now=now):
            raise Forbidden(
                "a critical action takes a login of the last five minutes",
                code="step_up_required",
                details={"maxAgeSeconds": int(STEP_UP_WITHIN.total_seconds())},
            )

    def _check_outside(self, tx: Tx, approval: Approval, wish: ApprovalDecision) -> None:
        # a step of ours is decided on again before it runs; here the approval is all there is
        self.policy_service.check_not_frozen(tx, approval.workspace_id)
        if wish.grant is not None:
            raise Invalid.field("grant", "a question from outside is answered for this once only")

    def _voted(self, tx: Tx, approval: Approval, actor: Actor, voters: Sequence[str]) -> None:
        self.recorder.record(tx, ApprovalVoted(approval=approval, actor=actor.principal, votes=len(voters)))
        self.notifications.approval_changed(tx, approval)

    def _settle(
        self,
        tx: Tx,
        approval: Approval,
        wish: ApprovalDecision,
        *,
        principal: str,
        grant_id: str | None,
    ) -> Approval:
        try:
            return self.lifecycle.approvals.settle(
                tx, approval, wish.status, principal=principal, via=wish.via, note=wish.note, grant_id=grant_id
            )
        except Superseded:
            raise already_decided(tx, approval_rows.get(tx, approval.workspace_id, approval.id)) from None

    async def edit(self, actor: Actor, approval_id: str, *, args: dict[str, Any], version: int) -> Approval:
        """Change what would run: a new version with a new digest, still to be approved.

        A hidden argument that is given as it is shown stays what it was.
        """
        require(actor, Action.APPROVAL_RESOLVE)

        def work(tx: Tx) -> Approval | Gone:
            approval = self._entitled(tx, actor, approval_id)
            if approval.is_over(self.now()):
                return self._too_late(tx, approval)
            if version != approval.version:
                raise Conflict(
                    "this approval was changed meanwhile", code="stale_version", details={"version": approval.version}
                )
            check_question(self.recorder.ledger, tx, approval)
            if approval.step_id is None:
                raise Conflict("only a step of a run can be edited", code="not_editable")
            tools = self.tool_registry.within(tx, approval.workspace_id)
            tool = tools.get(approval.action)
            if tool is None:
                raise Invalid.field("input", "the tool is gone")
            step = run_rows.get_step(tx, approval.workspace_id, approval.step_id)
            new = restore_redacted(args, step.args, tool.spec.redactions)
            problem = tools.problem(approval.action, new)
            if problem is not None:
                raise Invalid.field("input", problem)
            digest = digest_of_call(approval.action, new)
            run_rows.change_step(tx, step, args=new, args_hash=digest, version=approval.version + 1)
            changed = {
                "action_input": redact_args(new, tool.spec.redactions),
                "action_hash": digest,
                "version": approval.version + 1,
            }
            approval_rows.change(tx, approval, **changed)
            edited = replace(approval, **changed)
            self.recorder.record(
                tx, ApprovalEdited(approval=edited, actor=actor.principal, before=approval.action_hash)
            )
            self.notifications.approval_changed(tx, edited)
            return edited

        edited = await self.store.workspace(actor.in_workspace).write(work)
        if isinstance(edited, Gone):
            raise edited
        return edited

    async def undo(self, actor: Actor, approval_id: str, *, via: Via = Via.API) -> Approval:
        """Take an approval back while its undo window is open: the call is not made."""
        require(actor, Action.APPROVAL_RESOLVE)

        def work(tx: Tx) -> Approval:
            approval = approval_rows.get(tx, actor.in_workspace, approval_id, lock=True)
            refused = approval.approver_rule.refusal(decider(actor))
            if refused is not None:
                raise refused
            return self.lifecycle.approvals.undo(tx, approval, principal=actor.principal, via=via)

        return await self.store.workspace(actor.in_workspace).write(work)

    async def sweep(self, *, limit: int = 500) -> tuple[int, int]:
        """Expire what nobody decided and bring up what is still open; (expired, brought up)."""
        reminders = Reminders(
            self.store, self.lifecycle.approvals, self.policy_service, self.recorder, self.notifications, self.now
        )
        return await reminders.sweep(limit=limit)

    # --- being away -------------------------------------------------------------------------------

    async def go_away(self, actor: Actor, until: datetime, *, deputy: str | None = None) -> Member | None:
        """Until then messages arrive without sound, and a deputy hears what is open; see `services.away`."""
        return await self.store.write(
            lambda tx: go_away(tx, self.policy_service, actor, until=until, deputy=deputy, now=self.now)
        )

    async def come_back(self, actor: Actor) -> None:
        """End being away."""
        await self.store.write(lambda tx: come_back(tx, actor, now=self.now))
