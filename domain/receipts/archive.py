"""The archive a stranger can verify: receipts, checkpoint, keys and proofs as one deterministic tar.gz.

Layout, in this order: `manifest.json` (evidence-pack-v1), `00_INDEX.json` and
`07_ATTESTATIONS/evidence_pack.sig` (index of all files and its seal), `VERIFY.md`, `keys/`,
`log/checkpoint`, `log/proofs/` (only when the archive is a part of the log), `log/scope.json`,
`receipts/`, `verify.py`. The manifest stands first though it hashes what follows, so the receipts
are compressed while they stream past, and the gzip members are put together at the end.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any, BinaryIO

from domain.receipts.canonical import canonical
from domain.receipts.checkpoint import SignedCheckpoint, format_proof, open_checkpoint
from domain.receipts.errors import BadProof, LedgerError
from domain.receipts.merkle import Frontier, leaf_hash, verify_inclusion
from domain.receipts.receipt import parse
from domain.receipts.signing import KeyRing, Signer, public_did, public_pem, rfc3339, vkey

MANIFEST = "manifest.json"
INDEX = "00_INDEX.json"
SEAL = "07_ATTESTATIONS/evidence_pack.sig"
CHECKPOINT = "log/checkpoint"
SCOPE = "log/scope.json"
KEYS = "keys/keys.json"
GUIDE = "VERIFY.md"
VERIFIER = "verify.py"
PROOFS = "log/proofs/"
RECEIPTS = "receipts/"

FORMAT = "pilot-archive/1"
MANIFEST_VERSION = "1.0.0"
SEAL_VERSION = "evidence-pack-seal/v1"
WHOLE = "workspace"
BLOCK = 512
_NO_TIME = "0001-01-01T00:00:00Z"

ProofOf = Callable[[int], Sequence[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What was written: number of receipts, bytes of the archive, hash of its index."""

    receipts: int
    size: int
    index_hash: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the archive: path, bytes, SHA-256."""

    path: str
    size: int
    digest: bytes


class _Section:
    """Files of the tar, compressed as they come into one gzip member."""

    def __init__(self) -> None:
        self._gzip = zlib.compressobj(6, zlib.DEFLATED, 31)
        self._parts: list[bytes] = []
        self.entries: list[Entry] = []

    def add(self, path: str, data: bytes) -> None:
        self.entries.append(Entry(path, len(data), hashlib.sha256(data).digest()))
        self.raw(tar_header(path, len(data)) + data + bytes(-len(data) % BLOCK))

    def raw(self, data: bytes) -> None:
        if part := self._gzip.compress(data):
            self._parts.append(part)

    def write(self, out: BinaryIO) -> int:
        self._parts.append(self._gzip.flush())
        out.writelines(self._parts)
        return sum(len(part) for part in self._parts)


def tar_header(path: str, size: int) -> bytes:
    """The one ustar header for a regular file of ours: mode 0644, no owner, no time."""
    name = path.encode("ascii")
    if len(name) > 99 or size >= 8**11:
        raise LedgerError("a file of the archive has too long a name or content")
    head = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"00000000000\0"
    tail = b"0" + bytes(100) + b"ustar\00000" + bytes(64) + b"0000000\0" * 2 + bytes(167)
    checksum = sum(head) + sum(tail) + 8 * 32
    return head + b"%06o\0 " % checksum + tail


def receipt_path(index: int) -> str:
    """`receipts/0000000012.json`: the leaf with this index in the log."""
    return f"{RECEIPTS}{index:010d}.json"


def proof_path(index: int) -> str:
    """`log/proofs/0000000012.tlog-proof`."""
    return f"{PROOFS}{index:010d}.tlog-proof"


def write_archive(
    out: BinaryIO,
    receipts: Iterable[tuple[int, bytes]],
    *,
    checkpoint: str,
    keys: KeyRing,
    signer: Signer,
    workspace_id: str,
    pack_id: str,
    created_at: datetime,
    scope: str = WHOLE,
    subject: str = "",
    proof: ProofOf | None = None,
) -> Summary:
    """Write an archive of `receipts`, pairs of index in the log and leaf bytes in ascending order, to `out`.

    Without `proof` the receipts must be the whole log of `checkpoint` (scope "workspace"). With it
    they may be any part ("range", "task", ...; `subject` says which), and `proof(index)` gives the
    audit path in the tree of the checkpoint. `keys` are all keys the log was ever signed with.
    Raises LedgerError when the receipts are not those of the checkpoint: a damaged log is not exported.
    """
    if (proof is None) != (scope == WHOLE):
        raise LedgerError("only an archive of the whole log goes without proofs")
    signed = open_checkpoint(checkpoint, keys=[record.public for record in keys])
    body, proofs = _Section(), _Section()
    policy_hash = _add_receipts(body, proofs, receipts, signed=signed, checkpoint=checkpoint, proof=proof)
    early, late, last = _Section(), _Section(), _Section()
    origin = signed.checkpoint.origin
    early.add(GUIDE, _guide(signed, keys).encode())
    for path, data in sorted(_key_files(origin, keys)):
        early.add(path, data)
    early.add(CHECKPOINT, checkpoint.encode())
    late.add(
        SCOPE,
        canonical(
            {
                "format": FORMAT,
                "kind": scope,
                "subject": subject,
                "workspace_id": workspace_id,
                "origin": origin,
                "tree_size": signed.checkpoint.size,
                "receipts": len(body.entries),
            }
        ),
    )
    last.add(VERIFIER, standalone_source())
    last.raw(bytes(2 * BLOCK))

    files = [entry for section in (early, proofs, late, body, last) for entry in section.entries]
    manifest = _manifest(
        files,
        fields={
            "actor_did": public_did(signer.public),
            "created_at": rfc3339(created_at),
            "intent_id": f"export:{scope}:{subject or workspace_id}",
            "pack_id": pack_id,
            "policy_hash": f"sha256:{policy_hash or hashlib.sha256().hexdigest()}",
            "version": MANIFEST_VERSION,
        },
    )
    first = _Section()
    first.add(MANIFEST, manifest)
    indexed = sorted([*first.entries, *files], key=lambda entry: entry.path)
    index = index_bytes(indexed, pack_id=pack_id)
    first.add(INDEX, index)
    first.add(SEAL, _seal(index, indexed, signer=signer, pack_id=pack_id, created_at=created_at))
    size = sum(section.write(out) for section in (first, early, proofs, late, body, last))
    return Summary(receipts=len(body.entries), size=size, index_hash=hashlib.sha256(index).hexdigest())


def _add_receipts(
    body: _Section,
    proofs: _Section,
    receipts: Iterable[tuple[int, bytes]],
    *,
    signed: SignedCheckpoint,
    checkpoint: str,
    proof: ProofOf | None,
) -> str:
    """Stream the receipts into `body` and their proofs into `proofs`; the last policy hash they name."""
    head = signed.checkpoint
    frontier = Frontier()
    previous = -1
    leaf = b""
    for index, leaf in receipts:
        if not previous < index < head.size:
            raise LedgerError("receipts must come in ascending order and lie within the checkpoint")
        previous = index
        body.add(receipt_path(index), leaf)
        if proof is None:
            frontier, _ = frontier.append(leaf_hash(leaf))
            continue
        path = proof(index)
        verify_inclusion(leaf=leaf_hash(leaf), index=index, size=head.size, path=path, root_hash=head.root)
        proofs.add(proof_path(index), format_proof(index, path, checkpoint).encode())
    if proof is None and (frontier.size != head.size or frontier.root() != head.root):
        raise BadProof("the receipts are not the log that the checkpoint was signed for")
    return str(parse(leaf).body["policy_hash"]) if leaf else ""


def _key_files(origin: str, keys: KeyRing) -> list[tuple[str, bytes]]:
    files = [(KEYS, canonical(keys.to_json()))]
    for record in keys:
        files.append((f"keys/{record.key_id}.vkey", (vkey(origin, record.public) + "\n").encode()))
        files.append((f"keys/{record.key_id}.pem", public_pem(record.public).encode()))
    return files


def key_files(origin: str, keys: KeyRing) -> dict[str, bytes]:
    """The files under `keys/` for these keys, as a verifier expects them."""
    return dict(_key_files(origin, keys))


def _manifest(files: list[Entry], *, fields: dict[str, str]) -> bytes:
    """The canonical manifest, put together as text: a hundred thousand dicts would cost too much memory."""
    entries = b",".join(
        b'{"content_hash":"sha256:%b","content_type":"%b","path":"%b","size":%d}'
        % (entry.digest.hex().encode(), _content_type(entry.path), entry.path.encode(), entry.size)
        for entry in sorted(files, key=lambda entry: entry.path)
    )
    before = canonical({name: fields[name] for name in ("actor_did", "created_at")})[:-1]
    before += b',"entries":[' + entries + b"]," + canonical({"intent_id": fields["intent_id"]})[1:-1] + b","
    after = canonical({name: fields[name] for name in ("pack_id", "policy_hash", "version")})[1:]
    digest = hashlib.sha256(before + after).hexdigest()
    return before + b'"manifest_hash":"sha256:%b",' % digest.encode() + after


def _content_type(path: str) -> bytes:
    if path.endswith(".json"):
        return b"application/json"
    return b"text/x-python" if path.endswith(".py") else b"text/plain"


def index_bytes(entries: Iterable[Entry], *, pack_id: str) -> bytes:
    """The canonical `00_INDEX.json` over files sorted by path."""
    lines = b",".join(
        b'{"path":"%b","sha256":"sha256:%b"}' % (entry.path.encode(), entry.digest.hex().encode()) for entry in entries
    )
    return b'{"entries":[' + lines + b"]," + canonical({"pack_id": pack_id, "version": MANIFEST_VERSION})[1:]


def seal_root(digests: Iterable[bytes]) -> str:
    """The Merkle root of a seal: as RFC 6962, except that an odd node is paired with itself."""
    level = [leaf_hash(digest) for digest in digests]
    while len(level) > 1:
        if len(level) % 2:
            level.append(level[-1])
        level = [hashlib.sha256(b"\x01" + level[at] + level[at + 1]).digest() for at in range(0, len(level), 2)]
    return (level[0] if level else hashlib.sha256().digest()).hex()


def _seal(index: bytes, entries: list[Entry], *, signer: Signer, pack_id: str, created_at: datetime) -> bytes:
    """The seal in HELM's shape, profile "dev-local": self-signed, no outside anchor and no locked storage."""
    moment = rfc3339(created_at)
    payload: dict[str, Any] = {
        "version": SEAL_VERSION,
        "pack_id": pack_id,
        "index_hash": hashlib.sha256(index).hexdigest(),
        "merkle_root": seal_root(entry.digest for entry in entries),
        "entry_count": len(entries),
        "profile": "dev-local",
        "signer": {"type": "file-dev", "key_id": signer.key_id, "algorithm": "ed25519"},
        "anchor": {
            "type": "local-dev",
            "uri": "local-dev://evidence-pack",
            "status": "development-only",
            "time": moment,
        },
        # Go writes the empty time here even though its tag says to leave it out, so it is signed too.
        "storage": {
            "type": "local-dev",
            "uri": "local-dev://evidence-pack",
            "status": "development-only",
            "retain_until": _NO_TIME,
        },
        "signed_at": moment,
    }
    signature = signer.sign(canonical(payload)).hex()
    return canonical(
        payload | {"signature": signature, "signer": payload["signer"] | {"public_key": signer.public_hex}}
    )


