"""What is recorded: the audit log, receipts, the log they are in, and its proofs."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from api.schemas.base import (
    GIVEN,
    Attr,
    From,
    GivenTime,
    Hash,
    Id,
    Integrity,
    IntegrityOut,
    Json,
    LooseBody,
    Moment,
    Out,
    Paged,
    PlainOut,
    VerdictName,
    View,
    one_of,
    or_none,
)
from domain.errors import Invalid
from domain.ledger.audit import AuditAction, AuditEntry
from domain.ledger.rows import CheckpointRow, Payload, ReceiptRow
from services.ledger.archives import LogRange
from services.ledger.audit import AuditFilter
from services.ledger.proofs import Inclusion

# --- requests -------------------------------------------------------------------------------------


def _known_action(value: str) -> str:
    if value not in list(AuditAction):
        raise ValueError("is no action of the audit log")
    return value


class AuditQuery(Paged):
    actor: str | None = None
    action: Annotated[str, one_of(AuditAction), AfterValidator(_known_action)] | None = None
    target: str | None = None
    verdict: Literal["allow", "deny", "escalate", "error"] | None = None
    since: GivenTime | None = None
    until: GivenTime | None = None

    def which(self) -> AuditFilter:
        return AuditFilter(
            actor=self.actor,
            action=self.action,
            target=self.target,
            verdict=self.verdict,
            since=self.since,
            until=self.until,
        )


class ExportQuery(AuditQuery):
    format: Annotated[str, one_of(("jsonl", "csv"))] = "jsonl"


class ReceiptsQuery(LooseBody):
    limit: Annotated[int, Field(ge=1, le=100)] = 25
    before: str | None = None
    kind: str | None = None
    verdict: str | None = None


class ProofQuery(LooseBody):
    index: Annotated[int, Field(ge=0)]
    size: Annotated[int, Field(ge=1)] | None = None


class ConsistencyQuery(LooseBody):
    old: Annotated[int, Field(ge=1)]
    new: Annotated[int, Field(ge=1)] | None = None


class ArchiveQuery(LooseBody):
    task_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{36}$")] | None = None
    start: Annotated[int, Field(ge=0, le=2**53)] | None = None
    end: Annotated[int, Field(ge=1, le=2**53)] | None = None
    since: GivenTime | None = None
    until: GivenTime | None = None

    def part(self) -> LogRange | None:
        """The part of the log that is meant, None for all of it."""
        given = self.model_dump(exclude_none=True).keys()
        if not given:
            return None
        if self.task_id is not None:
            if len(given) > 1:
                raise Invalid.field("taskId", "goes without a range")
            return LogRange(task_id=self.task_id)
        if self.end is not None and self.end <= (self.start or 0):
            raise Invalid.field("end", "must be more than start")
        return LogRange(start=self.start or 0, end=self.end, since=self.since, until=self.until)


# --- answers --------------------------------------------------------------------------------------


class AuditOut(View[AuditEntry]):
    id: Id
    workspace_id: Id | None
    action: str
    actor: str
    target: str | None
    verdict: Literal["allow", "deny", "escalate", "error"]
    reason: str | None
    metadata: Json
    created_at: Moment
    integrity: Integrity


class ReceiptOut(View[ReceiptRow]):
    """`decisionHash` is the hash of the receipt's leaf in the log of the workspace."""

    id: Id
    decision_id: str
    task_id: Id | None
    task_run_id: Annotated[Id | None, Attr("step_id")]
    run_id: Id | None
    approval_id: Id | None
    kind: str
    verdict: VerdictName
    reason_code: Annotated[str | None, Attr(convert=or_none)]
    policy_version: Annotated[str, Attr("policy_hash")]
    decision_hash: Annotated[Hash, Attr("leaf_hash", bytes.hex)]
    action: str
    resource: str
    principal: str
    log_index: Annotated[int, Attr("idx")]
    received_at: Annotated[Moment, Attr("created_at")]
    # nobody but the reader verifies
    verified_at: Annotated[Moment | None, From(lambda _: None)]
    integrity: Integrity


class LogState(Out):
    """Whether the log itself holds: `missing` are places of this page that hold no receipt any more."""

    ok: bool
    code: Literal["altered"] | None
    missing: list[int]
    problem: str


class ReceiptsOut(Out):
    receipts: list[ReceiptOut]
    next_cursor: str | None
    integrity: LogState


class PayloadOut(View[Payload]):
    """What a receipt's hash stands for; `body` is null once it was erased."""

    kind: str
    salt: str | None
    body: str | None
    erased_at: Moment | None


class CheckpointOut(View[CheckpointRow]):
    """`note` is the signed note (C2SP) with origin, size and root."""

    size: int
    root: Annotated[Hash, Attr(convert=bytes.hex)]
    note: str
    created_at: Moment


def hexes(hashes: Iterable[bytes]) -> list[str]:
    """Hashes as they are written."""
    return [h.hex() for h in hashes]


class InclusionOut(View[Inclusion]):
    """A receipt with its signed form and the proof that the log of `checkpoint` holds it."""

    receipt: ReceiptOut
    signed_blob: Annotated[Json, Attr("body")]
    payloads: list[PayloadOut]
    leaf_hash: Annotated[Hash, Attr("receipt.leaf_hash", bytes.hex)]
    log_index: Annotated[int, Attr("receipt.idx")]
    audit_path: Annotated[list[Hash], Attr("path", hexes)]
    checkpoint: CheckpointOut


class GraphNode(Out):
    id: Id
    index: int
    kind: str
    verdict: str
    action: str
    tool: str | None
    principal: str
    step_id: Id | None
    approval_id: Id | None
    hash: Hash
    integrity: IntegrityOut


class GraphEdge(PlainOut):
    source: Id = Field(alias="from")
    target: Id = Field(alias="to")


class ProofGraph(Out):
    task_id: Id
    nodes: list[GraphNode]
    edges: list[GraphEdge]


class InclusionProof(View[ReceiptRow]):
    log_index: Annotated[int, Attr("idx")]
    tree_size: Annotated[int, GIVEN]
    leaf_hash: Annotated[Hash, Attr(convert=bytes.hex)]
    audit_path: Annotated[list[Hash], GIVEN]


class ConsistencyProof(Out):
    old_size: int
    new_size: int
    old_root: Hash
    new_root: Hash
    consistency_path: list[Hash]


class PublicKey(PlainOut):
    key_id: str
    name: str
    algorithm: Literal["ed25519"]
    public_key: Hash
    not_before: str
    retired_at: str | None


class PublicKeys(PlainOut):
    """Every key receipts and checkpoints were ever signed with, oldest first."""

    keys: list[PublicKey]
