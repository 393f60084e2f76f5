"""Open approvals as time goes by: brought up again, and expired when nobody decided."""

import logging
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from domain.approvals.approval import Approval, ApprovalStatus
from domain.clock import Now
from domain.errors import PilotError
from domain.tools.effect import Effect
from services.ledger.recorder import Recorder
from services.lifecycle.approvals import ApprovalLifecycle
from services.outbox.notifications import Notifications
from services.policy.service import PolicyService
from storage.approvals import approval_rows
from storage.database import Store
from storage.transaction import Tx

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reminders:
    """Sweeps what nobody has decided yet."""

    store: Store
    lifecycle: ApprovalLifecycle
    policy_service: PolicyService
    recorder: Recorder
    notifications: Notifications
    now: Now

    async def sweep(self, *, limit: int) -> tuple[int, int]:
        """Expire what nobody decided (expiry means no) and bring up what is still open; (expired, brought up).

        Each in a transaction of its own, in the order in which everything else takes its locks; what cannot be
        swept does not hold up the others.
        """
        now = self.now()
        counts = {ApprovalStatus.EXPIRED: 0, ApprovalStatus.PENDING: 0}
        open_ones = await self.store.read(
            lambda tx: [one for one in approval_rows.to_sweep(tx, now=now, limit=limit) if self._due(tx, one, now)]
        )
        for found in open_ones:
            try:
                swept = await self.store.workspace(found.workspace_id).write(partial(self._sweep, found=found, now=now))
            except Exception:
                log.exception("approval_not_swept", extra={"approval": found.id})
                continue
            if swept is not None:
                counts[swept] += 1
        return counts[ApprovalStatus.EXPIRED], counts[ApprovalStatus.PENDING]

    def _sweep(self, tx: Tx, *, found: Approval, now: datetime) -> ApprovalStatus | None:
        """Whether it was expired, or (as one that stays pending) brought up; None for neither."""
        approval = approval_rows.get(tx, found.workspace_id, found.id, lock=True)
        if not approval.pending:
            return None
        if approval.is_over(now):
            return self.lifecycle.expire(tx, approval).status
        if not self._due(tx, approval, now):
            return None
        stage = approval.reminder_stage(now)
        approval_rows.change(tx, approval, reminded=stage)
        self.notifications.approval_reminder(tx, approval, stage=stage)
        return ApprovalStatus.PENDING

    def _due(self, tx: Tx, approval: Approval, now: datetime) -> bool:
        """Whether it expired, or is to be brought up: what is critical does not wait for the end of quiet hours."""
        if approval.is_over(now):
            return True
        if approval.reminder_stage(now) <= approval.reminded:
            return False
        if approval.effect >= Effect.E4:
            return True
        try:
            hours = self.policy_service.settings(tx, approval.workspace_id)[0].policy.quiet_hours
        except PilotError:
            # settings that cannot be read hold nothing back
            return True
        return hours is None or not hours.cover(now)
