"""Approvals: one winner, true answers for everybody else, what was shown is what runs."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from domain.approvals.approval import ApprovalStatus, Via
from domain.errors import Conflict, Forbidden, Gone, Invalid, NotFound
from domain.identity.actor import Actor, Role
from domain.ids import new_id
from domain.ports import ToolCall
from domain.tools.effect import Effect
from services.approvals.grants import GrantRequest
from services.approvals.service import ApprovalDecision, Resolution
from storage import tables
from storage.transaction import Tx
from tests.kit import Kit, RecordingTool, Script, open_kit

DEED = ToolCall(tool="deed", args={"what": "x", "secret": "s3"})
YES = ApprovalDecision(status=ApprovalStatus.APPROVED, via=Via.API)
NO = ApprovalDecision(status=ApprovalStatus.REJECTED, via=Via.CHAT)


async def test_two_hundred_deciders_one_winner(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        surfaces = [Via.CHAT, Via.API, Via.MINI_APP]
        wishes = [
            ApprovalDecision(
                status=ApprovalStatus.APPROVED if n % 2 else ApprovalStatus.REJECTED,
                via=surfaces[n % 3],
                version=approval.version,
                digest=approval.action_hash,
            )
            for n in range(200)
        ]
        answers = await asyncio.gather(
            *(kit.approvals.resolve(kit.owner, approval.id, wish) for wish in wishes), return_exceptions=True
        )
        winners = [a for a in answers if isinstance(a, Resolution)]
        losers = [a for a in answers if isinstance(a, Conflict)]
        assert (len(winners), len(losers)) == (1, 199)
        outcome = winners[0].approval
        assert {(e.details["status"], e.details["resolvedVia"]) for e in losers} == {
            (outcome.status, outcome.resolved_via)
        }
        run, steps = await kit.until(task, "completed")
        assert run.segment == 2
        assert len(deed.done) == (1 if outcome.status == ApprovalStatus.APPROVED else 0)
        assert len(steps) == 1
        receipts = await kit.store.read(
            lambda tx: tx.scalar(
                sa.select(sa.func.count()).where(
                    tables.receipts.c.approval_id == approval.id, tables.receipts.c.action == "approval:resolved"
                )
            )
        )
        assert receipts == 1


async def test_what_was_shown_is_what_runs(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        assert approval.action_input == {"what": "x", "secret": "[hidden]"}
        for wish in (
            replace(YES, digest="0" * 12),
            replace(YES, digest=approval.action_hash[:8]),
            replace(YES, version=9),
        ):
            with pytest.raises(Conflict):
                await kit.approvals.resolve(kit.owner, approval.id, wish)

        def tamper(tx: Tx) -> None:
            tx.execute(
                sa.update(tables.steps).where(tables.steps.c.id == approval.step_id).values(args={"what": "evil"})
            )

        await kit.store.write(tamper)
        await kit.approvals.resolve(kit.owner, approval.id, replace(YES, digest=approval.short_digest))
        _, steps = await kit.until(task, "completed")
        assert (steps[0].state, steps[0].reason_code) == ("denied", "TAINTED_APPROVAL")
        assert deed.done == []


async def test_an_edit_makes_a_new_version_that_must_be_approved_again(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        with pytest.raises(Invalid):
            await kit.approvals.edit(kit.owner, approval.id, args={"nonsense": 1}, version=1)
        edited = await kit.approvals.edit(kit.owner, approval.id, args={"what": "y"}, version=1)
        assert (edited.version, edited.action_hash == approval.action_hash) == (2, False)
        with pytest.raises(Conflict):
            await kit.approvals.resolve(kit.owner, approval.id, replace(YES, digest=approval.action_hash))
        await kit.approvals.resolve(kit.owner, approval.id, replace(YES, digest=edited.action_hash, version=2))
        _, steps = await kit.until(task, "completed")
        assert steps[0].output["did"] == "y"


async def test_who_may_not_decide(url: str) -> None:
    """17: any member could approve in chat what the API reserved for owners."""
    async with open_kit(url, deeds=[RecordingTool()]) as kit:
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        for role in (Role.MEMBER, Role.PARTNER):
            with pytest.raises(Forbidden):
                await kit.approvals.resolve(await kit.person(role), approval.id, YES)
        with pytest.raises(NotFound):
            await kit.approvals.resolve(replace(kit.owner, workspace_id=new_id()), approval.id, YES)
        with pytest.raises(NotFound):
            await kit.approvals.resolve(kit.owner, new_id(), YES)


async def _age(kit: Kit, approval_id: str, by: timedelta) -> None:
    moment = datetime.now(UTC)

    def work(tx: Tx) -> None:
        tx.execute(
            sa.update(tables.approvals)
            .where(tables.approvals.c.id == approval_id)
            .values(requested_at=moment - by, expires_at=moment - by + timedelta(hours=1))
        )

    await kit.store.write(work)


async def test_nobody_deciding_means_no_and_the_run_goes_on(url: str) -> None:
    """39: expired approvals could still be approved."""
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        await _age(kit, approval.id, timedelta(minutes=40))
        assert await kit.approvals.sweep() == (0, 1)
        assert await kit.approvals.sweep() == (0, 0)
        await _age(kit, approval.id, timedelta(hours=2))
        assert (await kit.approvals.sweep())[0] == 1
        with pytest.raises(Gone):
            await kit.approvals.resolve(kit.owner, approval.id, YES)
        _, steps = await kit.until(task, "completed")
        assert steps[0].state == "rejected"
        assert deed.done == []


async def test_four_eyes(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        await kit.set_policy(approvalQuorum=2)
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        with pytest.raises(Forbidden) as refused:
            await kit.approvals.resolve(kit.owner, approval.id, YES)
        assert refused.value.code == "requester_excluded"
        one, two = await kit.person(Role.OWNER), await kit.person(Role.OWNER)
        first = await kit.approvals.resolve(one, approval.id, YES)
        assert (first.counted, len(first.approved_by)) == (False, 1)
        assert (await kit.approvals.resolve(one, approval.id, YES)).counted is False
        assert deed.done == []
        assert (await kit.approvals.resolve(two, approval.id, YES)).counted is True
        await kit.until(task, "completed")
        assert len(deed.done) == 1


async def test_a_grant_opens_the_next_call_and_can_be_revoked(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED, DEED, DEED)
        approval = await kit.pending(task)
        await kit.approvals.resolve(kit.owner, approval.id, replace(YES, grant=GrantRequest(minutes=60, max_uses=1)))
        # the second call is covered, the third finds the grant used up
        await kit.until(task, "awaiting_approval")
        while len(deed.done) < 2:
            await asyncio.sleep(0.02)
        third = await kit.pending(task)
        await kit.approvals.resolve(kit.owner, third.id, replace(YES, grant=GrantRequest(minutes=60)))
        _, steps = await kit.until(task, "completed")
        assert [s.rule_id for s in steps][1].startswith("grant:")
        [grant] = await kit.approvals.grants.list(kit.owner)
        assert (await kit.approvals.grants.revoke(kit.owner, grant.id)).revoked_at is not None
        assert await kit.approvals.grants.list(kit.owner) == []
        with pytest.raises(Invalid):
            await kit.approvals.resolve(
                kit.owner, (await kit.pending(await kit.begin(DEED))).id, replace(YES, grant=GrantRequest(minutes=0))
            )


async def test_an_approval_can_be_taken_back_while_the_window_is_open(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        await kit.set_policy(undoSeconds=300)
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        resolution = await kit.approvals.resolve(kit.owner, approval.id, YES)
        assert resolution.approval.execute_after is not None
        await kit.until(task, "waiting")
        await kit.approvals.undo(kit.owner, approval.id)
        _, steps = await kit.until(task, "completed")
        assert steps[0].state == "rejected"
        assert deed.done == []
        with pytest.raises(Conflict):
            await kit.approvals.undo(kit.owner, approval.id)


async def test_a_batch_decides_exactly_the_named_ones(url: str) -> None:
    async with open_kit(url, deeds=[RecordingTool()]) as kit:
        approvals = [await kit.pending(await kit.begin(DEED)) for _ in range(3)]
        await kit.approvals.resolve(kit.owner, approvals[0].id, NO)
        answers = await kit.approvals.resolve_many(kit.owner, [(a.id, YES) for a in approvals[:2]])
        assert [type(a) for _, a in answers] == [Conflict, Resolution]
        left = Counter(a.status for a in await kit.approvals.list(kit.owner))
        assert left == {"rejected": 1, "approved": 1, "pending": 1}


async def test_every_decision_of_a_run_replays(url: str) -> None:
    from connectors.cel import CelRules
    from services.ledger.replay import ReplayService

    async with open_kit(url, deeds=[RecordingTool()]) as kit:
        task = await kit.begin(ToolCall(tool="note.create", args={"title": "n"}), DEED)
        await kit.approvals.resolve(kit.owner, (await kit.pending(task)).id, YES)
        await kit.until(task, "completed")
        await kit.set_policy(killSwitch=True)
        frozen = await kit.begin(DEED)
        await kit.until(frozen, "completed")
        service = ReplayService(store=kit.store, ledger=kit.ledger, rules=CelRules())
        results = await service.decisions(kit.owner)
        assert {(r.recorded, r.same) for r in results} == {("ALLOW", True), ("ESCALATE", True), ("DENY", True)}
        assert len(results) == 4
        assert await kit.store.write(kit.ledger.check_at_start) == {}


async def test_reminders_wait_for_the_end_of_quiet_hours(url: str) -> None:
    async with open_kit(url, deeds=[RecordingTool()]) as kit:
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        await _age(kit, approval.id, timedelta(minutes=33))
        now = datetime.now(UTC)
        start, end = (f"{now + timedelta(hours=h):%H:%M}" for h in (-1, 1))
        await kit.set_policy(quietHours={"start": start, "end": end, "timezone": "UTC"})
        assert await kit.approvals.sweep() == (0, 0)
        await kit.set_policy(quietHours={"start": end, "end": start, "timezone": "UTC"})
        assert await kit.approvals.sweep() == (0, 1)
        assert await kit.approvals.sweep() == (0, 0)


async def test_a_critical_call_takes_a_fresh_proof_from_every_voter(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        await kit.set_policy(toolEffects={"deed": "E4"}, approvalQuorum=2)
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        assert (approval.effect, approval.approval_context["reversible"]) == (4, False)
        voters = [await kit.person(Role.OWNER), await kit.person(Role.OWNER)]
        for voter in voters:
            for fresh_at in (None, datetime.now(UTC) - timedelta(minutes=6)):
                with pytest.raises(Forbidden) as refused:
                    await kit.approvals.resolve(replace(voter, fresh_at=fresh_at), approval.id, YES)
                assert refused.value.code == "step_up_required"
            await kit.approvals.resolve(replace(voter, fresh_at=datetime.now(UTC)), approval.id, YES)
        await kit.until(task, "completed")
    assert len(deed.done) == 1


async def test_partners_decide_where_the_policy_says_so(url: str) -> None:
    critical = RecordingTool("critical", effect=Effect.E4)
    async with open_kit(url, deeds=[RecordingTool(), critical]) as kit:
        await kit.set_policy(approverRole="partner")
        partner, member = await kit.person(Role.PARTNER), await kit.person(Role.MEMBER)
        task = await kit.begin(DEED, ToolCall(tool="critical", args={}))
        first = await kit.pending(task)
        with pytest.raises(Forbidden) as refused:
            await kit.approvals.resolve(member, first.id, YES)
        assert (refused.value.code, refused.value.details["requiredRole"]) == ("insufficient_role", "partner")
        # what is standing goes beyond this one call
        with pytest.raises(Forbidden):
            await kit.approvals.resolve(partner, first.id, replace(YES, grant=GrantRequest(minutes=60)))
        assert (await kit.approvals.get(kit.owner, first.id)).pending
        await kit.approvals.resolve(partner, first.id, YES)
        await kit.until(task, "running", "awaiting_approval")
        async with asyncio.timeout(60):
            while not (waiting := await kit.approvals.list(kit.owner, status="pending")):
                await asyncio.sleep(0.02)
        [second] = waiting
        assert second.effect == 4
        with pytest.raises(Forbidden) as refused:
            await kit.approvals.resolve(partner, second.id, YES)
        assert refused.value.details["requiredRole"] == "owner"
        # what was asked under one policy is not opened by the next one
        await kit.set_policy(approvers=[partner.user_id])
        with pytest.raises(Forbidden):
            await kit.approvals.resolve(partner, second.id, YES)
        await kit.approvals.resolve(kit.owner, second.id, YES)
        await kit.until(task, "completed")


async def test_named_people_decide_whatever_their_role(url: str) -> None:
    async with open_kit(url, deeds=[RecordingTool(effect=Effect.E4)]) as kit:
        member, other = await kit.person(Role.MEMBER), await kit.person(Role.MEMBER)
        before = await kit.pending(await kit.begin(DEED))
        await kit.set_policy(approvers=[member.user_id])
        approval = await kit.pending(await kit.begin(DEED))
        for stranger in (kit.owner, await kit.person(Role.PARTNER), other):
            with pytest.raises(Forbidden) as refused:
                await kit.approvals.resolve(stranger, approval.id, YES)
            assert refused.value.code == "not_a_decider"
        # a member sees what names them and nothing else
        assert [a.id for a in await kit.approvals.list(member)] == [approval.id]
        assert (await kit.approvals.get(member, approval.id)).id == approval.id
        assert await kit.approvals.list(other) == []
        for person, hidden in ((member, before), (other, approval)):
            with pytest.raises(NotFound):
                await kit.approvals.get(person, hidden.id)
        assert (await kit.approvals.resolve(member, approval.id, YES)).approval.resolved_by == member.principal


async def test_two_of_several_with_an_owner_for_what_is_critical(url: str) -> None:
    deed = RecordingTool(effect=Effect.E4)
    async with open_kit(url, deeds=[deed]) as kit:
        await kit.set_policy(approvalQuorum=2, approverRole="partner")
        one, two, gone = [await kit.person(Role.PARTNER) for _ in range(3)]
        task = await kit.begin_later(Script([DEED]))
        await kit.runs.start(one, task.id)
        approval = await kit.pending(task)
        with pytest.raises(Forbidden) as refused:
            await kit.approvals.resolve(one, approval.id, YES)
        assert refused.value.code == "requester_excluded"
        with pytest.raises(Invalid):
            await kit.approvals.resolve(two, approval.id, replace(YES, grant=GrantRequest(minutes=5)))
        for voter in (gone, two, two):
            done = await kit.approvals.resolve(voter, approval.id, YES)
            assert done.counted is False
        # two partners are two people, but no owner is among them; and a vote goes with its voter's place
        assert await kit.approvals.approved_by(kit.owner, [approval]) == {approval.id: [gone.user_id, two.user_id]}

        def leaves(tx: Tx) -> None:
            members = tables.workspace_members
            tx.execute(sa.delete(members).where(members.c.user_id == gone.user_id))

        await kit.store.write(leaves)
        assert await kit.approvals.approved_by(kit.owner, [approval]) == {approval.id: [two.user_id]}
        voted = tables.audit_log.c.action == "approval:voted"
        count = sa.select(sa.func.count()).select_from(tables.audit_log).where(voted)
        assert await kit.store.read(lambda tx: tx.scalar(count)) == 2
        assert deed.done == []
        last = await kit.approvals.resolve(kit.owner, approval.id, YES)
        assert (last.counted, list(last.approved_by)) == (True, [two.user_id, kit.owner.user_id])
        await kit.until(task, "completed")
        assert len(deed.done) == 1


async def test_too_few_people_are_known_to_be_too_few(url: str) -> None:
    async with open_kit(url, deeds=[RecordingTool()]) as kit:
        await kit.set_policy(approvalQuorum=2, approverRole="partner")
        one, two = [await kit.person(Role.PARTNER) for _ in range(2)]
        approval = await kit.pending(await kit.begin(DEED))

        async def rights(actor: Actor) -> tuple[str | None, bool]:
            found = (await kit.approvals.rights(actor, [approval]))[approval.id]
            return None if found.refused is None else found.refused.code, found.can_be_met

        assert [await rights(who) for who in (one, kit.owner)] == [(None, True), ("requester_excluded", True)]
        members = tables.workspace_members
        await kit.store.write(
            lambda tx: tx.execute(
                sa.update(members).where(members.c.user_id == two.user_id).values(role=Role.MEMBER.value)
            )
        )
        assert await rights(one) == (None, False)


async def test_what_expired_is_settled_by_whoever_comes_too_late(url: str) -> None:
    async with open_kit(url, deeds=[RecordingTool()]) as kit:
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        await _age(kit, approval.id, timedelta(hours=2))
        with pytest.raises(Gone) as late:
            await kit.approvals.resolve(kit.owner, approval.id, YES)
        assert late.value.details["status"] == "expired"
        # nobody swept: the answer itself stands, and the run goes on with it
        assert (await kit.approvals.get(kit.owner, approval.id)).status == "expired"
        _, steps = await kit.until(task, "completed")
        assert steps[0].state == "rejected"
