"""Checks an archive from its bytes alone and says, by name, which check fails first and where."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from domain.receipts import archive
from domain.receipts.checkpoint import parse_proof
from domain.receipts.errors import BadKey, BadProof, BadReceipt, NotCanonical
from domain.receipts.frame import Frame
from domain.receipts.merkle import HASH_SIZE, Frontier, leaf_hash, verify_inclusion
from domain.receipts.outside import Outside
from domain.receipts.receipt import MAX_LEAF, Kind, Receipt, parse, verify_signature
from domain.receipts.report import CHECKS, Check, CheckFailed, Report
from domain.receipts.signing import PublicKey, note_key_id
from domain.receipts.unpack import NUMBERED, read_files


def verify_archive(
    file: BinaryIO,
    *,
    trusted: Iterable[bytes] = (),
    checkpoint: str | None = None,
    consistency: Sequence[bytes] = (),
) -> Report:
    """Verify the archive (tar or tar.gz) that `file` reads. Never raises for what the bytes say.

    `trusted` are public keys known from elsewhere: the checkpoint must be signed by one of them or
    by a key they handed over to. `checkpoint` is a signed checkpoint kept from elsewhere: the
    archive must be consistent with it, shown by `consistency` where the archive cannot show it.
    """
    pinned = frozenset(trusted)
    outside = Outside(note=checkpoint, trusted=pinned, consistency=consistency)
    verification = _Verification(trusted=pinned, believed=set(pinned), outside=outside)
    failure: CheckFailed | None = None
    try:
        verification.run(file)
    except CheckFailed as error:
        failure = error
    return verification.report(failure)


@dataclass(slots=True, kw_only=True)
class _Verification:
    """How far it has come. `believed` are the keys the trusted ones lead to, by their rotations."""

    trusted: frozenset[bytes]
    believed: set[bytes]
    outside: Outside

    frame: Frame = field(default_factory=Frame)
    proofs: dict[int, bytes] = field(default_factory=dict)
    sessions: dict[str, tuple[int, str]] = field(default_factory=dict)
    frontier: Frontier = field(default_factory=Frontier)
    current_key: str = ""
    receipts: int = 0
    gaps: int = 0
    notes: list[str] = field(default_factory=list)

    def run(self, file: BinaryIO) -> None:
        previous = ""
        try:
            for path, data in read_files(file):
                self.frame.check_place(path, previous)
                previous = path
                self._take(path, data)
        except BadProof as error:
            raise CheckFailed("structure", str(error), previous) from error
        self._finish()

    def _take(self, path: str, data: bytes) -> None:
        numbered = NUMBERED.fullmatch(path)
        if numbered is None:
            self.frame.take(path, data)
            return
        self._open()
        if numbered[2]:
            self.frame.check_digest(path, data)
            self._take_proof(path, int(numbered[2]), data)
        else:
            self._take_receipt(path, int(numbered[1]), data)

    def _open(self) -> None:
        """Before the first proof or receipt: keys, seal, checkpoint. Before the first receipt: the scope."""
        if self.frame.signed is None:
            self.frame.open()
            keys = [record.public for record in self.frame.ring]
            self.outside.open(origin=self.frame.head.checkpoint.origin, keys=keys)
        if archive.SCOPE in self.frame.files and not self.frame.scope:
            self.frame.open_scope(has_proofs=bool(self.proofs))

    def _take_proof(self, path: str, index: int, data: bytes) -> None:
        try:
            named, hashes, checkpoint = parse_proof(data.decode())
        except (BadProof, UnicodeDecodeError) as error:
            raise CheckFailed("inclusion", str(error), path) from error
        if named != index or checkpoint.encode() != self.frame.files[archive.CHECKPOINT]:
            raise CheckFailed("inclusion", "the proof is of another leaf or checkpoint", path)
        self.proofs[index] = b"".join(hashes)

    def _take_receipt(self, path: str, index: int, data: bytes) -> None:
        if not self.frame.scope:
            raise CheckFailed("structure", f"{archive.SCOPE} is missing")
        if len(data) > MAX_LEAF:
            raise CheckFailed("members", "the receipt is too long", path)
        try:
            receipt = parse(data)
        except NotCanonical as error:
            raise CheckFailed("canonical", str(error), path) from error
        except BadReceipt as error:
            raise CheckFailed("members", str(error), path) from error
        if receipt.metadata["workspace_id"] != self.frame.scope["workspace_id"]:
            raise CheckFailed("scope", "the receipt is of another workspace", path)
        self._check_key(receipt, path)
        self._check_chain(receipt, path)
        self.frame.check_digest(path, data)
        self._check_leaf(data, index, path)
        if receipt.kind == Kind.KEY_ROTATION:
            self._follow_rotation(receipt, path)
        self.receipts += 1

    def _check_key(self, receipt: Receipt, path: str) -> None:
        key_id = receipt.key_id
        if key_id not in self.frame.ring:
            raise CheckFailed("key", f"key {key_id} is not among the keys of the archive", path)
        key, record = self.frame.ring.key(key_id), self.frame.ring.record(key_id)
        try:
            verify_signature(receipt.body, key=key)
        except BadReceipt as error:
            raise CheckFailed("signature", str(error), path) from error
        if receipt.body["public_key_set"]["ed25519"] != record.public.hex():
            raise CheckFailed("key", "the receipt shows another public key than its key id names", path)
        if not record.covers(receipt.timestamp):
            raise CheckFailed("key", f"key {key_id} was not in use at {receipt.body['timestamp']}", path)
        if not self.frame.whole:
            return
        if not self.current_key:
            self.current_key = key_id
            if not self.trusted:
                self.believed.add(key.raw)
        if key_id != self.current_key:
            raise CheckFailed("key", f"key {key_id} signs though no receipt handed over to it", path)

    def _check_chain(self, receipt: Receipt, path: str) -> None:
        session, clock = receipt.session_id, receipt.lamport_clock
        last, last_hash = self.sessions.get(session, (0, ""))
        if clock == last + 1:
            if receipt.prev_hash != last_hash:
                raise CheckFailed("chain", "prev_hash is not the hash of the receipt before", path)
        elif self.frame.whole or clock <= last:
            raise CheckFailed("chain", f"clock {clock} does not follow {last}", path)
        else:
            self.gaps += 1
        self.sessions[session] = (clock, receipt.chain_hash)

    def _check_leaf(self, data: bytes, index: int, path: str) -> None:
        head = self.frame.head.checkpoint
        leaf = leaf_hash(data)
        if self.frame.whole:
            if index != self.frontier.size:
                raise CheckFailed("inclusion", f"leaf {self.frontier.size} of the log is missing", path)
            self.frontier, _ = self.frontier.append(leaf)
            self.outside.reach(self.frontier)
            return
        joined = self.proofs.pop(index, None)
        if joined is None:
            raise CheckFailed("inclusion", "no proof for this receipt", path)
        hashes = [joined[at : at + HASH_SIZE] for at in range(0, len(joined), HASH_SIZE)]
        try:
            verify_inclusion(leaf=leaf, index=index, size=head.size, path=hashes, root_hash=head.root)
        except BadProof as error:
            raise CheckFailed("inclusion", str(error), path) from error

    def _follow_rotation(self, receipt: Receipt, path: str) -> None:
        metadata = receipt.metadata
        try:
            public = bytes.fromhex(metadata["new_public_key"])
            PublicKey(public)
            fits = note_key_id(metadata["new_key_name"], public).hex() == metadata["new_key_id"]
        except (KeyError, TypeError, ValueError, AttributeError, BadKey) as error:
            raise CheckFailed("key", "malformed key rotation", path) from error
        if not fits:
            raise CheckFailed("key", "the rotation names a key by another key's id", path)
        self.current_key = metadata["new_key_id"]
        if self.frame.ring.record(receipt.key_id).public in self.believed:
            self.believed.add(public)

    def _finish(self) -> None:
        self._open()
        head = self.frame.head.checkpoint
        if not self.frame.scope:
            raise CheckFailed("structure", f"{archive.SCOPE} is missing")
        for path in (archive.GUIDE, archive.VERIFIER):
            self.frame.file(path)
        if self.frame.digests:
            raise CheckFailed("index", "the index lists a file that is missing", min(self.frame.digests))
        if self.receipts != self.frame.scope["receipts"]:
            raise CheckFailed("scope", "the number of receipts is not the one in the scope", archive.SCOPE)
        if self.proofs:
            raise CheckFailed("inclusion", f"a proof without its receipt: leaf {min(self.proofs)}")
        if self.frame.whole and (self.frontier.size != head.size or self.frontier.root() != head.root):
            raise CheckFailed("inclusion", "the receipts do not lead to the root of the checkpoint")
        if not self.trusted:
            self.notes.append("the keys are the archive's own claim: compare them with a published copy and pin one")
            if not self.believed:
                self.believed = set(self.frame.head.signed_by)
        if self.believed.isdisjoint(self.frame.head.signed_by):
            raise CheckFailed(
                "checkpoint", "it is signed neither by a trusted key nor by one it handed over to", archive.CHECKPOINT
            )
        if self.gaps:
            self.notes.append(f"a part of the log: {self.gaps} places where receipts in between are not included")
        self.outside.compare(head, believed=self.believed)

    def report(self, failure: CheckFailed | None) -> Report:
        """The report up to `failure`: per-receipt checks held for all receipts before it."""
        checks = []
        for name in CHECKS:
            if name == "outside" and self.outside.note is None:
                continue
            if failure is None:
                checks.append(Check(name, ok=True))
            elif name == failure.check:
                checks.append(Check(name, ok=False, detail=failure.detail, where=failure.where))
            else:
                checks.append(Check(name, ok=None, detail="not finished: another check failed"))
        head = self.frame.signed.checkpoint if self.frame.signed else None
        return Report(
            ok=failure is None,
            checks=tuple(checks),
            receipts=self.receipts,
            origin=head.origin if head else "",
            tree_size=head.size if head else 0,
            root=head.root.hex() if head else "",
            scope=str(self.frame.scope.get("kind", "")),
            keys=tuple(sorted(record.key_id for record in self.frame.ring)),
            pinned=bool(self.trusted),
            notes=tuple(self.notes),
        )
