"""Whole tables of one workspace, a piece at a time, for whoever looks at everything."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.approvals.approval import Approval
from domain.ledger.audit import AuditEntry
from domain.ledger.violation import Violation
from domain.runs.run import Run
from storage.approvals.approval_rows import COLUMNS as APPROVAL_COLUMNS
from storage.ledger import audit_rows
from storage.ledger.violation_rows import COLUMNS as VIOLATION_COLUMNS
from storage.runs.run_rows import RUN_COLUMNS
from storage.tables import approvals, policies, runs, violations
from storage.transaction import Tx
from storage.values import to_value


def _after(tx: Tx, table: sa.Table, columns: Sequence[Any], workspace_id: str, *, after: str, limit: int) -> list[Any]:
    query = sa.select(*columns).where(table.c.workspace_id == workspace_id, table.c.id > after)
    return tx.all(query.order_by(table.c.id).limit(limit))


def of_runs(tx: Tx, workspace_id: str, *, after: str, limit: int) -> Sequence[Run]:
    """Runs by their ids, from the one after `after` ("" = the first) on."""
    return [to_value(Run, row) for row in _after(tx, runs, RUN_COLUMNS, workspace_id, after=after, limit=limit)]


def of_approvals(tx: Tx, workspace_id: str, *, after: str, limit: int) -> Sequence[Approval]:
    """Approvals by their ids."""
    return [
        to_value(Approval, row)
        for row in _after(tx, approvals, APPROVAL_COLUMNS, workspace_id, after=after, limit=limit)
    ]


def of_violations(tx: Tx, workspace_id: str, *, after: str, limit: int) -> Sequence[Violation]:
    """Violations by their ids."""
    return [
        to_value(Violation, row)
        for row in _after(tx, violations, VIOLATION_COLUMNS, workspace_id, after=after, limit=limit)
    ]


def of_lines(tx: Tx, workspace_id: str, *, before: tuple[datetime, str] | None, limit: int) -> Sequence[AuditEntry]:
    """Audit lines, newest first, from the one before `before` (None = the newest) on."""
    return audit_rows.find(tx, audit_rows.select_entries(workspace_id, before=before), limit=limit)


def of_policies(tx: Tx, workspace_id: str, *, after: str, limit: int) -> Sequence[str]:
    """Hashes of the kept policies, in their order."""
    c = policies.c
    query = sa.select(c.policy_hash).where(c.workspace_id == workspace_id, c.policy_hash > after)
    return [row[0] for row in tx.all(query.order_by(c.policy_hash).limit(limit))]
