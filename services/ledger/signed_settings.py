"""The settings of a workspace held against the log: what the newest signed change made them."""

from collections.abc import Mapping
from typing import Any

from domain.evidence.statement import UNPROVEN, Statement, same
from domain.integrity import Altered
from domain.ledger.audit import AuditAction
from domain.policy.stored_settings import StoredSettings
from domain.runs.task import Mode
from services.ledger.append import Ledger
from services.ledger.records import Records
from storage.ledger import receipt_rows
from storage.policy import settings_rows
from storage.transaction import Tx

CHANGES = (
    AuditAction.WORKSPACE_SETTINGS_CREATED,
    AuditAction.WORKSPACE_SETTINGS_UPDATED,
    AuditAction.KILL_SWITCH_CHANGED,
)


def signed_sections(records: Records) -> Mapping[str, Any] | None:
    """The sections as the newest signed change has them, {} when nothing was ever changed.

    None when that cannot be told any more: its receipt or what it hashes is gone or was changed.
    """
    said = _newest(records)
    if said is None:
        return {}
    return None if said.differs else said.given("after") or None


def _newest(records: Records) -> Statement | None:
    rows = receipt_rows.newest_about(
        records.tx, records.workspace_id, actions=CHANGES, resource=records.workspace_id, limit=1
    )
    return records.statements(rows, signatures=True)[0] if rows else None


def settings_differ(records: Records, stored: StoredSettings) -> tuple[str, ...]:
    """The sections of stored settings that no signed change made so, and `mode`."""
    newest = _newest(records)
    if newest is not None and not newest.differs and not newest.knows_args:
        # the words of a workspace that was erased are gone, and nothing is decided in it
        return ()
    signed = signed_sections(records)
    sections = {"policyConfig": stored.policy, "budgetConfig": stored.budget, "modelConfig": stored.model}
    if signed is None:
        found = [UNPROVEN]
    else:
        found = [name for name, section in sections.items() if not same(section, signed.get(name, {}))]
    mode = _mode(records)
    if mode is not None and mode != stored.mode:
        found.append("mode")
    if found or records.workspace_id in records.ledger.altered:
        records.ledger.note(records.workspace_id, "settings", tuple(found))
    return tuple(found)


def _mode(records: Records) -> str | None:
    rows = receipt_rows.newest_about(
        records.tx,
        records.workspace_id,
        actions=(AuditAction.WORKSPACE_MODE_CHANGED, AuditAction.WORKSPACE_CREATED),
        resource=records.workspace_id,
        limit=1,
    )
    if not rows:
        return None
    [said] = records.statements(rows, signatures=True)
    if said.differs:
        return ""
    if said.action == AuditAction.WORKSPACE_CREATED:
        return str(said.metadata.get("mode", Mode.BUILD.value))
    # older receipts do not name it
    mode = said.metadata.get("mode")
    return None if mode is None else str(mode)


def check_settings(records: Records, stored: StoredSettings) -> None:
    """Altered when the settings are not those that were signed: nothing is decided by them."""
    differs = settings_differ(records, stored)
    if differs:
        raise Altered(
            f"the settings of this workspace are not those that were signed ({', '.join(differs)}): "
            "look at them and save them again",
            differs=differs,
        )


def stored_settings(ledger: Ledger, tx: Tx, workspace_id: str) -> StoredSettings:
    """The settings of a workspace as they were signed; Altered when the store holds others."""
    stored = settings_rows.get(tx, workspace_id)
    check_settings(Records(ledger, tx, workspace_id), stored)
    return stored
