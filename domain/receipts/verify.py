"""Checks an archive from its bytes alone and says, by name, which check fails first and where."""

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from domain.receipts import archive
from domain.receipts.canonical import canonical, parse_canonical
from domain.receipts.checkpoint import SignedCheckpoint, open_checkpoint, parse_proof
from domain.receipts.errors import BadKey, BadNote, BadProof, BadReceipt, LedgerError, NotCanonical
from domain.receipts.merkle import EMPTY_ROOT, HASH_SIZE, Frontier, leaf_hash, verify_consistency, verify_inclusion
from domain.receipts.receipt import MAX_LEAF, Kind, Receipt, parse, verify_signature
from domain.receipts.signing import KeyRing, PublicKey, note_key_id

MAX_SMALL = 1024 * 1024
MAX_PROOF = 64 * 1024
MAX_KEY_FILE = 2048

# In this order: a report names the first that fails.
CHECKS = (
    "structure",
    "manifest",
    "index",
    "keys",
    "seal",
    "scope",
    "canonical",
    "members",
    "signature",
    "key",
    "chain",
    "inclusion",
    "checkpoint",
    "outside",
)
_NUMBERED = re.compile(r"(?:receipts/([0-9]{10,19})\.json|log/proofs/([0-9]{10,19})\.tlog-proof)")
_PATH = re.compile(r"keys/[0-9a-f]{8}\.(?:vkey|pem)")
_FIXED = frozenset(
    {
        archive.MANIFEST,
        archive.INDEX,
        archive.SEAL,
        archive.GUIDE,
        archive.KEYS,
        archive.CHECKPOINT,
        archive.SCOPE,
        archive.VERIFIER,
    }
)


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, whether it held (None: not reached), what it found, in which file."""

    name: str
    ok: bool | None
    detail: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of a verification. `pinned` says whether the keys were the caller's or only the archive's claim."""

    ok: bool
    checks: tuple[Check, ...]
    receipts: int
    origin: str = ""
    tree_size: int = 0
    root: str = ""
    scope: str = ""
    keys: tuple[str, ...] = ()
    pinned: bool = False
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[str, ...]:
        """`check: what is wrong (file)` for each check that failed."""
        return tuple(
            f"{check.name}: {check.detail}" + (f" ({check.where})" if check.where else "")
            for check in self.checks
            if check.ok is False
        )

    def to_json(self) -> dict[str, Any]:
        """`{ok, receipts, origin, treeSize, root, scope, keys, pinned, checks: [...], errors, notes}`."""
        return {
            "ok": self.ok,
            "receipts": self.receipts,
            "origin": self.origin,
            "treeSize": self.tree_size,
            "root": self.root,
            "scope": self.scope,
            "keys": list(self.keys),
            "pinned": self.pinned,
            "checks": [
                {"name": check.name, "ok": check.ok, "detail": check.detail, "where": check.where}
                for check in self.checks
            ],
            "errors": list(self.errors),
            "notes": list(self.notes),
        }


class _FailedError(Exception):
    def __init__(self, check: str, detail: str, where: str = "") -> None:
        super().__init__(detail)
        self.check = check
        self.detail = detail
        self.where = where


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
    verification = _Verification(trusted=frozenset(trusted), outside=checkpoint, consistency=consistency)
    failure: _FailedError | None = None
    try:
        verification.run(file)
    except _FailedError as error:
        failure = error
    return verification.report(failure)


