"""Deciding approvals: chat, Mini App, API and CLI race for one compare-and-set; the first wins.

The decision, its receipt and the queueing of the run's next segment are one transaction.
Everybody else gets the true outcome, and every copy of the card is edited to it.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from domain.actor import Actor
from domain.approvals import (
    DECISIONS,
    STEP_UP_WITHIN,
    Approval,
    ApprovalStatus,
    Decider,
    Via,
    digest_of_call,
    proven_lately,
    sees_own_only,
)
from domain.audit import AuditAction
from domain.clock import Now, iso
from domain.errors import Conflict, Forbidden, Gone, Invalid, NotFound, PilotError
from domain.evidence import grant_facts
from domain.governance import Effect
from domain.ids import new_id
from domain.permissions import Action, require
from domain.runs import RunState, StepState
from services.approval_requests import ApprovalRequests, facts_about, shown_args, unhidden
from services.away import come_back, go_away
from services.governor import Governor
from services.integrity.gate import check_question, counted_votes
from services.integrity.records import Records
from services.ledger import Facts
from services.notices import Notices
from services.recorder import Recorder
from services.runs import RunService
from services.toolbox import Toolbox
from storage import approvals, outbox, recipients, runs
from storage.approvals import Grant
from storage.database import Store, Tx
from storage.workspaces import Member

log = logging.getLogger(__name__)

CALLBACK_TOPIC = "callback"
MAX_GRANT = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantWish:
    """What "and from now on" means: how long, how often, and whether for this task only."""

    minutes: int
    max_uses: int | None = None
    this_task_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one person decided about one approval, and what they saw when they did.

    `version` and `digest` are what was shown (a digest may be shortened, from 12 hex digits);
    None skips that check, for clients of the plain contract.
    """

    status: ApprovalStatus
    via: Via
    note: str | None = None
    version: int | None = None
    digest: str | None = None
    grant: GrantWish | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The approval after a decision. `counted` is False while a quorum waits for more people."""

    approval: Approval
    counted: bool
    approved_by: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`refused` says why a person may not decide. `can_be_met` is False when too few people could ever approve."""

    refused: Forbidden | None
    can_be_met: bool