def seal_payload(seal: dict[str, Any]) -> bytes:
    """The bytes the signature of a seal covers: all but the signature and the shown public key."""
    payload = {name: value for name, value in seal.items() if name != "signature"}
    payload["signer"] = {name: value for name, value in seal["signer"].items() if name != "public_key"}
    return canonical(payload)


def standalone_source() -> bytes:
    """The archive's own verifier: standard library only."""
    return resources.files("domain.receipts").joinpath("standalone.py").read_bytes()


def _guide(signed: SignedCheckpoint, keys: KeyRing) -> str:
    """The text of VERIFY.md."""
    head = signed.checkpoint
    name = next(record.key_id for record in keys if record.public == signed.signed_by[0])
    listed = "\n".join(f"- `{record.key_id}`: `{record.public.hex()}`" for record in keys)
    return _GUIDE.format(origin=head.origin, size=head.size, root=head.root.hex(), key=name, keys=listed)


_GUIDE = """# How to verify this archive

It holds receipts of the log `{origin}`, which had {size} leaves and the root
`{root}` when its checkpoint was signed.

## 1. All at once

With Python 3.8 or later and nothing else:

    python3 verify.py ARCHIVE.tar.gz

or, in the unpacked folder, `python3 verify.py`. It answers 0 when every check holds, 1 when one
fails, 2 when it cannot read the archive. A verifier that came with the data can be forged with the
data: take `verify.py` from an installation or a source you trust. It is the same file in every archive
of one version.

## 2. Whose key?

The archive shows these keys (Ed25519):

{keys}

They are a claim until you compare them with what the owner published elsewhere, or with
`/.well-known/pilot-keys.json` of the installation. Then pin the key:

    python3 verify.py ARCHIVE.tar.gz --key HEX

## 3. Was history rewritten?

Who holds the key could sign another history. If you kept a checkpoint of this log from
earlier, let the verifier compare: the archive must extend it.

    python3 verify.py ARCHIVE.tar.gz --checkpoint FILE

## 4. The checkpoint with openssl

```sh
head -n 3 log/checkpoint > checkpoint.body
grep '^— ' log/checkpoint | head -n 1 | cut -d ' ' -f 3 | base64 -d | tail -c 64 > checkpoint.sig
openssl pkeyutl -verify -pubin -inkey keys/{key}.pem -rawin -in checkpoint.body -sigfile checkpoint.sig
```

## 5. What is signed

- Each file in `receipts/` is canonical JSON (RFC 8785). Its `signature` covers the thirteen
  members of receipt.v5; `prev_hash` chains it to its predecessor. The format is compatible with HELM receipts.
- The leaf of a receipt is SHA-256(0x00 || the bytes of the file); the tree is that of RFC 6962.
  So the checkpoint covers every byte, also those the receipt's own signature leaves out.
- `log/proofs/` exists when the archive is a part of the log: one C2SP tlog-proof per receipt.
- `00_INDEX.json` holds the SHA-256 of every file and is sealed by `07_ATTESTATIONS/evidence_pack.sig`.
- A receipt of the kind `key_rotation`, signed by the old key, names the new one.
"""
