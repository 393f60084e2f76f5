"""Once a day: the checkpoint of each workspace's log goes to its owner, so that a copy lies outside."""

from dataclasses import dataclass

from domain.actor import Role
from domain.clock import Now
from services.ledger import DamagedLog, Ledger
from services.notices import Notices
from storage import receipts, recipients
from storage.database import Store, Tx


@dataclass(frozen=True, slots=True)
class DailyWord:
    """Queues the daily messages."""

    store: Store
    ledger: Ledger
    notices: Notices
    now: Now

    async def send_checkpoints(self) -> int:
        """Send every owner the signed checkpoint of their log; how many were queued."""
        day = self.now().date().isoformat()

        def work(tx: Tx) -> int:
            sent = 0
            for workspace_id in receipts.logs(tx):
                try:
                    checkpoint = self.ledger.checkpoint(tx, workspace_id)
                except DamagedLog as damage:
                    text = f"The ledger of this workspace does not hold together: {damage}. Nothing is added to it."
                else:
                    text = (
                        f"Today's checkpoint of your ledger ({checkpoint.size} receipts). Keep it: with it you can "
                        f"show that history was not rewritten.\n\n{checkpoint.note}"
                    )
                for owner in recipients.with_roles(tx, workspace_id, [Role.OWNER.value]):
                    self.notices.text(
                        tx,
                        workspace_id=workspace_id,
                        chat_id=owner.telegram_id,
                        text=text,
                        dedupe_key=f"checkpoint:{workspace_id}:{day}:{owner.user_id}"[:120],
                    )
                    sent += 1
            return sent

        return await self.store.write(work)