@dataclass(frozen=True, slots=True)
class ApprovalService:
    """Lists and decides approvals, and sweeps those nobody decided."""

    store: Store
    runs: RunService
    requests: ApprovalRequests
    governor: Governor
    toolbox: Toolbox
    recorder: Recorder
    notices: Notices
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
                approvals.find(
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
                [approvals.get(tx, actor.in_workspace, approval_id)], signatures=True
            )
        )
        if sees_own_only(actor) and actor.user_id not in found.circle.named:
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
            lambda tx: {one.id: _ids(counted_votes(ledger, tx, one, approvals.voters(tx, one))) for one in several}
        )

    async def standing(self, actor: Actor, found: Sequence[Approval]) -> Mapping[str, Standing]:
        """What this person may do about each of these, and whether they can be approved at all."""
        require(actor, Action.APPROVAL_READ)

        def work(tx: Tx) -> Mapping[str, Standing]:
            people = approvals.people(tx, actor.in_workspace)
            return {one.id: self._standing(tx, actor, one, people) for one in found}

        return await self.store.read(work)

    def _standing(self, tx: Tx, actor: Actor, approval: Approval, people: Sequence[Decider]) -> Standing:
        asked_by = left_out(tx, approval)
        refused: Forbidden | None
        try:
            require(actor, Action.APPROVAL_RESOLVE)
            refused = approval.circle.refusal(_decider(actor), asked_by=asked_by)
        except Forbidden as error:
            refused = error
        return Standing(refused=refused, can_be_met=approval.circle.enough(people, asked_by=asked_by))

    async def workspace_of(self, approval_id: str) -> str | None:
        """Where an approval belongs; what its reader may see is decided there."""
        return await self.store.read(lambda tx: approvals.workspace_of(tx, approval_id))

    async def resolve(self, actor: Actor, approval_id: str, wish: Wish) -> Resolution:
        """Decide. Conflict with the true outcome when it was decided already, Gone when it expired."""
        require(actor, Action.APPROVAL_RESOLVE)
        if wish.status not in DECISIONS:
            raise Invalid.field("status", "must be approved, rejected or changes_requested")
        done = await self.store.write(
            lambda tx: self._resolve(tx, actor, approval_id, wish), together=actor.in_workspace
        )
        if isinstance(done, Resolution):
            return done
        raise done

    async def resolve_many(
        self, actor: Actor, items: Sequence[tuple[str, Wish]]
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

    def _resolve(self, tx: Tx, actor: Actor, approval_id: str, wish: Wish) -> Resolution | Gone:
        """The decision. What expired meanwhile is settled as such, and that is kept: Gone is returned, not raised."""
        self.recorder.serialize(tx, actor.in_workspace)
        approval = self._entitled(tx, actor, approval_id)
        now = self.now()
        if _expired(approval, now):
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
            new = approvals.vote(tx, approval, user_id=actor.user_id, choice="approved", now=now)
            voters = counted_votes(self.recorder.ledger, tx, approval, approvals.voters(tx, approval), now=actor)
            if not approval.circle.enough(voters):
                if new:
                    self._voted(tx, approval, actor, _ids(voters))
                return Resolution(approval=approval, counted=False, approved_by=_ids(voters))
        grant_id = None
        if wish.grant is not None and wish.status is ApprovalStatus.APPROVED:
            grant_id = self._grant(tx, approval, actor, wish.grant)
        settled = self._settle(
            tx, approval, wish.status, principal=actor.principal, via=wish.via, note=wish.note, grant_id=grant_id
        )
        return Resolution(approval=settled, counted=True, approved_by=_ids(approvals.voters(tx, approval)))

    def _too_late(self, tx: Tx, approval: Approval) -> Gone:
        """Settle what expired and was not swept yet."""
        settled = self._settle(tx, approval, ApprovalStatus.EXPIRED, principal="system", via=Via.SYSTEM, note=None)
        return already_expired(tx, settled)

    @staticmethod
    def _entitled(tx: Tx, actor: Actor, approval_id: str) -> Approval:
        """The pending approval, locked, if this person may decide it.

        Who may not hears that first; who may hears the true outcome when there is one already.
        """
        approval = approvals.get(tx, actor.in_workspace, approval_id, lock=True)
        who = _decider(actor)
        refused = approval.circle.refusal(who)
        if refused is None and not approval.pending:
            raise already_decided(tx, approval)
        refused = refused or approval.circle.refusal(who, asked_by=left_out(tx, approval))
        if refused is not None:
            raise refused
        return approval

    @staticmethod
    def _check_critical(actor: Actor, wish: Wish, now: datetime) -> None:
        if wish.grant is not None:
            raise Invalid.field("grant", "a critical action is approved for this once only")
        if not proven_lately(actor.fresh_at, now=now):
            raise Forbidden(
                "a critical action takes a login of the last five minutes",
                code="step_up_required",
                details={"maxAgeSeconds": int(STEP_UP_WITHIN.total_seconds())},
            )

    def _check_outside(self, tx: Tx, approval: Approval, wish: Wish) -> None:
        # a step of ours is decided on again before it runs; here the approval is all there is
        self.governor.check_not_frozen(tx, approval.workspace_id)
        if wish.grant is not None:
            raise Invalid.field("grant", "a question from outside is answered for this once only")

    def _voted(self, tx: Tx, approval: Approval, actor: Actor, voters: Sequence[str]) -> None:
        self.recorder.record(
            tx,
            workspace_id=approval.workspace_id,
            actor=actor.principal,
            action=AuditAction.APPROVAL_VOTED,
            target=approval.id,
            verdict="escalate",
            metadata={"votes": len(voters), "quorum": approval.quorum},
            facts=facts_about(
                approval,
                verdict="ESCALATE",
                status="voted",
            ),
        )
        self._tell(tx, approval)
        self.notices.approval_changed(tx, approval)

    def _settle(
        self,
        tx: Tx,
        approval: Approval,
        status: ApprovalStatus,
        *,
        principal: str,
        via: Via,
        note: str | None,
        grant_id: str | None = None,
    ) -> Approval:
        """The compare-and-set with everything that follows from it, in one transaction."""
        now = self.now()
        undo = int(approval.approval_context.get("undoSeconds") or 0)
        execute_after = now + timedelta(seconds=undo) if undo and status is ApprovalStatus.APPROVED else None
        values: dict[str, Any] = {
            "resolved_by": principal,
            "resolved_via": via.value,
            "resolution_note": note,
            "grant_id": grant_id,
            "resolved_at": now,
            "execute_after": execute_after,
        }
        if not approvals.decide(tx, approval, status=status, **values):
            raise already_decided(tx, approvals.get(tx, approval.workspace_id, approval.id))
        settled = replace(approval, status=status, **values)
        approved = status is ApprovalStatus.APPROVED
        self.recorder.record(
            tx,
            workspace_id=approval.workspace_id,
            actor=principal,
            action=AuditAction.APPROVAL_EXPIRED if status is ApprovalStatus.EXPIRED else AuditAction.APPROVAL_RESOLVED,
            target=approval.id,
            verdict="allow" if approved else "deny",
            reason=note,
            metadata={"status": status.value, "via": via.value, "digest": approval.action_hash},
            facts=facts_about(
                approval,
                verdict="ALLOW" if approved else "DENY",
                reason_code="" if approved else _REASON[status],
                args={"note": note} if note else None,
                status=status.value,
                metadata={
                    "call_digest": approval.action_hash,
                    "via": via.value,
                    "version": approval.version,
                    "grant_id": grant_id or "",
                },
            ),
        )
        self._tell(tx, settled)
        self._continue_run(tx, settled, note)
        self.notices.approval_changed(tx, settled)
        self._call_back(tx, settled)
        return settled

    def _continue_run(self, tx: Tx, approval: Approval, note: str | None) -> None:
        if approval.run_id is None or approval.step_id is None:
            return
        run = runs.get(tx, approval.workspace_id, approval.run_id, lock=True)
        if run.ended:
            return
        moved = runs.change_step(
            tx,
            approval.workspace_id,
            approval.step_id,
            expected=StepState.AWAITING_APPROVAL,
            **_step_after(ApprovalStatus(approval.status), note, self.now()),
        )
        if moved and run.state == RunState.AWAITING_APPROVAL:
            self.runs.resume(tx, run, not_before=approval.execute_after)

    def _grant(self, tx: Tx, approval: Approval, actor: Actor, wish: GrantWish) -> str:
        require(actor, Action.GRANT_CREATE)
        if not 1 <= wish.minutes <= MAX_GRANT.total_seconds() / 60:
            raise Invalid.field("grant.minutes", "must be between 1 and 43200")
        if wish.max_uses is not None and not 1 <= wish.max_uses <= 10_000:
            raise Invalid.field("grant.maxUses", "must be between 1 and 10000")
        now = self.now()
        grant = Grant(
            id=new_id(),
            workspace_id=approval.workspace_id,
            tool=approval.action,
            scope={"taskOnly": wish.this_task_only},
            task_id=approval.task_id if wish.this_task_only else None,
            max_uses=wish.max_uses,
            uses=0,
            max_effect=approval.effect,
            created_by=actor.user_id,
            approval_id=approval.id,
            created_at=now,
            expires_at=now + timedelta(minutes=wish.minutes),
            revoked_at=None,
            revoked_by=None,
        )
        approvals.add_grant(tx, grant)
        self.recorder.record(
            tx,
            workspace_id=approval.workspace_id,
            actor=actor.principal,
            action=AuditAction.GRANT_CREATED,
            target=grant.id,
            metadata={"tool": grant.tool, "expiresAt": iso(grant.expires_at), "maxUses": grant.max_uses},
            facts=Facts(decision_id=grant.id, approval_id=approval.id, task_id=grant.task_id, args=grant_facts(grant)),
        )
        return grant.id

    async def edit(self, actor: Actor, approval_id: str, *, args: dict[str, Any], version: int) -> Approval:
        """Change what would run: a new version with a new digest, still to be approved.

        A hidden argument that is given as it is shown stays what it was.
        """
        require(actor, Action.APPROVAL_RESOLVE)

        def work(tx: Tx) -> Approval | Gone:
            self.recorder.serialize(tx, actor.in_workspace)
            approval = self._entitled(tx, actor, approval_id)
            if _expired(approval, self.now()):
                return self._too_late(tx, approval)
            if version != approval.version:
                raise Conflict(
                    "this approval was changed meanwhile", code="stale_version", details={"version": approval.version}
                )
            check_question(self.recorder.ledger, tx, approval)
            if approval.step_id is None:
                raise Conflict("only a step of a run can be edited", code="not_editable")
            tools = self.toolbox.within(tx, approval.workspace_id)
            tool = tools.get(approval.action)
            if tool is None:
                raise Invalid.field("input", "the tool is gone")
            before = runs.get_step(tx, approval.workspace_id, approval.step_id).args
            new = unhidden(args, before, tool.spec.redactions)
            problem = tools.problem(approval.action, new)
            if problem is not None:
                raise Invalid.field("input", problem)
            digest = digest_of_call(approval.action, new)
            runs.change_step(
                tx,
                approval.workspace_id,
                approval.step_id,
                expected=StepState.AWAITING_APPROVAL,
                args=new,
                args_hash=digest,
                version=approval.version + 1,
            )
            changed = {
                "action_input": shown_args(new, tool.spec.redactions),
                "action_hash": digest,
                "version": approval.version + 1,
            }
            approvals.change(tx, approval, **changed)
            self.recorder.record(
                tx,
                workspace_id=approval.workspace_id,
                actor=actor.principal,
                action=AuditAction.APPROVAL_EDITED,
                target=approval.id,
                metadata={"from": approval.action_hash, "to": digest, "version": approval.version + 1},
                facts=facts_about(
                    approval,
                    verdict="ESCALATE",
                    args={"tool": approval.action, "input": changed["action_input"]},
                    status="edited",
                    metadata={"from_digest": approval.action_hash, "call_digest": digest},
                ),
            )
            edited = replace(approval, **changed)
            self._tell(tx, edited)
            self.notices.approval_changed(tx, edited)
            return edited

        edited = await self.store.write(work, together=actor.in_workspace)
        if isinstance(edited, Gone):
            raise edited
        return edited

    async def undo(self, actor: Actor, approval_id: str, *, via: Via = Via.API) -> Approval:
        """Take an approval back while its undo window is open: the call is not made."""
        require(actor, Action.APPROVAL_RESOLVE)

        def work(tx: Tx) -> Approval:
            self.recorder.serialize(tx, actor.in_workspace)
            approval = approvals.get(tx, actor.in_workspace, approval_id, lock=True)
            refused = approval.circle.refusal(_decider(actor))
            if refused is not None:
                raise refused
            now = self.now()
            open_still = approval.execute_after is not None and approval.execute_after > now
            if approval.status != ApprovalStatus.APPROVED or not open_still or approval.run_id is None:
                raise Conflict("there is nothing to undo any more", code="undo_closed")
            run = runs.get(tx, approval.workspace_id, approval.run_id, lock=True)
            assert approval.step_id is not None
            if run.state != RunState.WAITING or not runs.change_step(
                tx,
                approval.workspace_id,
                approval.step_id,
                expected=StepState.APPROVED,
                **_step_after(ApprovalStatus.REJECTED, "approval was taken back", now),
            ):
                raise Conflict("there is nothing to undo any more", code="undo_closed")
            # from now on this is the outcome that everybody hears
            changed: dict[str, Any] = {
                "status": ApprovalStatus.REJECTED.value,
                "execute_after": None,
                "resolution_note": "undone",
                "resolved_by": actor.principal,
                "resolved_via": via.value,
                "resolved_at": now,
            }
            approvals.change(tx, approval, **changed)
            undone = replace(approval, **changed)
            self.recorder.record(
                tx,
                workspace_id=approval.workspace_id,
                actor=actor.principal,
                action=AuditAction.APPROVAL_UNDONE,
                target=approval.id,
                verdict="deny",
                facts=facts_about(
                    approval,
                    verdict="DENY",
                    reason_code="APPROVAL_UNDONE",
                    status="rejected",
                ),
            )
            self.runs.resume(tx, run)
            self._tell(tx, undone)
            self.notices.approval_changed(tx, undone)
            return undone

        return await self.store.write(work, together=actor.in_workspace)

    # --- grants -----------------------------------------------------------------------------------

    async def grants(self, actor: Actor, *, live: bool = True) -> Sequence[Grant]:
        """Standing permissions of the workspace."""
        require(actor, Action.GRANT_LIST)
        return await self.store.read(
            lambda tx: self._records(tx, actor.in_workspace).grants(
                approvals.grants_of(tx, actor.in_workspace, live_at=self.now() if live else None)
            )
        )

    async def revoke_grant(self, actor: Actor, grant_id: str) -> Grant:
        """End a standing permission now."""
        require(actor, Action.GRANT_REVOKE)

        def work(tx: Tx) -> Grant:
            grant = approvals.revoke_grant(tx, actor.in_workspace, grant_id, by=actor.user_id, now=self.now())
            self.recorder.record(
                tx,
                workspace_id=grant.workspace_id,
                actor=actor.principal,
                action=AuditAction.GRANT_REVOKED,
                target=grant.id,
                metadata={"tool": grant.tool},
                facts=Facts(decision_id=grant.id),
            )
            return grant

        return await self.store.write(work)

    # --- sweeps -----------------------------------------------------------------------------------

    async def sweep(self, *, limit: int = 500) -> tuple[int, int]:
        """Expire what nobody decided (expiry means no) and bring up what is still open; (expired, brought up).

        Each in a transaction of its own, in the order in which everything else takes its locks; what cannot be
        swept does not hold up the others.
        """
        now = self.now()
        counts = {ApprovalStatus.EXPIRED: 0, ApprovalStatus.PENDING: 0}
        open_ones = await self.store.read(
            lambda tx: [one for one in approvals.to_sweep(tx, now=now, limit=limit) if self._due(tx, one, now)]
        )
        for found in open_ones:
            try:
                swept = await self.store.write(partial(self._sweep, found=found, now=now))
            except Exception:
                log.exception("approval_not_swept", extra={"approval": found.id})
                continue
            if swept is not None:
                counts[swept] += 1
        return counts[ApprovalStatus.EXPIRED], counts[ApprovalStatus.PENDING]

    def _sweep(self, tx: Tx, *, found: Approval, now: datetime) -> ApprovalStatus | None:
        """Whether it was expired, or (as one that stays pending) brought up; None for neither."""
        self.recorder.serialize(tx, found.workspace_id)
        approval = approvals.get(tx, found.workspace_id, found.id, lock=True)
        if not approval.pending:
            return None
        if _expired(approval, now):
            self._settle(tx, approval, ApprovalStatus.EXPIRED, principal="system", via=Via.SYSTEM, note=None)
            return ApprovalStatus.EXPIRED
        if not self._due(tx, approval, now):
            return None
        stage = approval.rung(now)
        approvals.change(tx, approval, reminded=stage)
        self.notices.approval_reminder(tx, approval, stage=stage)
        return ApprovalStatus.PENDING

    def _due(self, tx: Tx, approval: Approval, now: datetime) -> bool:
        """Whether it expired, or is to be brought up: what is critical does not wait for the end of quiet hours."""
        if _expired(approval, now):
            return True
        if approval.rung(now) <= approval.reminded:
            return False
        if approval.effect >= Effect.E4:
            return True
        try:
            hours = self.governor.settings(tx, approval.workspace_id)[0].policy.quiet_hours
        except PilotError:
            # settings that cannot be read hold nothing back
            return True
        return hours is None or not hours.cover(now)

    # --- being away -------------------------------------------------------------------------------

    async def go_away(self, actor: Actor, until: datetime, *, deputy: str | None = None) -> Member | None:
        """Until then messages arrive without sound, and a deputy hears what is open; see `services.away`."""
        return await self.store.write(
            lambda tx: go_away(tx, self.governor, actor, until=until, deputy=deputy, now=self.now)
        )

    async def come_back(self, actor: Actor) -> None:
        """End being away."""
        await self.store.write(lambda tx: come_back(tx, actor, now=self.now))

    def _tell(self, tx: Tx, approval: Approval) -> None:
        self.recorder.event(
            tx,
            workspace_id=approval.workspace_id,
            kind=f"approval.{approval.status}",
            ref=approval.id,
            payload={"taskId": approval.task_id, "status": str(approval.status), "version": approval.version},
        )

    def _call_back(self, tx: Tx, approval: Approval) -> None:
        if approval.callback_url is not None:
            outbox.put(
                tx,
                workspace_id=approval.workspace_id,
                channel="callback",
                # one a recipient at a time: a place that is down must not hold up the outcomes of others
                recipient=approval.id,
                payload={"kind": "approval.callback", "approvalId": approval.id},
                now=self.now(),
                dedupe_key=f"callback:{approval.id}:{approval.version}",
            )
            tx.on_commit(lambda: self.notices.bus.woke(CALLBACK_TOPIC))


_REASON = {
    ApprovalStatus.REJECTED: "APPROVAL_REJECTED",
    ApprovalStatus.CHANGES_REQUESTED: "APPROVAL_CHANGES_REQUESTED",
    ApprovalStatus.EXPIRED: "APPROVAL_TIMEOUT",
    ApprovalStatus.CANCELLED: "APPROVAL_CANCELLED",
}


def _step_after(status: ApprovalStatus, note: str | None, now: datetime) -> dict[str, Any]:
    if status is ApprovalStatus.APPROVED:
        return {"state": StepState.APPROVED.value}
    text = {
        ApprovalStatus.REJECTED: "a person said no",
        ApprovalStatus.CHANGES_REQUESTED: "a person asked for changes",
        ApprovalStatus.EXPIRED: "nobody decided in time, which means no",
    }.get(status, "withdrawn")
    state = StepState.CHANGES_REQUESTED if status is ApprovalStatus.CHANGES_REQUESTED else StepState.REJECTED
    return {"state": state.value, "error": f"{text}: {note}" if note else text, "completed_at": now}


def _expired(approval: Approval, now: datetime) -> bool:
    return approval.expires_at is not None and approval.expires_at <= now


def left_out(tx: Tx, approval: Approval) -> str | None:
    """Whom a quorum leaves out: who started the run, or asked, or made the key that asked; None where one decides."""
    if approval.quorum == 1:
        return None
    if approval.run_id is None:
        return recipients.person_behind(tx, approval.requested_by)
    run = runs.by_id(tx, approval.run_id)
    return None if run is None else run.started_by


def _decider(actor: Actor) -> Decider:
    assert actor.role is not None
    return Decider(actor.user_id, actor.role)


def _ids(people: Sequence[Decider]) -> Sequence[str]:
    return [who.user_id for who in people]


def already_decided(tx: Tx, approval: Approval) -> Conflict | Gone:
    """The true outcome, for whoever came second: what, who, when and where."""
    if approval.status == ApprovalStatus.EXPIRED:
        return already_expired(tx, approval)
    message = f"This approval was {approval.status} already"
    return Conflict(message, code="approval_decided", details=_outcome(tx, approval))


def already_expired(tx: Tx, approval: Approval) -> Gone:
    """Nobody decided in time."""
    return Gone("This approval has expired", code="approval_expired", details=_outcome(tx, approval))


def _outcome(tx: Tx, approval: Approval) -> dict[str, Any]:
    return {
        "status": approval.status,
        "resolvedBy": approval.resolved_by,
        "resolvedByName": recipients.name_of_principal(tx, approval.resolved_by),
        "resolvedAt": iso(approval.resolved_at),
        "resolvedVia": approval.resolved_via,
    }
