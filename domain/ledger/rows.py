"""The log as it is stored: receipts, checkpoints, keys, heads and payloads."""

from dataclasses import dataclass
from datetime import datetime

from domain.integrity import differs_field


@dataclass(frozen=True, slots=True, kw_only=True)
class LogHead:
    """Where a log ends. `frontier` is the right edge of its tree, 32 bytes a hash."""

    workspace_id: str
    size: int
    chain_hash: str
    lamport: int
    frontier: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRow:
    """One receipt with its exact signed bytes (`leaf`) and what it can be found by.

    Read from the store, everything but `leaf` and the keys (workspace, place, id) is what the bytes say, and `differs`
    names the columns that say otherwise: `leaf` alone when the bytes are no receipt, and the columns are all there is.
    """

    workspace_id: str
    idx: int
    id: str
    decision_id: str
    kind: str
    verdict: str
    reason_code: str
    action: str
    resource: str
    principal: str
    task_id: str | None
    run_id: str | None
    step_id: str | None
    approval_id: str | None
    policy_hash: str
    leaf: bytes
    leaf_hash: bytes
    created_at: datetime
    differs: tuple[str, ...] = differs_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRow:
    """A signed statement of a log's size and root."""

    workspace_id: str
    size: int
    root: bytes
    note: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A public key of the installation."""

    key_id: str
    name: str
    public: str
    not_before: datetime
    retired_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What a receipt only hashes. `kind` is args or output; `body` is None once erased."""

    workspace_id: str
    receipt_id: str
    kind: str
    salt: str
    body: str | None
    erased_at: datetime | None
