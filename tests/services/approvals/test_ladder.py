"""An open question on its way to expiry: reminders, quiet hours, people who are away and their deputies."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from domain.clock import utc_now
from domain.errors import Conflict, NotFound
from domain.identity.actor import Actor, Role
from domain.ports import ToolCall
from domain.tools.effect import Effect
from services.approvals.service import ApprovalService
from storage import tables
from storage.transaction import Tx
from tests.kit import Kit, RecordingTool, open_kit

DEED = ToolCall(tool="deed", args={"what": "x"})
ADA, BOB, EVE = 7, 8, 9


def at(kit: Kit, moment: datetime) -> ApprovalService:
    """The approvals of this kit, at another time."""
    return replace(
        kit.approvals, now=lambda: moment, notifications=replace(kit.approvals.notifications, now=lambda: moment)
    )


async def reminded(kit: Kit) -> list[tuple[int, int, list[str]]]:
    """Every reminder that was queued: to whom, which rung, instead of whom."""
    query = sa.select(tables.outbox.c.recipient, tables.outbox.c.payload).order_by(tables.outbox.c.id)
    rows = await kit.store.read(lambda tx: tx.all(query))
    return [(int(to), said["stage"], said["insteadOf"]) for to, said in rows if said["kind"] == "approval.reminder"]


async def called(kit: Kit, person: Actor, username: str) -> None:
    query = sa.update(tables.users).where(tables.users.c.id == person.user_id).values(username=username)
    await kit.store.write(lambda tx: tx.execute(query))


async def test_reminders_then_the_deputy_then_no(url: str) -> None:
    deed = RecordingTool()
    async with open_kit(url, deeds=[deed]) as kit:
        bob = await kit.person(Role.PARTNER, telegram_id=BOB)
        await kit.person(Role.PARTNER, telegram_id=EVE)
        await called(kit, bob, "Bob_B")
        await kit.set_policy(approverRole="partner", approvalTtlMinutes=100)
        deputy = await kit.approvals.go_away(kit.owner, utc_now() + timedelta(days=1), deputy="@bob_b")
        assert deputy is not None
        assert deputy.user_id == bob.user_id
        task = await kit.begin(DEED)
        approval = await kit.pending(task)
        counts, seen = {}, 0
        for minutes in (49.9, 50, 60, 90, 94.9, 95, 99.9, 100):
            counts[minutes] = await at(kit, approval.requested_at + timedelta(minutes=minutes)).sweep()
            new, seen = (await reminded(kit))[seen:], len(await reminded(kit))
            expected: dict[float, Any] = {
                50: [(BOB, 1, ["Ada"]), (EVE, 1, [])],
                90: [(BOB, 2, ["Ada"]), (EVE, 2, [])],
                95: [(BOB, 3, ["Ada"])],
            }
            assert sorted(new) == expected.get(minutes, []), minutes
        assert counts == {m: (int(m == 100), int(m in (50, 90, 95))) for m in counts}
        _, steps = await kit.until(task, "completed")
        assert (steps[0].state, deed.done) == ("rejected", [])


async def test_what_is_critical_waits_for_nobody(url: str) -> None:
    """Quiet hours hold back ordinary reminders, not those about E4; and nobody who is away is spared these."""
    async with open_kit(url, deeds=[RecordingTool(), RecordingTool("critical", effect=Effect.E4)]) as kit:
        bob = await kit.person(Role.OWNER, telegram_id=BOB)
        await called(kit, bob, "bob")
        await kit.approvals.go_away(kit.owner, utc_now() + timedelta(days=3), deputy="@bob")
        await kit.set_policy(approvalTtlMinutes=600)
        ordinary = await kit.pending(await kit.begin(DEED))
        critical = await kit.pending(await kit.begin(ToolCall(tool="critical", args={})))
        middle = max(ordinary.requested_at, critical.requested_at) + timedelta(minutes=301)
        start, end = (f"{middle + timedelta(minutes=m):%H:%M}" for m in (-10, 10))
        await kit.set_policy(quietHours={"start": start, "end": end, "timezone": "UTC"})
        assert await at(kit, middle).sweep() == (0, 1)
        assert sorted(await reminded(kit)) == [(ADA, 1, []), (BOB, 1, ["Ada"])]
        assert await at(kit, middle + timedelta(minutes=15)).sweep() == (0, 1)
        assert (await reminded(kit))[2:] == [(BOB, 1, ["Ada"])]


async def test_a_deputy_is_somebody_here_who_may_decide(url: str) -> None:
    async with open_kit(url, deeds=[RecordingTool()]) as kit:
        bob = await kit.person(Role.PARTNER, telegram_id=BOB)
        await called(kit, bob, "bob")
        until = utc_now() + timedelta(days=1)
        for name, code in (("@nobody", "deputy_unknown"), ("@bob", "deputy_cannot"), ("Ada", "deputy_self")):
            with pytest.raises((NotFound, Conflict)) as refused:
                await kit.approvals.go_away(kit.owner, until, deputy=name)
            assert refused.value.code == code
        await kit.set_policy(approvers=[bob.user_id, kit.owner.user_id], approvalTtlMinutes=100)
        assert await kit.approvals.go_away(kit.owner, until, deputy="P Partner") is not None
        # whoever may not decide any more stands in for nobody, and who came back is not spared
        approval = await kit.pending(await kit.begin(DEED))
        await kit.approvals.go_away(bob, until)
        await at(kit, approval.requested_at + timedelta(minutes=50)).sweep()
        assert sorted(await reminded(kit)) == [(ADA, 1, []), (BOB, 1, [])]
        await kit.approvals.come_back(kit.owner)
        await kit.approvals.come_back(bob)
        await at(kit, approval.requested_at + timedelta(minutes=96)).sweep()
        # nobody is anybody's deputy now, so the last call is heard by nobody
        assert len(await reminded(kit)) == 2


async def test_one_that_cannot_be_swept_does_not_hold_up_the_others(url: str) -> None:
    async with open_kit(url, deeds=[RecordingTool()]) as kit:
        await kit.set_policy(approvalTtlMinutes=100)
        first = await kit.pending(await kit.begin(DEED))
        second = await kit.pending(await kit.begin(DEED))

        def spoil(tx: Tx) -> None:
            mine = tables.approvals.c.id == first.id
            tx.execute(sa.update(tables.approvals).where(mine).values(approval_context={"approverRole": "nonsense"}))
            # settings that cannot be read hold nothing back either
            tx.execute(sa.update(tables.workspace_settings).values(policy_config={"approvalQuorum": "nonsense"}))

        await kit.store.write(spoil)
        assert await at(kit, second.requested_at + timedelta(minutes=60)).sweep() == (0, 1)
        assert await reminded(kit) == [(ADA, 1, [])]
