"""Whatever was found altered is written down once as a violation, and its owners hear of it."""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from domain.clock import Now
from domain.evidence.violations import INTEGRITY_RULE
from domain.identity.actor import Role
from domain.ledger.violation import Violation
from domain.outbox.notifications import IntegrityNotice
from services.ledger.append import Ledger
from services.outbox.notifications import Notifications
from storage.database import Store
from storage.ledger import violation_rows
from storage.outbox import recipient_rows
from storage.transaction import Tx
from storage.workspaces import workspace_rows

# of one workspace at once: who altered a thousand rows is found out by the first of them
MOST = 50
_NAMES = uuid.UUID("6f0f1c7a-6c0e-5a63-9f2e-5d1e3b0c7a11")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Alarm:
    """Tells of what `Ledger.altered` and `Ledger.damaged` hold. Nothing is told twice, by no process."""

    store: Store
    ledger: Ledger
    notifications: Notifications
    now: Now
    _told: set[tuple[str, str, tuple[str, ...]]] = field(default_factory=set)

    async def tell(self) -> int:
        """Write down what is new; how many findings that were."""
        new = {
            workspace_id: {
                subject: differs
                for subject, differs in list(found.items())
                if (workspace_id, subject, differs) not in self._told
            }
            for workspace_id, found in self._found().items()
        }
        count = 0
        for workspace_id, found in new.items():
            some = dict(list(found.items())[:MOST])
            if not some:
                continue
            for subject, differs in some.items():
                log.error("altered", extra={"workspace": workspace_id, "what": subject, "differs": ", ".join(differs)})
            await self.store.write(partial(self._write, workspace_id=workspace_id, found=some))
            self._told |= {(workspace_id, subject, differs) for subject, differs in some.items()}
            count += len(some)
        return count

    def _found(self) -> dict[str, dict[str, tuple[str, ...]]]:
        found = {workspace_id: dict(subjects) for workspace_id, subjects in list(self.ledger.altered.items())}
        for workspace_id, why in list(self.ledger.damaged.items()):
            found.setdefault(workspace_id, {})["log"] = (why,)
        return found

    def _write(self, tx: Tx, *, workspace_id: str, found: Mapping[str, tuple[str, ...]]) -> None:
        if not workspace_rows.exists(tx, workspace_id):
            # it was removed, and only its log is left: nobody reads its violations
            return
        now = self.now()
        written = False
        for subject, differs in found.items():
            text = f"{subject} is not as it was signed: {', '.join(differs)}"
            # no receipt tells of it: the log may be what was altered
            written |= violation_rows.add_once(
                tx,
                Violation(
                    # one id for one finding, whoever finds it
                    id=str(uuid.uuid5(_NAMES, f"{workspace_id} {text}")),
                    workspace_id=workspace_id,
                    policy_rule=INTEGRITY_RULE,
                    violation=text,
                    severity="critical",
                    action=subject.partition(" ")[0],
                    blocked=False,
                    metadata={"subject": subject, "differs": list(differs)},
                    created_at=now,
                ),
            )
        if not written:
            return
        first, differs = next(iter(found.items()))
        for owner in recipient_rows.with_roles(tx, workspace_id, [Role.OWNER.value]):
            self.notifications.put(
                tx,
                workspace_id=workspace_id,
                chat_id=owner.telegram_id,
                notice=IntegrityNotice(subject=first, differs=list(differs), count=len(found)),
                # once a day, however much was altered
                dedupe_key=f"integrity:{workspace_id}:{now.date()}:{owner.user_id}"[:120],
            )
