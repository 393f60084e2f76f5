"""Builders of logs and archives for the tests of the ledger."""

import hashlib
import io
from datetime import UTC, datetime, timedelta

from domain.receipts.archive import WHOLE, write_archive
from domain.receipts.checkpoint import Checkpoint, sign_checkpoint
from domain.receipts.merkle import Frontier, inclusion_proof
from domain.receipts.receipt import Kind, Receipt, build, rotation_metadata
from domain.receipts.signing import KeyRing, Signer

WORKSPACE = "0198f0a2-0000-7000-8000-000000000001"
ORIGIN = f"pilot.example/pilot/{WORKSPACE}"
START = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)


def seed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


class Log:
    """A log in memory: receipts, nodes, keys; what the service keeps in the database."""

    def __init__(self, *, signer: Signer | None = None, origin: str = ORIGIN) -> None:
        self.signer = signer or Signer(seed("first key"))
        self.origin = origin
        self.records = [self.signer.record(not_before=START - timedelta(days=1))]
        self.receipts: list[Receipt] = []
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.frontier = Frontier()

    @property
    def keys(self) -> KeyRing:
        return KeyRing(self.records)

    def get_node(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]

    def add(self, *, kind: str = Kind.DECISION, metadata=None, **members) -> Receipt:
        number = len(self.receipts)
        values = {
            "receipt_id": f"rcpt-{number:06d}",
            "decision_id": f"dec-{number:06d}",
            "effect_id": "E3",
            "status": "recorded",
            "verdict": "ESCALATE" if number % 3 else "ALLOW",
            "reason_code": "APPROVAL_REQUIRED" if number % 3 else "",
            "args_hash": hashlib.sha256(b"args %d" % number).hexdigest(),
            "policy_hash": hashlib.sha256(b"policy").hexdigest(),
            "session_id": WORKSPACE,
            "executor_id": f"user:{number % 7}",
            "timestamp": START + timedelta(milliseconds=number),
        } | members
        receipt = build(
            signer=self.signer,
            workspace_id=WORKSPACE,
            kind=kind,
            prev_hash=self.receipts[-1].chain_hash if self.receipts else "",
            lamport_clock=number + 1,
            metadata={"task_id": f"task-{number % 5}", "action": "http.post", "resource": "https://é.example/ \u2028"}
            | (metadata or {}),
            **values,
        )
        self.receipts.append(receipt)
        self.frontier, nodes = self.frontier.append(receipt.leaf_hash)
        self.nodes.update({(level, index): digest for level, index, digest in nodes})
        return receipt

    def rotate(self, new: Signer) -> None:
        receipt = self.add(kind=Kind.KEY_ROTATION, metadata=rotation_metadata(new))
        self.records[-1] = self.signer.record(not_before=self.records[-1].not_before, retired_at=receipt.timestamp)
        self.records.append(new.record(not_before=receipt.timestamp))
        self.signer = new

    def checkpoint(self, *, size: int | None = None, signers=None) -> str:
        frontier = self.frontier
        if size is not None and size != frontier.size:
            frontier = Frontier.load(size, self.get_node)
        head = Checkpoint(self.origin, frontier.size, frontier.root())
        return sign_checkpoint(head, signers=signers or (self.signer,))

    def archive(self, *, only=None, scope: str = "task", **overrides) -> bytes:
        indices = range(len(self.receipts)) if only is None else only
        out = io.BytesIO()
        values = {
            "checkpoint": self.checkpoint(),
            "keys": self.keys,
            "signer": self.signer,
            "workspace_id": WORKSPACE,
            "pack_id": "0198f0a2-0000-7000-8000-00000000000f",
            "created_at": START + timedelta(days=1),
            "scope": WHOLE if only is None else scope,
            "proof": None if only is None else lambda index: inclusion_proof(index, len(self.receipts), self.get_node),
        } | overrides
        write_archive(out, ((index, self.receipts[index].leaf) for index in indices), **values)
        return out.getvalue()


def filled(count: int) -> Log:
    log = Log()
    for _ in range(count):
        log.add()
    return log
