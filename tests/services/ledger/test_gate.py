"""What somebody writes into the store by hand allows nothing: only signed receipts do, now and after a restart."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from domain.approvals.approval import ApprovalStatus, Via, digest_of_call
from domain.clock import utc_now
from domain.errors import Forbidden
from domain.evidence.violations import INTEGRITY_RULE
from domain.identity.actor import Role
from domain.ids import new_id
from domain.integrity import Altered
from domain.ports import ToolCall
from domain.runs.run import Run, Step
from domain.tools.effect import Effect
from services.approvals.grants import GrantRequest
from services.approvals.service import ApprovalDecision
from services.ledger.watch import LedgerWatch
from storage import tables
from storage.database import Store
from storage.ledger import violation_rows
from storage.transaction import Tx
from tests.kit import Kit, RecordingTool, open_kit

DEED = ToolCall(tool="deed", args={"what": "x"})
YES = ApprovalDecision(status=ApprovalStatus.APPROVED, via=Via.API)
steps, approvals, runs = tables.steps.c, tables.approvals.c, tables.runs.c

Forge = Callable[[Tx, Any, Step], None]


def _go(tx: Tx, approval: Any) -> None:
    """Queue the run again, as a decision would."""
    tx.execute(sa.update(tables.runs).where(runs.id == approval.run_id).values(state="waiting", wake_at=utc_now()))


def step_only(tx: Tx, approval: Any, step: Step) -> None:
    tx.execute(sa.update(tables.steps).where(steps.id == step.id).values(state="approved"))


def approval_too(tx: Tx, approval: Any, step: Step) -> None:
    step_only(tx, approval, step)
    tx.execute(
        sa.update(tables.approvals)
        .where(approvals.id == approval.id)
        .values(status="approved", resolved_by=approval.requested_by, resolved_via="api", resolved_at=utc_now())
    )


def without_approval(tx: Tx, approval: Any, step: Step) -> None:
    step_only(tx, approval, step)
    tx.execute(sa.update(tables.steps).where(steps.id == step.id).values(approval_id=None, effect=0))


def begun(tx: Tx, approval: Any, step: Step) -> None:
    tx.execute(
        sa.update(tables.steps)
        .where(steps.id == step.id)
        .values(state="intent", verdict="ALLOW", started_at=utc_now(), approval_id=None)
    )


def copied_receipt(tx: Tx, approval: Any, step: Step) -> None:
    """The receipt of another approval, listed as if it were about this one."""
    approval_too(tx, approval, step)
    r = tables.receipts
    tx.execute(
        sa.update(r)
        .where(r.c.action == "approval:resolved", r.c.verdict == "ALLOW")
        .values(
            decision_id=approval.id, approval_id=approval.id, step_id=step.id, run_id=step.run_id, task_id=step.task_id
        )
    )


def another_call(tx: Tx, approval: Any, step: Step) -> None:
    """Another call in the place of one whose approval was given."""
    args = {"what": "evil"}
    digest = digest_of_call("deed", args)
    approval_too(tx, approval, step)
    tx.execute(sa.update(tables.steps).where(steps.id == step.id).values(args=args, args_hash=digest))
    tx.execute(sa.update(tables.approvals).where(approvals.id == approval.id).values(action_hash=digest))


FORGED: dict[str, Forge] = {
    one.__name__: one for one in (step_only, approval_too, without_approval, begun, copied_receipt, another_call)
}


async def refused(kit: Kit, task: Any) -> tuple[Run, Step]:
    """The run that was stopped, and its step."""
    run, found = await kit.until(task, "failed")
    assert run.error_code == INTEGRITY_RULE
    return run, found[0]


async def grave(kit: Kit) -> list[Any]:
    found = await kit.store.read(
        lambda tx: violation_rows.find(tx, kit.owner.in_workspace, limit=50, severity="critical")
    )
    return [one for one in found if one.policy_rule == INTEGRITY_RULE]


@pytest.mark.parametrize("how", FORGED)
async def test_what_was_approved_by_hand_is_not_done(url: str, how: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        # a yes that was given to another call
        other = await kit.begin(DEED)
        await kit.approvals.resolve(kit.owner, (await kit.pending(other)).id, YES)
        await kit.until(other, "completed")
        assert len(deed.done) == 1
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        _, [step] = await kit.latest(task)

        def forge(tx: Tx) -> None:
            FORGED[how](tx, approval, step)
            _go(tx, approval)

        await kit.store.write(forge)
        _, stopped = await refused(kit, task)
        assert len(deed.done) == 1
        assert (stopped.state, stopped.reason_code, stopped.rule_id) == ("denied", "TAINTED_APPROVAL", INTEGRITY_RULE)
        [violation] = await grave(kit)
        assert (violation.action, violation.blocked, violation.metadata["stepId"]) == ("deed", True, step.id)
        if how != "copied_receipt":
            # what was refused is in the log, and the log holds
            watch = LedgerWatch(kit.store, kit.ledger)
            await watch.look()
            assert kit.ledger.damaged == {}
        else:
            await _put_back(kit, approval)


async def _put_back(kit: Kit, approval: Any) -> None:
    """The copied receipt as it says itself: the kit looks at every decision again when it is closed."""
    r = tables.receipts

    def work(tx: Tx) -> None:
        for row in tx.all(sa.select(r.c.idx, r.c.leaf).where(r.c.action == "approval:resolved")):
            body = json.loads(bytes(row.leaf))
            said = {name: body["metadata"].get(name) for name in ("approval_id", "step_id", "run_id", "task_id")}
            tx.execute(sa.update(r).where(r.c.idx == row.idx).values(decision_id=body["decision_id"], **said))

    await kit.store.write(work)


@pytest.mark.parametrize("how", ["approval_too", "begun"])
async def test_it_is_not_done_after_a_restart_either(url: str, how: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        _, [step] = await kit.latest(task)
    # the program is down, and somebody writes to its file
    store = Store(url)

    def forge(tx: Tx) -> None:
        FORGED[how](tx, approval, step)
        _go(tx, approval)

    await store.write(forge)
    await store.close()
    async with open_kit(url, deeds=[deed], after=kit, executor="test-2") as again:
        await refused(again, task)
        assert deed.done == []


@pytest.mark.parametrize("idempotent", [False, True])
async def test_a_call_that_was_begun_by_hand_is_not_made_again(url: str, idempotent: bool) -> None:
    deed = RecordingTool(effect=Effect.E1, idempotent=idempotent)
    async with open_kit(url, deeds=[deed], work=False) as kit:
        task = await kit.begin(DEED)
        run, _ = await kit.latest(task)

        def forge(tx: Tx) -> None:
            now = utc_now()
            tx.execute(
                sa.insert(tables.steps).values(
                    id=new_id(),
                    workspace_id=run.workspace_id,
                    run_id=run.id,
                    task_id=task.id,
                    seq=1,
                    tool="deed",
                    effect=1,
                    call_id="c",
                    args={"what": "forged"},
                    args_hash=digest_of_call("deed", {"what": "forged"}),
                    version=1,
                    state="intent",
                    verdict="ALLOW",
                    model="",
                    tokens_in=0,
                    tokens_out=0,
                    cost_micros=0,
                    created_at=now,
                    started_at=now,
                )
            )

        await kit.store.write(forge)
        await kit.runs.advance(run.id, run.segment)
        run, _ = await kit.latest(task)
        assert (run.state, run.error_code) == ("failed", INTEGRITY_RULE)
        assert deed.done == []


async def test_a_grant_that_nobody_gave_allows_nothing(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        first = await kit.begin(DEED)
        given = GrantRequest(minutes=60, max_uses=1, this_task_only=False)
        await kit.approvals.resolve(
            kit.owner,
            (await kit.pending(first)).id,
            ApprovalDecision(status=ApprovalStatus.APPROVED, via=Via.API, grant=given),
        )
        await kit.until(first, "completed")
        [grant] = await kit.approvals.grants.list(kit.owner)
        assert grant.differs == ()
        # the one that was given works
        await kit.until(await kit.begin(DEED), "completed")
        assert len(deed.done) == 2
        row = {c.name: getattr(grant, c.name) for c in tables.grants.columns}

        async def asks(statement: Any) -> None:
            """Whether a call is asked about after the store was changed so."""
            await kit.store.write(lambda tx: tx.execute(statement))
            task = await kit.begin(DEED)
            approval = await kit.pending(task)
            assert len(deed.done) == 2
            await kit.runs.cancel(kit.owner, task.id)
            assert (await kit.approvals.get(kit.owner, approval.id)).status == "cancelled"

        # used up once more, for more, for longer, and one of one's own
        await asks(sa.update(tables.grants).values(uses=0))
        await asks(sa.update(tables.grants).values(max_uses=9))
        await asks(sa.update(tables.grants).values(max_uses=None, expires_at=utc_now() + timedelta(days=9)))
        await asks(sa.insert(tables.grants).values(**{**row, "id": new_id(), "max_uses": None, "uses": 0}))
        listed = await kit.approvals.grants.list(kit.owner)
        assert {one.differs != () for one in listed} == {True}
        # a revoked one does not come back
        whole = sa.update(tables.grants).values(max_uses=1, uses=1, expires_at=grant.expires_at)
        await kit.store.write(lambda tx: tx.execute(sa.delete(tables.grants).where(tables.grants.c.id != grant.id)))
        await kit.store.write(lambda tx: tx.execute(whole))
        await kit.approvals.grants.revoke(kit.owner, grant.id)
        await asks(sa.update(tables.grants).values(revoked_at=None, revoked_by=None, uses=0))


async def test_a_policy_that_nobody_set_decides_nothing(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        await kit.set_policy(killSwitch=True)

        def thaw(tx: Tx) -> None:
            tx.execute(sa.update(tables.workspace_settings).values(policy_config={"undoSeconds": 0}))

        await kit.store.write(thaw)
        with pytest.raises(Altered):
            await kit.begin(DEED)
        # saving them again mends them
        await kit.set_policy(killSwitch=False)
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        await kit.store.write(thaw)
        await kit.approvals.resolve(kit.owner, approval.id, YES)
        run, _ = await kit.until(task, "failed")
        assert (run.error_code, deed.done) == (INTEGRITY_RULE, [])
        await LedgerWatch(kit.store, kit.ledger).look()
        assert "policyConfig" in kit.ledger.altered[kit.owner.in_workspace]["settings"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("action_input", {"what": "harmless"}),
        ("reason", "just so"),
        ("quorum", 1),
        ("deciders", ["somebody"]),
        ("effect", 1),
    ],
)
async def test_nobody_says_yes_to_a_question_that_was_put_in_its_place(url: str, column: str, value: Any) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        if column == "quorum":
            await kit.set_policy(approvalQuorum=2)
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        await kit.store.write(
            lambda tx: tx.execute(
                sa.update(tables.approvals).where(approvals.id == approval.id).values(**{column: value})
            )
        )
        # whom a forged question does not name hears that first
        with pytest.raises(Forbidden if column == "deciders" else Altered):
            await kit.approvals.resolve(kit.owner, approval.id, YES)
        assert deed.done == []
        found = await kit.approvals.get(kit.owner, approval.id)
        assert (found.status, column in found.differs) == ("pending", True)
        # saying no needs no proof
        if column != "deciders":
            no = ApprovalDecision(status=ApprovalStatus.REJECTED, via=Via.API)
            await kit.approvals.resolve(kit.owner, approval.id, no)
            await kit.until(task, "completed")


async def test_a_vote_that_nobody_cast_does_not_count(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        partner = await kit.person(Role.PARTNER)
        third = await kit.person(Role.PARTNER)
        await kit.set_policy(approvalQuorum=2, approverRole="partner")
        task = await kit.begin(DEED)
        approval = await kit.pending(task)

        def forge(tx: Tx) -> None:
            tx.execute(
                sa.insert(tables.approval_votes).values(
                    approval_id=approval.id,
                    version=1,
                    user_id=third.user_id,
                    workspace_id=approval.workspace_id,
                    vote="approved",
                    created_at=utc_now(),
                )
            )

        await kit.store.write(forge)
        assert (await kit.approvals.approved_by(kit.owner, [approval]))[approval.id] == []
        first = await kit.approvals.resolve(partner, approval.id, YES)
        assert (first.counted, first.approved_by) == (False, [partner.user_id])
        assert deed.done == []
