"""The frame of an archive: manifest, index, keys, seal, checkpoint and scope, each checked against the others."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from domain.receipts import archive
from domain.receipts.canonical import canonical, parse_canonical
from domain.receipts.checkpoint import SignedCheckpoint, open_checkpoint
from domain.receipts.errors import BadKey, BadNote, NotCanonical
from domain.receipts.report import CheckFailed
from domain.receipts.signing import KeyRing
from domain.receipts.unpack import FIXED, KEY_FILE, MAX_SMALL, NUMBERED


@dataclass(slots=True, kw_only=True)
class Frame:
    """What of the frame was read. Each method raises CheckFailed for what does not hold.

    `digests` are the files that the index promises and that were not read yet.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)
    ring: KeyRing = field(default_factory=lambda: KeyRing([]))
    signed: SignedCheckpoint | None = None
    scope: dict[str, Any] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether the archive says that it is a whole log."""
        return self.scope.get("kind") == archive.WHOLE

    @property
    def head(self) -> SignedCheckpoint:
        """The checkpoint, once it was opened."""
        if self.signed is None:
            raise CheckFailed("structure", f"{archive.CHECKPOINT} is missing")
        return self.signed

    @staticmethod
    def check_place(path: str, previous: str) -> None:
        """Whether an archive has such a file, and has it behind the one before."""
        if not previous:
            if path != archive.MANIFEST:
                raise CheckFailed("structure", "the manifest must come first", path)
            return
        if previous != archive.MANIFEST and path <= previous:
            raise CheckFailed("structure", "files must be sorted and unique", path)
        if path not in FIXED and not KEY_FILE.fullmatch(path) and not NUMBERED.fullmatch(path):
            raise CheckFailed("structure", "no such file in an archive", path)

    def check_digest(self, path: str, data: bytes) -> None:
        """Whether a file is the one that the index names."""
        # pop: what is left at the end was promised by the index and is not there
        if self.digests.pop(path, b"") != hashlib.sha256(data).digest():
            raise CheckFailed("index", "the file is not the one in the index", path)

    def _take_manifest(self, data: bytes) -> None:
        """Read which files there are, and the hash of each."""
        try:
            manifest = parse_canonical(data)
            claimed = manifest.pop("manifest_hash")
            entries = manifest["entries"]
            paths = [entry["path"] for entry in entries]
            ordered = all(type(path) is str for path in paths) and paths == sorted(set(paths))
            digests = {entry["path"]: bytes.fromhex(entry["content_hash"].removeprefix("sha256:")) for entry in entries}
        except (NotCanonical, AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckFailed("manifest", f"malformed: {error}", archive.MANIFEST) from error
        if manifest.get("version") != archive.MANIFEST_VERSION or not ordered:
            raise CheckFailed("manifest", "unknown version, or entries not sorted and unique", archive.MANIFEST)
        if claimed != f"sha256:{hashlib.sha256(canonical(manifest)).hexdigest()}":
            raise CheckFailed("manifest", "manifest_hash is not that of the manifest", archive.MANIFEST)
        digests[archive.MANIFEST] = hashlib.sha256(data).digest()
        self.digests = digests

    def _take_index(self, data: bytes) -> None:
        """Check that the index lists what the manifest lists; what the seal must be of is kept."""
        entries = sorted(self.digests.items())
        try:
            pack_id = parse_canonical(data)["pack_id"]
        except (NotCanonical, KeyError, TypeError) as error:
            raise CheckFailed("index", f"malformed: {error}", archive.INDEX) from error
        listed = (archive.Entry(path, 0, digest) for path, digest in entries)
        if archive.index_bytes(listed, pack_id=str(pack_id)) != data:
            raise CheckFailed("index", "the index does not list exactly the files of the manifest", archive.INDEX)
        self.files[archive.INDEX] = hashlib.sha256(data).digest()
        self.files["seal root"] = bytes.fromhex(archive.seal_root(digest for _, digest in entries))
        self.files["seal count"] = str(len(entries)).encode()
        del self.digests[archive.MANIFEST]

    def file(self, path: str) -> bytes:
        """The content of a file that an archive must have."""
        try:
            return self.files[path]
        except KeyError:
            raise CheckFailed("structure", f"{path} is missing") from None

    def take(self, path: str, data: bytes) -> None:
        """Keep a small file that is neither proof nor receipt."""
        if path == archive.MANIFEST:
            self._take_manifest(data)
        elif path == archive.INDEX:
            self._take_index(data)
        elif path == archive.SEAL:
            self.files[path] = data
        else:
            self.check_digest(path, data)
            if len(data) > MAX_SMALL:
                raise CheckFailed("structure", "the file is too large", path)
            self.files[path] = data

    def open(self) -> None:
        """Check keys, seal and checkpoint, which all come before the first proof or receipt."""
        self._open_keys()
        self._open_seal()
        self._open_checkpoint()

    def _open_keys(self) -> None:
        raw = self.file(archive.KEYS)
        try:
            self.ring = KeyRing.from_json(parse_canonical(raw))
        except (NotCanonical, BadKey) as error:
            raise CheckFailed("keys", str(error), archive.KEYS) from error
        try:
            origin = self.file(archive.CHECKPOINT).split(b"\n", 1)[0].decode()
            expected = archive.key_files(origin, self.ring)
        except (UnicodeDecodeError, BadKey, ValueError) as error:
            raise CheckFailed("keys", str(error), archive.KEYS) from error
        found = {path: data for path, data in self.files.items() if path.startswith("keys/")}
        if found != expected:
            raise CheckFailed("keys", "the key files are not those of keys.json", archive.KEYS)

    def _open_seal(self) -> None:
        try:
            seal = parse_canonical(self.file(archive.SEAL))
            signer = seal["signer"]
            key = self.ring.key(signer["key_id"])
            shown = signer["public_key"] == key.raw.hex()
            signature = bytes.fromhex(seal["signature"])
            # one spelling only: hex has two cases, and fromhex skips blanks
            spelled = seal["signature"] == signature.hex()
            fits = shown and spelled and key.verify(signature, archive.seal_payload(seal))
            index_hash, root, count = seal["index_hash"], seal["merkle_root"], seal["entry_count"]
        except (NotCanonical, BadKey, AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckFailed("seal", f"malformed: {error}", archive.SEAL) from error
        if not fits or seal.get("version") != archive.SEAL_VERSION:
            raise CheckFailed("seal", "the signature of the seal does not fit", archive.SEAL)
        expected = (self.file(archive.INDEX).hex(), self.files["seal root"].hex(), int(self.files["seal count"]))
        if (index_hash, root, count) != expected:
            raise CheckFailed("seal", "the seal is of another index", archive.SEAL)

    def _open_checkpoint(self) -> None:
        keys = [record.public for record in self.ring]
        try:
            self.signed = open_checkpoint(self.file(archive.CHECKPOINT).decode(), keys=keys)
        except (BadNote, UnicodeDecodeError) as error:
            raise CheckFailed("checkpoint", str(error), archive.CHECKPOINT) from error

    def open_scope(self, *, has_proofs: bool) -> None:
        """Check what the archive says that it holds. `has_proofs`: proofs came before."""
        head = self.head.checkpoint
        try:
            scope = parse_canonical(self.file(archive.SCOPE))
            fits = (
                scope["format"] == archive.FORMAT
                and scope["origin"] == head.origin
                and scope["tree_size"] == head.size
                and isinstance(scope["kind"], str)
                and isinstance(scope["workspace_id"], str)
                and isinstance(scope["receipts"], int)
                and (scope["kind"] != archive.WHOLE or (scope["receipts"] == head.size and not has_proofs))
            )
        except (NotCanonical, KeyError, TypeError) as error:
            raise CheckFailed("scope", f"malformed: {error}", archive.SCOPE) from error
        if not fits:
            raise CheckFailed("scope", "the scope does not fit the checkpoint", archive.SCOPE)
        self.scope = scope
