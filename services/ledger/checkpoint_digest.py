"""Once a day: the checkpoint of each workspace's log goes to its owner, so that a copy lies outside."""

from dataclasses import dataclass

from domain.clock import Now
from domain.identity.actor import Role
from domain.outbox.notifications import CheckpointNotice
from services.ledger.append import DamagedLog, Ledger
from services.outbox.notifications import Notifications
from storage.database import Store
from storage.ledger import log_rows
from storage.outbox import recipient_rows
from storage.transaction import Tx


@dataclass(frozen=True, slots=True)
class CheckpointDigest:
    """Queues the daily messages."""

    store: Store
    ledger: Ledger
    notifications: Notifications
    now: Now

    async def send_checkpoints(self) -> int:
        """Send every owner the signed checkpoint of their log; how many were queued."""
        day = self.now().date().isoformat()

        def work(tx: Tx) -> int:
            sent = 0
            for workspace_id in log_rows.logs(tx):
                try:
                    checkpoint = self.ledger.checkpoint(tx, workspace_id)
                except DamagedLog as damage:
                    notice = CheckpointNotice(problem=str(damage))
                else:
                    notice = CheckpointNotice(size=checkpoint.size, note=checkpoint.note)
                for owner in recipient_rows.with_roles(tx, workspace_id, [Role.OWNER.value]):
                    self.notifications.put(
                        tx,
                        workspace_id=workspace_id,
                        chat_id=owner.telegram_id,
                        notice=notice,
                        dedupe_key=f"checkpoint:{workspace_id}:{day}:{owner.user_id}"[:120],
                    )
                    sent += 1
            return sent

        return await self.store.write(work)