def read_files(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Path and content of each file of an archive, in its order; BadProof unless it has exactly our form."""
    start = file.read(2)
    packed = file.seek(0, 2)
    file.seek(0)
    stream: BinaryIO = gzip.GzipFile(fileobj=file, mode="rb") if start == b"\x1f\x8b" else file  # type: ignore[assignment]
    try:
        yield from _read_tar(stream, packed)
    except (OSError, EOFError, zlib.error) as error:
        raise BadProof(f"the archive cannot be unpacked: {error}") from error


def limit_of(path: str, packed: int) -> int:
    """The most bytes a file of an archive can have, where the archive takes `packed` bytes as it lies there.

    Manifest and index hold one hash of every file, which nothing makes shorter, and beside them lie the files
    themselves: together they are never twice as long as the archive. What claims to be is made to fill the memory.
    """
    if path in (archive.MANIFEST, archive.INDEX):
        return 2 * packed + MAX_SMALL
    if path.startswith(archive.RECEIPTS):
        return MAX_LEAF
    if path.startswith(archive.PROOFS):
        return MAX_PROOF
    return MAX_KEY_FILE if _PATH.fullmatch(path) else MAX_SMALL


def _read_tar(stream: BinaryIO, packed: int) -> Iterator[tuple[str, bytes]]:
    while True:
        header = stream.read(archive.BLOCK)
        if header == bytes(archive.BLOCK):
            break
        try:
            path = header[:100].rstrip(b"\0").decode("ascii")
            size = int(header[124:135], 8)
            # Each file of ours has exactly one possible header, so nothing can hide in it.
            fits = archive.tar_header(path, size) == header
        except (ValueError, LedgerError):
            fits = False
        if not fits:
            raise BadProof("the archive holds something else than plain files in the form of an export")
        if size > limit_of(path, packed):
            # said before it is read: it would be unpacked into memory
            raise BadProof(f"{path} says that it has {size} bytes: no such file of an export is that large")
        data = stream.read(size)
        padding = -size % archive.BLOCK
        if len(data) != size or stream.read(padding) != bytes(padding):
            raise BadProof(f"{path} is cut off")
        yield path, data
    if stream.read(archive.BLOCK) != bytes(archive.BLOCK) or stream.read(1):
        raise BadProof("there is something after the end of the archive")


@dataclass(slots=True, kw_only=True)
class _Verification:
    trusted: frozenset[bytes]
    outside: str | None
    consistency: Sequence[bytes]

    files: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)
    ring: KeyRing = field(default_factory=lambda: KeyRing([]))
    signed: SignedCheckpoint | None = None
    scope: dict[str, Any] = field(default_factory=dict)
    proofs: dict[int, bytes] = field(default_factory=dict)
    sessions: dict[str, tuple[int, str]] = field(default_factory=dict)
    frontier: Frontier = field(default_factory=Frontier)
    outside_signed: SignedCheckpoint | None = None
    outside_root: bytes | None = None
    current_key: str = ""
    chain_of_trust: set[bytes] = field(default_factory=set)
    receipts: int = 0
    gaps: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        return self.scope.get("kind") == archive.WHOLE

    @property
    def head(self) -> SignedCheckpoint:
        if self.signed is None:
            raise _FailedError("structure", f"{archive.CHECKPOINT} is missing")
        return self.signed

    def run(self, file: BinaryIO) -> None:
        previous = ""
        try:
            for path, data in read_files(file):
                self._check_place(path, previous)
                previous = path
                self._take(path, data)
        except BadProof as error:
            raise _FailedError("structure", str(error), previous) from error
        self._finish()

    # --- the frame: structure, manifest, index, keys, seal, scope --------------------------------

    def _check_place(self, path: str, previous: str) -> None:
        if not previous:
            if path != archive.MANIFEST:
                raise _FailedError("structure", "the manifest must come first", path)
            return
        if previous != archive.MANIFEST and path <= previous:
            raise _FailedError("structure", "files must be sorted and unique", path)
        if path not in _FIXED and not _PATH.fullmatch(path) and not _NUMBERED.fullmatch(path):
            raise _FailedError("structure", "no such file in an archive", path)

    def _take(self, path: str, data: bytes) -> None:
        numbered = _NUMBERED.fullmatch(path)
        if path == archive.MANIFEST:
            self._take_manifest(data)
        elif path == archive.INDEX:
            self._take_index(data)
        elif path == archive.SEAL:
            self.files[path] = data
        elif numbered is None:
            self._check_digest(path, data)
            if len(data) > MAX_SMALL:
                raise _FailedError("structure", "the file is too large", path)
            self.files[path] = data
        elif numbered[2]:
            self._open()
            self._check_digest(path, data)
            self._take_proof(path, int(numbered[2]), data)
        else:
            self._open()
            self._take_receipt(path, int(numbered[1]), data)

    def _check_digest(self, path: str, data: bytes) -> None:
        # pop: what is left at the end was promised by the index and is not there
        if self.digests.pop(path, b"") != hashlib.sha256(data).digest():
            raise _FailedError("index", "the file is not the one in the index", path)

    def _take_manifest(self, data: bytes) -> None:
        try:
            manifest = parse_canonical(data)
            claimed = manifest.pop("manifest_hash")
            entries = manifest["entries"]
            paths = [entry["path"] for entry in entries]
            ordered = all(type(path) is str for path in paths) and paths == sorted(set(paths))
            digests = {entry["path"]: bytes.fromhex(entry["content_hash"].removeprefix("sha256:")) for entry in entries}
        except (NotCanonical, AttributeError, KeyError, TypeError, ValueError) as error:
            raise _FailedError("manifest", f"malformed: {error}", archive.MANIFEST) from error
        if manifest.get("version") != archive.MANIFEST_VERSION or not ordered:
            raise _FailedError("manifest", "unknown version, or entries not sorted and unique", archive.MANIFEST)
        if claimed != f"sha256:{hashlib.sha256(canonical(manifest)).hexdigest()}":
            raise _FailedError("manifest", "manifest_hash is not that of the manifest", archive.MANIFEST)
        digests[archive.MANIFEST] = hashlib.sha256(data).digest()
        self.digests = digests

    def _take_index(self, data: bytes) -> None:
        entries = sorted(self.digests.items())
        try:
            pack_id = parse_canonical(data)["pack_id"]
        except (NotCanonical, KeyError, TypeError) as error:
            raise _FailedError("index", f"malformed: {error}", archive.INDEX) from error
        listed = (archive.Entry(path, 0, digest) for path, digest in entries)
        if archive.index_bytes(listed, pack_id=str(pack_id)) != data:
            raise _FailedError("index", "the index does not list exactly the files of the manifest", archive.INDEX)
        self.files[archive.INDEX] = hashlib.sha256(data).digest()
        self.files["seal root"] = bytes.fromhex(archive.seal_root(digest for _, digest in entries))
        self.files["seal count"] = str(len(entries)).encode()
        del self.digests[archive.MANIFEST]

    def _open(self) -> None:
        """Before the first proof or receipt: keys, seal, checkpoint. Before the first receipt: the scope."""
        if self.signed is None:
            self._open_keys()
            self._open_seal()
            self._open_checkpoint()
        if archive.SCOPE in self.files and not self.scope:
            self._open_scope()

    def _file(self, path: str) -> bytes:
        try:
            return self.files[path]
        except KeyError:
            raise _FailedError("structure", f"{path} is missing") from None

    def _open_keys(self) -> None:
        raw = self._file(archive.KEYS)
        try:
            self.ring = KeyRing.from_json(parse_canonical(raw))
        except (NotCanonical, BadKey) as error:
            raise _FailedError("keys", str(error), archive.KEYS) from error
        try:
            origin = self._file(archive.CHECKPOINT).split(b"\n", 1)[0].decode()
            expected = archive.key_files(origin, self.ring)
        except (UnicodeDecodeError, BadKey, ValueError) as error:
            raise _FailedError("keys", str(error), archive.KEYS) from error
        found = {path: data for path, data in self.files.items() if path.startswith("keys/")}
        if found != expected:
            raise _FailedError("keys", "the key files are not those of keys.json", archive.KEYS)

    def _open_seal(self) -> None:
        try:
            seal = parse_canonical(self._file(archive.SEAL))
            signer = seal["signer"]
            key = self.ring.key(signer["key_id"])
            shown = signer["public_key"] == key.raw.hex()
            signature = bytes.fromhex(seal["signature"])
            # one spelling only: hex has two cases, and fromhex skips blanks
            spelled = seal["signature"] == signature.hex()
            fits = shown and spelled and key.verify(signature, archive.seal_payload(seal))
            index_hash, root, count = seal["index_hash"], seal["merkle_root"], seal["entry_count"]
        except (NotCanonical, BadKey, AttributeError, KeyError, TypeError, ValueError) as error:
            raise _FailedError("seal", f"malformed: {error}", archive.SEAL) from error
        if not fits or seal.get("version") != archive.SEAL_VERSION:
            raise _FailedError("seal", "the signature of the seal does not fit", archive.SEAL)
        expected = (self._file(archive.INDEX).hex(), self.files["seal root"].hex(), int(self.files["seal count"]))
        if (index_hash, root, count) != expected:
            raise _FailedError("seal", "the seal is of another index", archive.SEAL)

    def _open_checkpoint(self) -> None:
        keys = [record.public for record in self.ring]
        try:
            self.signed = open_checkpoint(self._file(archive.CHECKPOINT).decode(), keys=keys)
        except (BadNote, UnicodeDecodeError) as error:
            raise _FailedError("checkpoint", str(error), archive.CHECKPOINT) from error
        self.chain_of_trust = set(self.trusted)
        if self.outside is not None:
            try:
                self.outside_signed = open_checkpoint(
                    self.outside, keys={*keys, *self.trusted}, origin=self.signed.checkpoint.origin
                )
            except BadNote as error:
                raise _FailedError("outside", str(error)) from error
            if self.outside_signed.checkpoint.size == 0:
                self.outside_root = EMPTY_ROOT

    def _open_scope(self) -> None:
        head = self.head.checkpoint
        try:
            scope = parse_canonical(self._file(archive.SCOPE))
            fits = (
                scope["format"] == archive.FORMAT
                and scope["origin"] == head.origin
                and scope["tree_size"] == head.size
                and isinstance(scope["kind"], str)
                and isinstance(scope["workspace_id"], str)
                and isinstance(scope["receipts"], int)
                and (scope["kind"] != archive.WHOLE or (scope["receipts"] == head.size and not self.proofs))
            )
        except (NotCanonical, KeyError, TypeError) as error:
            raise _FailedError("scope", f"malformed: {error}", archive.SCOPE) from error
        if not fits:
            raise _FailedError("scope", "the scope does not fit the checkpoint", archive.SCOPE)
        self.scope = scope

    # --- the content: proofs and receipts --------------------------------------------------------

    def _take_proof(self, path: str, index: int, data: bytes) -> None:
        try:
            named, hashes, checkpoint = parse_proof(data.decode())
        except (BadProof, UnicodeDecodeError) as error:
            raise _FailedError("inclusion", str(error), path) from error
        if named != index or checkpoint.encode() != self.files[archive.CHECKPOINT]:
            raise _FailedError("inclusion", "the proof is of another leaf or checkpoint", path)
        self.proofs[index] = b"".join(hashes)

    def _take_receipt(self, path: str, index: int, data: bytes) -> None:
        if not self.scope:
            raise _FailedError("structure", f"{archive.SCOPE} is missing")
        if len(data) > MAX_LEAF:
            raise _FailedError("members", "the receipt is too long", path)
        try:
            receipt = parse(data)
        except NotCanonical as error:
            raise _FailedError("canonical", str(error), path) from error
        except BadReceipt as error:
            raise _FailedError("members", str(error), path) from error
        if receipt.metadata["workspace_id"] != self.scope["workspace_id"]:
            raise _FailedError("scope", "the receipt is of another workspace", path)
        self._check_key(receipt, path)
        self._check_chain(receipt, path)
        self._check_digest(path, data)
        self._check_leaf(data, index, path)
        if receipt.kind == Kind.KEY_ROTATION:
            self._follow_rotation(receipt, path)
        self.receipts += 1

    def _check_key(self, receipt: Receipt, path: str) -> None:
        key_id = receipt.key_id
        if key_id not in self.ring:
            raise _FailedError("key", f"key {key_id} is not among the keys of the archive", path)
        key, record = self.ring.key(key_id), self.ring.record(key_id)
        try:
            verify_signature(receipt.body, key=key)
        except BadReceipt as error:
            raise _FailedError("signature", str(error), path) from error
        if receipt.body["public_key_set"]["ed25519"] != record.public.hex():
            raise _FailedError("key", "the receipt shows another public key than its key id names", path)
        if not record.covers(receipt.timestamp):
            raise _FailedError("key", f"key {key_id} was not in use at {receipt.body['timestamp']}", path)
        if not self.whole:
            return
        if not self.current_key:
            self.current_key = key_id
            if not self.trusted:
                self.chain_of_trust.add(key.raw)
        if key_id != self.current_key:
            raise _FailedError("key", f"key {key_id} signs though no receipt handed over to it", path)

    def _check_chain(self, receipt: Receipt, path: str) -> None:
        session, clock = receipt.session_id, receipt.lamport_clock
        last, last_hash = self.sessions.get(session, (0, ""))
        if clock == last + 1:
            if receipt.prev_hash != last_hash:
                raise _FailedError("chain", "prev_hash is not the hash of the receipt before", path)
        elif self.whole or clock <= last:
            raise _FailedError("chain", f"clock {clock} does not follow {last}", path)
        else:
            self.gaps += 1
        self.sessions[session] = (clock, receipt.chain_hash)

    def _check_leaf(self, data: bytes, index: int, path: str) -> None:
        head = self.head.checkpoint
        leaf = leaf_hash(data)
        if self.whole:
            if index != self.frontier.size:
                raise _FailedError("inclusion", f"leaf {self.frontier.size} of the log is missing", path)
            self.frontier, _ = self.frontier.append(leaf)
            outside = self.outside_signed
            if outside is not None and outside.checkpoint.size == self.frontier.size:
                self.outside_root = self.frontier.root()
            return
        joined = self.proofs.pop(index, None)
        if joined is None:
            raise _FailedError("inclusion", "no proof for this receipt", path)
        hashes = [joined[at : at + HASH_SIZE] for at in range(0, len(joined), HASH_SIZE)]
        try:
            verify_inclusion(leaf=leaf, index=index, size=head.size, path=hashes, root_hash=head.root)
        except BadProof as error:
            raise _FailedError("inclusion", str(error), path) from error

    def _follow_rotation(self, receipt: Receipt, path: str) -> None:
        metadata = receipt.metadata
        try:
            public = bytes.fromhex(metadata["new_public_key"])
            PublicKey(public)
            fits = note_key_id(metadata["new_key_name"], public).hex() == metadata["new_key_id"]
        except (KeyError, TypeError, ValueError, AttributeError, BadKey) as error:
            raise _FailedError("key", "malformed key rotation", path) from error
        if not fits:
            raise _FailedError("key", "the rotation names a key by another key's id", path)
        self.current_key = metadata["new_key_id"]
        if self.ring.record(receipt.key_id).public in self.chain_of_trust:
            self.chain_of_trust.add(public)

    # --- the end: completeness, root, trust, outside ---------------------------------------------

    def _finish(self) -> None:
        self._open()
        head = self.head.checkpoint
        if not self.scope:
            raise _FailedError("structure", f"{archive.SCOPE} is missing")
        for path in (archive.GUIDE, archive.VERIFIER):
            self._file(path)
        if self.digests:
            raise _FailedError("index", "the index lists a file that is missing", min(self.digests))
        if self.receipts != self.scope["receipts"]:
            raise _FailedError("scope", "the number of receipts is not the one in the scope", archive.SCOPE)
        if self.proofs:
            raise _FailedError("inclusion", f"a proof without its receipt: leaf {min(self.proofs)}")
        if self.whole and (self.frontier.size != head.size or self.frontier.root() != head.root):
            raise _FailedError("inclusion", "the receipts do not lead to the root of the checkpoint")
        if not self.trusted:
            self.notes.append("the keys are the archive's own claim: compare them with a published copy and pin one")
            if not self.chain_of_trust:
                self.chain_of_trust = set(self.head.signed_by)
        if self.chain_of_trust.isdisjoint(self.head.signed_by):
            raise _FailedError(
                "checkpoint", "it is signed neither by a trusted key nor by one it handed over to", archive.CHECKPOINT
            )
        if self.gaps:
            self.notes.append(f"a part of the log: {self.gaps} places where receipts in between are not included")
        self._compare_outside()

    def _compare_outside(self) -> None:
        if self.outside_signed is None:
            return
        head, other = self.head.checkpoint, self.outside_signed.checkpoint
        if self.trusted and self.chain_of_trust.isdisjoint(self.outside_signed.signed_by):
            raise _FailedError("outside", "the other checkpoint is not signed by a trusted key")
        if other.size == head.size:
            same = other.root == head.root
        elif self.outside_root is not None:
            same = other.root == self.outside_root
        else:
            old, new = sorted((head, other), key=lambda checkpoint: checkpoint.size)
            if not self.consistency:
                raise _FailedError(
                    "outside", f"a consistency proof from {old.size} to {new.size} is needed to compare the checkpoints"
                )
            try:
                verify_consistency(
                    old_size=old.size,
                    old_root=old.root,
                    new_size=new.size,
                    new_root=new.root,
                    path=self.consistency,
                )
            except BadProof as error:
                raise _FailedError("outside", str(error)) from error
            same = True
        if not same:
            raise _FailedError("outside", "the log was rewritten: it does not extend the other checkpoint")

    def report(self, failure: _FailedError | None) -> Report:
        """The report up to `failure`: per-receipt checks held for all receipts before it."""
        checks = []
        for name in CHECKS:
            if name == "outside" and self.outside is None:
                continue
            if failure is None:
                checks.append(Check(name, ok=True))
            elif name == failure.check:
                checks.append(Check(name, ok=False, detail=failure.detail, where=failure.where))
            else:
                checks.append(Check(name, ok=None, detail="not finished: another check failed"))
        head = self.signed.checkpoint if self.signed else None
        return Report(
            ok=failure is None,
            checks=tuple(checks),
            receipts=self.receipts,
            origin=head.origin if head else "",
            tree_size=head.size if head else 0,
            root=head.root.hex() if head else "",
            scope=str(self.scope.get("kind", "")),
            keys=tuple(sorted(record.key_id for record in self.ring)),
            pinned=bool(self.trusted),
            notes=tuple(self.notes),
        )
