"""What the policy refused, written down for whoever looks after the workspace."""

from collections.abc import Mapping
from datetime import datetime

from domain.ids import new_id
from domain.ledger.violation import Violation
from domain.policy.governance import Decision, severity_of
from storage.ledger import violation_rows
from storage.transaction import Tx


def note_refusal(
    tx: Tx, workspace_id: str, *, tool: str, decision: Decision, metadata: Mapping[str, str], now: datetime
) -> None:
    """Write down one refusal; `metadata` says what it belongs to."""
    violation_rows.add(
        tx,
        Violation(
            id=new_id(),
            workspace_id=workspace_id,
            policy_rule=decision.rule_id,
            violation=decision.reason,
            severity=severity_of(decision.reason_code),
            action=tool,
            blocked=True,
            metadata={
                **metadata,
                "reasonCode": decision.reason_code,
                "policyHash": decision.policy_hash,
            },
            created_at=now,
        ),
    )
