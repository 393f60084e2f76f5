"""The ledger of each workspace: receipts appended to its log inside the caller's transaction, and checkpoints."""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from domain.clock import Now
from domain.journal.entry import ReceiptFields
from domain.ledger.audit import AuditAction
from domain.ledger.rows import CheckpointRow, KeyRow, LogHead, Payload, ReceiptRow
from domain.receipts import merkle
from domain.receipts.canonical import canonical_payload, payload_hash
from domain.receipts.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from domain.receipts.errors import BadNote, LedgerError
from domain.receipts.receipt import Kind, Receipt, build, parse, verify
from domain.receipts.signing import KeyRecord, KeyRing, Signer
from storage.ledger import checkpoint_rows, log_rows, receipt_rows, signing_key_rows
from storage.transaction import Tx

T = TypeVar("T")

# hashes of receipts whose signature this process made or checked: what is kept is a verdict on bytes, never on a row
CHECKED = 65_536
# a checkpoint over more new receipts than these is signed without reading their signatures again; the watch reads them
READ_BEFORE_SIGNING = 2000


class DamagedLog(LedgerError):
    """A log does not agree with what was signed of it; nothing is appended to it."""

    status = 503


class RetiredKey(LedgerError):
    """The key of this process was rotated out: Pilot has to be started again with the new one."""

    status = 503
    code = "signing_key_retired"


