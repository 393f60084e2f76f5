"""C2SP formats of the log: signed notes, checkpoints, inclusion proofs as text, and tiles."""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.receipts.errors import BadNote, BadProof
from domain.receipts.merkle import HASH_SIZE, GetNode
from domain.receipts.signing import PublicKey, Signer, note_key_id

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_NOTE = 64 * 1024
MAX_SIGNATURES = 64
MAX_SIZE = 2**63 - 1
PROOF_HEADER = "c2sp.org/tlog-proof@v1"
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_TILE_PATH = re.compile(r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?")
_SIGNATURE_LINE = re.compile("— ([^ +]+) ([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: its origin, its number of leaves, its root."""

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        """The text that is signed: origin, size and root, each with a newline."""
        return f"{check_origin(self.origin)}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"

    @classmethod
    def parse(cls, body: str) -> "Checkpoint":
        """The reverse of `body`; BadNote unless it is exactly that form (extension lines are refused)."""
        lines = body.split("\n")
        if len(lines) != 4 or lines[3]:
            raise BadNote("a checkpoint has three lines: origin, size, root")
        root = _hash_line(lines[2])
        return cls(check_origin(lines[0]), _number(lines[1]), root)


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line of a note: key name, 4-byte key id, signature."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A signed note, not yet verified."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint whose signature was verified; `signed_by` holds the public keys that did."""

    checkpoint: Checkpoint
    signed_by: tuple[bytes, ...]


def check_origin(origin: str) -> str:
    """`origin` itself; BadNote when it cannot name a log and its key (spaces, plus, control characters)."""
    if not origin or any(char.isspace() or char == "+" or ord(char) < 32 for char in origin):
        raise BadNote("the origin of a log is one word without spaces or plus")
    return origin


def sign_checkpoint(checkpoint: Checkpoint, *, signers: Sequence[Signer]) -> str:
    """The signed note of `checkpoint`: one signature line by each signer, under the origin as key name.

    During the overlap of a key rotation both keys sign; readers ignore the one they do not know.
    """
    if not signers:
        raise BadNote("a checkpoint needs a signer")
    body = checkpoint.body()
    lines = []
    for signer in signers:
        key_id = note_key_id(checkpoint.origin, signer.public)
        signature = base64.b64encode(key_id + signer.sign(body.encode())).decode("ascii")
        lines.append(f"— {checkpoint.origin} {signature}\n")
    return f"{body}\n{''.join(lines)}"


def parse_note(text: str) -> Note:
    """The parts of a signed note; BadNote when malformed."""
    if len(text) > MAX_NOTE or any(ord(char) < 32 and char != "\n" for char in text):
        raise BadNote("a note is text without control characters")
    body, separator, tail = text.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise BadNote("a note is a text, an empty line and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise BadNote("too many signatures")
    signatures = []
    for line in lines:
        match = _SIGNATURE_LINE.fullmatch(line)
        data = _base64(match[2]) if match else b""
        if match is None or len(data) < 5 or any(char.isspace() for char in match[1]):
            raise BadNote("malformed signature line")
        signatures.append(NoteSignature(match[1], data[:4], data[4:]))
    return Note(body + "\n", tuple(signatures))


def open_checkpoint(text: str, *, keys: Iterable[bytes], origin: str | None = None) -> SignedCheckpoint:
    """The checkpoint in the signed note `text`.

    BadNote when it is malformed, of another log than `origin`, when a signature by one of the
    public `keys` is wrong, or when none of them signed it. Unknown signatures are ignored.
    """
    note = parse_note(text)
    checkpoint = Checkpoint.parse(note.text)
    if origin is not None and checkpoint.origin != origin:
        raise BadNote("the checkpoint is of another log")
    known = {note_key_id(checkpoint.origin, public): public for public in keys}
    signed_by = []
    for line in note.signatures:
        public = known.get(line.key_id) if line.name == checkpoint.origin else None
        if public is None:
            continue
        if not PublicKey(public).verify(line.signature, note.text.encode()):
            raise BadNote("a signature of the checkpoint is wrong")
        signed_by.append(public)
    if not signed_by:
        raise BadNote("no known key signed the checkpoint")
    return SignedCheckpoint(checkpoint, tuple(signed_by))


def format_proof(index: int, path: Sequence[bytes], checkpoint: str) -> str:
    """The C2SP `.tlog-proof` text: leaf `index`, its audit path, and the signed checkpoint."""
    hashes = "".join(base64.b64encode(digest).decode("ascii") + "\n" for digest in path)
    return f"{PROOF_HEADER}\nindex {index}\n{hashes}\n{checkpoint}"


def parse_proof(text: str) -> tuple[int, list[bytes], str]:
    """Index, audit path and checkpoint text of a `.tlog-proof`; BadProof when malformed."""
    head, separator, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines[0] != PROOF_HEADER:
        raise BadProof("not a tlog-proof")
    if len(lines) > 1 and lines[1].startswith("extra "):
        del lines[1]
    if len(lines) < 2 or not lines[1].startswith("index ") or len(lines) > 66:
        raise BadProof("malformed tlog-proof")
    try:
        return _number(lines[1][6:]), [_hash_line(line) for line in lines[2:]], checkpoint
    except BadNote as error:
        raise BadProof(str(error)) from error


def tile_path(level: int, index: int, *, width: int = TILE_WIDTH) -> str:
    """`tile/0/x001/x234/067`, with `.p/W` appended for a partial tile of `width` hashes."""
    return f"tile/{level}/{_tile_index(index, width)}"


def entries_path(index: int, *, width: int = TILE_WIDTH) -> str:
    """`tile/entries/x001/x234/067[.p/W]`: the bundle of the leaves themselves."""
    return f"tile/entries/{_tile_index(index, width)}"


def _tile_index(index: int, width: int) -> str:
    parts = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        parts.insert(0, f"x{index % 1000:03d}")
    return "/".join(parts) + (f".p/{width}" if width < TILE_WIDTH else "")


def parse_tile_path(path: str) -> tuple[int | None, int, int]:
    """Level (None for entries), index and width of a path by `tile_path` or `entries_path`; BadProof otherwise."""
    match = _TILE_PATH.fullmatch(path)
    if match is None:
        raise BadProof("no such tile")
    level = None if match[1] == "entries" else int(match[1])
    index = int(match[2].replace("x", "").replace("/", ""))
    width = int(match[3]) if match[3] else TILE_WIDTH
    again = entries_path(index, width=width) if level is None else tile_path(level, index, width=width)
    # Writing it again refuses every other spelling, such as leading zeros.
    if again != path or not 0 < width <= TILE_WIDTH:
        raise BadProof("no such tile")
    return level, index, width


def tile_width(level: int, index: int, *, size: int) -> int:
    """How many hashes (0 to 256) tile `index` of `level` holds in a log of `size` leaves."""
    return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH))


def tile_bytes(level: int, index: int, *, width: int, get_node: GetNode) -> bytes:
    """The hashes of a tile: `width` nodes at tree level `8 * level`."""
    return b"".join(get_node(TILE_HEIGHT * level, index * TILE_WIDTH + at) for at in range(width))


def entries_bytes(leaves: Iterable[bytes]) -> bytes:
    """An entry bundle: each leaf behind its length as two bytes, big-endian."""
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def _number(text: str) -> int:
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise BadNote("not a plain decimal number")
    return int(text)


def _hash_line(line: str) -> bytes:
    digest = _base64(line)
    if len(digest) != HASH_SIZE:
        raise BadNote("not a base64 SHA-256 hash")
    return digest


def _base64(text: str) -> bytes:
    """Strict base64: writing it again must give the same text, so that no bit is without meaning."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote("malformed base64") from error
    if base64.b64encode(data).decode("ascii") != text:
        raise BadNote("malformed base64")
    return data
