"""What is written of one thing that is recorded: a line of the audit log, a receipt, an event."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from domain.ledger.audit import AuditAction
from domain.ledger.events import Event
from domain.receipts.receipt import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptFields:
    """What a receipt says beyond the audit line. Defaults fit a change of state made by a person.

    `args` and `output` are stored outside the signed bytes, which hold only salted hashes of them. `attached` are
    texts by their kind, kept as they are beside the receipt; a hash in `metadata` binds them to it.
    """

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
    metadata: Mapping[str, Any] = field(default_factory=dict)
    attached: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """`target` to `details` are the audit line; its verdict is allow, deny, escalate or error."""

    target: str | None = None
    verdict: str = "allow"
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    receipt: ReceiptFields = ReceiptFields()
    event: Event | None = None


class Entry(Protocol):
    """One thing that can be recorded. The modules beside this one hold a class for each.

    `actor` is a principal (`user:<id>`, `api_key:<id>`, `operator:<id>`, `email_hash:<sha256>`, `system`). There is a
    receipt where there is a workspace and `kind` names one.
    """

    @property
    def action(self) -> AuditAction: ...
    @property
    def kind(self) -> Kind | None: ...
    @property
    def workspace_id(self) -> str | None: ...
    @property
    def actor(self) -> str: ...

    def written(self) -> Written:
        """What is written of it."""
        ...