class Ledger:
    """Appends receipts and signs checkpoints for all workspaces of the installation.

    `host` names the installation in checkpoint origins. `retiring` are keys that still sign
    checkpoints beside the current one, for readers who have not heard of it yet.
    """

    def __init__(self, signer: Signer, *, host: str, now: Now, retiring: Sequence[Signer] = ()) -> None:
        self.signer = signer
        self.retiring = tuple(retiring)
        self._host = host
        self._now = now
        # logs found damaged: fail closed, nothing is appended to them
        self._damaged: dict[str, str] = {}
        # rows found to be other than what was signed, by workspace: what each is called, and what of it differs
        self._altered: dict[str, dict[str, tuple[str, ...]]] = {}
        self._checked: OrderedDict[bytes, None] = OrderedDict()
        # by workspace the size of the log and the leaf's hash when this process appended last: no log gets shorter
        self._last: dict[str, tuple[int, bytes]] = {}

    @property
    def damaged(self) -> dict[str, str]:
        """What is wrong, by workspace; it is the ledger's own, and follows it."""
        return self._damaged

    def close(self, workspace_id: str, why: str) -> None:
        """Take no more receipts for this workspace."""
        self._damaged[workspace_id] = why

    @property
    def altered(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """By workspace what was found altered when it was read last; it is the ledger's own, and follows it."""
        return self._altered

    def note(self, workspace_id: str, subject: str, differs: tuple[str, ...]) -> None:
        """Remember what differs of a row, or that nothing does any more. Readers call it, from any thread."""
        known = self._altered.get(workspace_id)
        if differs:
            self._altered.setdefault(workspace_id, {})[subject] = differs
        elif known is not None and known.pop(subject, None) is not None and not known:
            self._altered.pop(workspace_id, None)

    def origin(self, workspace_id: str) -> str:
        """The name of a workspace's log in its checkpoints."""
        return f"{self._host}/pilot/{workspace_id}"

    def append(
        self,
        tx: Tx,
        *,
        workspace_id: str,
        receipt_id: str,
        kind: Kind,
        principal: str,
        action: AuditAction,
        resource: str,
        fields: ReceiptFields,
        now: datetime,
    ) -> Receipt:
        """Append one receipt to the workspace's log. It commits, or not, with what it is about."""
        if workspace_id in self._damaged:
            raise DamagedLog(self._damaged[workspace_id])
        head = log_rows.head(tx, workspace_id, lock=True)
        hashed, hashes = _payloads(fields, workspace_id, receipt_id)
        found_by: dict[str, Any] = {
            "action": action.value,
            "resource": resource[:200],
            "principal": principal,
            "task_id": fields.task_id,
            "run_id": fields.run_id,
            "step_id": fields.step_id,
            "approval_id": fields.approval_id,
        }
        decision_id = fields.decision_id or receipt_id
        receipt = build(
            signer=self.signer,
            workspace_id=workspace_id,
            kind=kind,
            receipt_id=receipt_id,
            session_id=workspace_id,
            prev_hash=head.chain_hash,
            lamport_clock=head.lamport + 1,
            timestamp=now,
            executor_id=principal,
            status=fields.status,
            decision_id=decision_id,
            effect_id=f"E{fields.effect}",
            verdict=fields.verdict,
            reason_code=fields.reason_code,
            args_hash=hashes["args"],
            output_hash=hashes["output"],
            policy_hash=fields.policy_hash,
            metadata={**fields.metadata, **found_by},
        )
        row = ReceiptRow(
            workspace_id=workspace_id,
            idx=head.size,
            id=receipt_id,
            decision_id=decision_id,
            kind=kind.value,
            verdict=fields.verdict,
            reason_code=fields.reason_code,
            policy_hash=fields.policy_hash,
            leaf=receipt.leaf,
            leaf_hash=receipt.leaf_hash,
            created_at=now,
            **found_by,
        )
        self._append(tx, head, row, receipt, hashed)
        tx.on_commit(lambda: self._appended(workspace_id, row.leaf_hash, head.size + 1))
        return receipt

    def _append(self, tx: Tx, head: LogHead, row: ReceiptRow, receipt: Receipt, hashed: Sequence[Payload]) -> None:
        """The row with its place in the tree; RetiredKey when this process may not sign any more."""
        frontier, nodes = merkle.Frontier.from_bytes(head.size, head.frontier).append(row.leaf_hash)
        new = LogHead(
            workspace_id=row.workspace_id,
            size=head.size + 1,
            chain_hash=receipt.chain_hash,
            lamport=head.lamport + 1,
            frontier=frontier.to_bytes(),
        )
        if not log_rows.append(tx, row, old=head, new=new, nodes=nodes, hashed=hashed, key_id=self.signer.key_id):
            raise RetiredKey

    def _appended(self, workspace_id: str, leaf_hash: bytes, size: int) -> None:
        self._note_checked(leaf_hash)
        self._last[workspace_id] = max((size, leaf_hash), self._last.get(workspace_id, (0, b"")))

    def _note_checked(self, leaf_hash: bytes) -> None:
        self._checked[leaf_hash] = None
        # several threads read: another one may have taken the oldest
        while len(self._checked) > CHECKED:
            self._checked.pop(next(iter(self._checked)), None)

    # --- checkpoints ------------------------------------------------------------------------------

    def checkpoint(self, tx: Tx, workspace_id: str) -> CheckpointRow:
        """The signed checkpoint of the log as it stands; needs a write transaction when it has grown.

        Before signing, the new root is checked to extend the last one signed.
        """
        if workspace_id in self._damaged:
            raise DamagedLog(self._damaged[workspace_id])
        head = log_rows.head(tx, workspace_id, lock=True)
        last = checkpoint_rows.newest(tx, workspace_id)
        if last is not None and last.size == head.size:
            return last
        if signing_key_rows.is_retired(tx, self.signer.key_id):
            raise RetiredKey
        root = merkle.Frontier.from_bytes(head.size, head.frontier).root()
        try:
            if last is not None and last.size > 0:
                self._check_extends(tx, workspace_id, last=last, size=head.size, root=root)
            self._check_new(tx, workspace_id, start=0 if last is None else last.size, head=head)
        except LedgerError as damage:
            self.close(workspace_id, str(damage))
            raise DamagedLog(str(damage)) from damage
        note = sign_checkpoint(
            Checkpoint(self.origin(workspace_id), head.size, root), signers=(self.signer, *self.retiring)
        )
        row = CheckpointRow(workspace_id=workspace_id, size=head.size, root=root, note=note, created_at=self._now())
        checkpoint_rows.add(tx, row)
        return row

    def _check_extends(self, tx: Tx, workspace_id: str, *, last: CheckpointRow, size: int, root: bytes) -> None:
        if size < last.size:
            raise DamagedLog(f"the log has {size} receipts, a checkpoint of {last.size} was signed")
        path = self.prove(tx, workspace_id, lambda nodes: merkle.consistency_proof(last.size, size, nodes))
        merkle.verify_consistency(old_size=last.size, old_root=last.root, new_size=size, new_root=root, path=path)

    def _check_new(self, tx: Tx, workspace_id: str, *, start: int, head: LogHead) -> None:
        """DamagedLog unless the receipts from `start` on are signed, in a chain, and those the head was made of."""
        self.check_length(workspace_id, head.size)
        if head.size - start > READ_BEFORE_SIGNING:
            return
        frontier = merkle.Frontier.load(start, self.nodes(tx, workspace_id)) if start else merkle.Frontier()
        mine = self._last.get(workspace_id, (0, b""))
        ring: KeyRing | None = None
        before = b""
        for index, leaf in receipt_rows.leaves(tx, workspace_id, start=max(0, start - 1), end=head.size):
            digest = merkle.leaf_hash(leaf)
            if index >= start:
                if index + 1 == mine[0] and digest != mine[1]:
                    raise DamagedLog(f"receipt {index} was changed")
                if digest not in self._checked:
                    ring = ring or self.ring(tx)
                    receipt = parse(leaf)
                    self.check_signature(receipt, ring=ring)
                    if before and receipt.prev_hash != parse(before).chain_hash:
                        raise DamagedLog(f"receipt {index} does not follow the one before it")
                frontier, _ = frontier.append(digest)
            before = leaf
        if frontier != merkle.Frontier.from_bytes(head.size, head.frontier):
            raise DamagedLog("the head of the log is not that of its receipts")

    def check_length(self, workspace_id: str, size: int) -> None:
        """DamagedLog when the log is shorter than this process made it."""
        before, _ = self._last.get(workspace_id, (0, b""))
        if size < before:
            raise DamagedLog(f"the log had {before} receipts and has {size}")

    def check_signature(self, receipt: Receipt, *, ring: KeyRing) -> None:
        """BadReceipt unless a known key signed these very bytes within its time."""
        digest = receipt.leaf_hash
        if digest not in self._checked:
            verify(receipt, ring=ring)
            self._note_checked(digest)

    def was_checked(self, leaf_hash: bytes) -> bool:
        """Whether this process signed the bytes with this hash, or checked their signature."""
        return leaf_hash in self._checked

    def open_newest(self, tx: Tx, workspace_id: str) -> Checkpoint | None:
        """What the newest checkpoint says, None where there is none.

        DamagedLog when no key of this installation signed it, or it is of another log. A checkpoint from before the
        last rotation is believed by the keys in the store, until the next one is signed.
        """
        row = checkpoint_rows.newest(tx, workspace_id)
        if row is None:
            return None
        own = [signer.public for signer in (self.signer, *self.retiring)]
        error: BadNote | None = None
        for keys in (own, [record.public for record in self.ring(tx)]):
            try:
                found = open_checkpoint(row.note, keys=keys).checkpoint
            except BadNote as bad:
                error = bad
                continue
            # the host may have been another one when it was signed
            if found.origin.endswith(f"/pilot/{workspace_id}") and (found.size, found.root) == (row.size, row.root):
                return found
            raise DamagedLog("the newest checkpoint is not what its note says")
        raise DamagedLog(f"the newest checkpoint does not hold: {error}")

    @staticmethod
    def prove(tx: Tx, workspace_id: str, proof: Callable[[merkle.GetNode], T]) -> T:
        """A proof of this log. Which hashes it takes does not depend on what they are: they are read at once."""
        wanted: set[tuple[int, int]] = set()

        def note(level: int, index: int) -> bytes:
            wanted.add((level, index))
            return bytes(merkle.HASH_SIZE)

        proof(note)
        found = log_rows.nodes_at(tx, workspace_id, wanted)
        return proof(lambda level, index: found[level, index])

    @staticmethod
    def nodes(tx: Tx, workspace_id: str) -> Callable[[int, int], bytes]:
        """The stored hashes of a log, as the proofs read them."""
        return lambda level, index: log_rows.node(tx, workspace_id, level, index)

    def check_at_start(self, tx: Tx) -> dict[str, str]:
        """Compare every log with its newest checkpoint and its own head; what is wrong, by workspace.

        A damaged log is not appended to until somebody restored it.
        """
        self._damaged.clear()
        for workspace_id in log_rows.logs(tx):
            try:
                self.check_log(tx, workspace_id)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one log must not open it, nor close others
                self._damaged[workspace_id] = f"{type(error).__name__}: {error}"
        return dict(self._damaged)

    def check_log(self, tx: Tx, workspace_id: str) -> None:
        """LedgerError unless the stored tree is that of the log's head, and extends what was signed of it last."""
        head = log_rows.head(tx, workspace_id)
        root = merkle.Frontier.from_bytes(head.size, head.frontier).root()
        if head.size and self.prove(tx, workspace_id, lambda nodes: merkle.root(head.size, nodes)) != root:
            raise DamagedLog("the stored tree does not agree with the head of the log")
        last = checkpoint_rows.newest(tx, workspace_id)
        if last is not None and last.size > 0:
            self.open_newest(tx, workspace_id)
            self._check_extends(tx, workspace_id, last=last, size=head.size, root=root)

    # --- keys -------------------------------------------------------------------------------------

    def register_key(self, tx: Tx) -> None:
        """Make the current key known, with the time from which its signatures count."""
        signing_key_rows.add(
            tx,
            KeyRow(
                key_id=self.signer.key_id,
                name=self.signer.name,
                public=self.signer.public_hex,
                not_before=self._now(),
                retired_at=None,
            ),
        )

    @staticmethod
    def ring(tx: Tx) -> KeyRing:
        """Every key the installation ever signed with."""
        return KeyRing(
            KeyRecord(
                public=bytes.fromhex(row.public), name=row.name, not_before=row.not_before, retired_at=row.retired_at
            )
            for row in signing_key_rows.all_keys(tx)
        )


def _payloads(fields: ReceiptFields, workspace_id: str, receipt_id: str) -> tuple[Sequence[Payload], Mapping[str, str]]:
    """What is kept beside a receipt, and by kind the salted hashes of it that the receipt holds; "" for nothing."""
    kept: list[Payload] = []
    hashes = {"args": "", "output": ""}

    def keep(kind: str, body: str, salt: str) -> None:
        kept.append(
            Payload(workspace_id=workspace_id, receipt_id=receipt_id, kind=kind, salt=salt, body=body, erased_at=None)
        )

    for kind, value in (("args", fields.args), ("output", fields.output)):
        if value is not None:
            salt = secrets.token_bytes(16)
            keep(kind, canonical_payload(value).decode(), salt.hex())
            hashes[kind] = payload_hash(value, salt=salt)
    for kind, body in fields.attached.items():
        keep(kind, body, "")
    return kept, hashes
