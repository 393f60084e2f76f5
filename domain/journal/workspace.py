"""What is recorded of how a workspace is set up, and of its log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.journal.entry import ReceiptFields, Written
from domain.ledger.audit import AuditAction
from domain.ledger.events import Event, EventKind
from domain.receipts.receipt import Kind

# --- settings -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """`before` and `after` are all settings by section; the hashes name the policies that follow from them."""

    kind = Kind.SETTINGS

    workspace_id: str
    actor: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    old_policy_hash: str
    new_policy_hash: str

    @property
    def changed(self) -> Sequence[str]:
        """The sections that are other than before."""
        return sorted(name for name, value in self.after.items() if self.before[name] != value)

    def details(self) -> dict[str, Any]:
        """The audit line's own."""
        return {
            "changedSections": self.changed,
            "oldPolicyHash": self.old_policy_hash,
            "newPolicyHash": self.new_policy_hash,
        }

    def written(self) -> Written:
        return Written(
            target=self.workspace_id,
            details=self.details(),
            receipt=ReceiptFields(
                policy_hash=self.new_policy_hash,
                args={"before": self.before, "after": self.after},
                metadata={"old_policy_hash": self.old_policy_hash},
            ),
            event=Event(kind=EventKind.SETTINGS_UPDATED, ref=self.workspace_id, payload={"changed": self.changed}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsCreated(_Settings):
    """Settings were written for the first time."""

    action = AuditAction.WORKSPACE_SETTINGS_CREATED


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChanged(_Settings):
    """Settings were changed."""

    action = AuditAction.WORKSPACE_SETTINGS_UPDATED


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitchChanged(_Settings):
    """Everything was stopped, or let go on; maybe with other settings."""

    action = AuditAction.KILL_SWITCH_CHANGED

    on: bool

    def details(self) -> dict[str, Any]:
        """The audit line's own."""
        # of the base by name: a class with slots is made anew, and `super` would look for the former one
        return {**_Settings.details(self), "killSwitch": self.on}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeChanged:
    """The workspace works in another mode."""

    action = AuditAction.WORKSPACE_MODE_CHANGED
    kind = Kind.SETTINGS

    workspace_id: str
    actor: str
    before: str
    mode: str

    def written(self) -> Written:
        return Written(
            target=self.workspace_id,
            details={"from": self.before, "to": self.mode},
            receipt=ReceiptFields(metadata={"mode": self.mode}),
            event=Event(kind=EventKind.WORKSPACE_MODE, ref=self.workspace_id, payload={"mode": self.mode}),
        )


# --- what operators work with -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    kind = Kind.CHANGE

    workspace_id: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretStored(_Change):
    """A secret was kept, in the place of what was there before; `of` is what it is for."""

    action = AuditAction.SECRET_STORED

    of: str

    def written(self) -> Written:
        return Written(target=self.of, receipt=ReceiptFields(args={"kind": self.of}))


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretDeleted(SecretStored):
    """A secret was forgotten."""

    action = AuditAction.SECRET_DELETED


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCreated(_Change):
    """An operator was made."""

    action = AuditAction.OPERATOR_CREATED

    operator_id: str
    name: str
    role: str
    goal: str
    tools: Sequence[str]

    def written(self) -> Written:
        args = {"name": self.name, "goal": self.goal, "tools": list(self.tools)}
        return Written(target=self.operator_id, details={"role": self.role}, receipt=ReceiptFields(args=args))


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorUpdated(_Change):
    """Fields of an operator were changed."""

    action = AuditAction.OPERATOR_UPDATED

    operator_id: str
    changed: Sequence[str]

    def written(self) -> Written:
        changed = {"changed": sorted(self.changed)}
        return Written(target=self.operator_id, details=changed, receipt=ReceiptFields(args=changed))


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeWritten(_Change):
    """A note was written, changed or removed (`what`); `hashes` stand for its texts, which no receipt holds."""

    action = AuditAction.KNOWLEDGE_WRITTEN

    note_id: str
    what: str
    hashes: Mapping[str, Any] | None = None

    def written(self) -> Written:
        return Written(target=self.note_id, details={"change": self.what}, receipt=ReceiptFields(args=self.hashes))


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolServerChanged(_Change):
    """A tool server was added, looked at, set up or removed (`what`), with what was different."""

    action = AuditAction.MCP_CHANGED

    server_id: str
    name: str
    transport: str
    what: str
    error: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def written(self) -> Written:
        said = {"change": self.what, "name": self.name, **self.details}
        return Written(
            target=self.server_id,
            reason=self.error,
            details=said,
            receipt=ReceiptFields(args={**said, "kind": self.transport}),
        )


# --- the log itself -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerExported(_Change):
    """The log or the audit trail was exported: all of it, a range (`details`), or one task's part."""

    action = AuditAction.LEDGER_EXPORTED

    task_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def written(self) -> Written:
        return Written(target=self.task_id, details=self.details)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotated:
    """Another key signs from now on. The key that signed so far vouches for it with this receipt."""

    action = AuditAction.KEY_ROTATED
    kind = Kind.KEY_ROTATION
    actor = "system"

    workspace_id: str
    key_id: str
    metadata: Mapping[str, Any]

    def written(self) -> Written:
        return Written(target=self.key_id, receipt=ReceiptFields(metadata=self.metadata))


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRecorded:
    """An evaluation of this installation was carried out."""

    action = AuditAction.EVAL_RECORDED
    kind = None
    workspace_id = None
    actor = "system"

    run_id: str
    name: str
    passed: bool
    version: str

    def written(self) -> Written:
        details = {"name": self.name, "passed": self.passed, "version": self.version}
        return Written(target=self.run_id, details=details)
