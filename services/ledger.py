"""The ledger of each workspace: receipts appended to its log inside the caller's transaction."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from storage.database import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a receipt says beyond the audit line. Defaults fit a change of state made by a person.

    `args` and `output` are stored outside the signed bytes, which hold only salted hashes of them.
    """

    kind: str = "change"
    verdict: str = "ALLOW"
    reason_code: str = ""
    decision_id: str = ""
    effect: int = 0
    task_id: str | None = None
    run_id: str | None = None
    step_id: str | None = None
    approval_id: str | None = None
    policy_hash: str = ""
    args: Any = None
    output: Any = None
    status: str = "recorded"
    metadata: dict[str, Any] = field(default_factory=dict)


class Ledger:
    """Appends receipts; filled in with the receipt format and the log."""

    def append(
        self,
        tx: Tx,
        *,
        workspace_id: str,
        receipt_id: str,
        principal: str,
        action: str,
        resource: str,
        facts: Facts,
        now: datetime,
    ) -> None:
        """Append one receipt to the workspace's log."""
        raise NotImplementedError
