"""Ed25519 keys of the ledger: seeds, key ids, public forms, and the ring of known keys."""

import base64
import binascii
import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.receipts.errors import BadKey

ED25519_NOTE = b"\x01"
KEY_NAME = "pilot"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_HEX_SEED = re.compile(r"[0-9a-fA-F]{64}")
_BASE64_SEED = re.compile(r"[A-Za-z0-9+/_-]{43}=?")


def note_key_id(name: str, public: bytes) -> bytes:
    """The four bytes by which C2SP signed notes call the key `public` under `name`."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519_NOTE + public).digest()[:4]


def parse_seed(text: str, *, strict: bool = False) -> bytes:
    """The 32 bytes written in `text` as hex or base64; BadKey for anything else.

    `strict` also refuses what looks made up instead of random: few different bytes, counting
    sequences, and seeds that are printable text.
    """
    text = text.strip()
    if _HEX_SEED.fullmatch(text):
        seed = bytes.fromhex(text)
    elif _BASE64_SEED.fullmatch(text):
        try:
            seed = base64.b64decode(text.rstrip("=").replace("-", "+").replace("_", "/") + "=", validate=True)
        except binascii.Error as error:
            raise BadKey("the signing key is neither 64 hex digits nor base64 of 32 bytes") from error
    else:
        raise BadKey("the signing key must be 32 bytes as 64 hex digits or base64; a passphrase is none")
    if strict:
        _refuse_weak(seed)
    return seed


def _refuse_weak(seed: bytes) -> None:
    steps = {(right - left) % 256 for left, right in itertools.pairwise(seed)}
    if len(set(seed)) < 12 or len(steps) < 4:
        raise BadKey("the signing key is a development default, not a random one")
    if all(32 <= byte < 127 for byte in seed):
        raise BadKey("the signing key is text, not random bytes")


def public_pem(public: bytes) -> str:
    """The SubjectPublicKeyInfo PEM that openssl reads."""
    return _load(public).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def public_did(public: bytes) -> str:
    """`did:key:z6Mk...` of an Ed25519 public key."""
    number = int.from_bytes(b"\xed\x01" + public, "big")
    digits = ""
    while number:
        number, rest = divmod(number, 58)
        digits = _BASE58[rest] + digits
    return f"did:key:z{digits}"


def vkey(name: str, public: bytes) -> str:
    """The verifier key `name+hash+key` of signed notes."""
    encoded = base64.b64encode(ED25519_NOTE + public).decode("ascii")
    return f"{name}+{note_key_id(name, public).hex()}+{encoded}"


def parse_vkey(text: str) -> tuple[str, bytes]:
    """Name and public key of a verifier key; BadKey when its parts do not belong together."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or not parts[0]:
        raise BadKey("not a verifier key")
    try:
        data = base64.b64decode(parts[2], validate=True)
    except binascii.Error as error:
        raise BadKey("not a verifier key") from error
    if len(data) != 33 or data[:1] != ED25519_NOTE or note_key_id(parts[0], data[1:]).hex() != parts[1]:
        raise BadKey("not an Ed25519 verifier key")
    return parts[0], data[1:]


def _load(public: bytes) -> Ed25519PublicKey:
    if len(public) != 32:
        raise BadKey("an Ed25519 public key has 32 bytes")
    return Ed25519PublicKey.from_public_bytes(public)


class PublicKey:
    """A public key ready to check signatures."""

    __slots__ = ("_key", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._key = _load(raw)

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` is this key's signature of `message`."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Signer:
    """A private key that signs receipts and checkpoints. `key_id` is 8 hex digits."""

    __slots__ = ("_key", "key_id", "name", "public", "public_hex")

    def __init__(self, seed: bytes, *, name: str = KEY_NAME) -> None:
        if len(seed) != 32:
            raise BadKey("an Ed25519 seed has 32 bytes")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.name = name
        self.public = self._key.public_key().public_bytes_raw()
        self.public_hex = self.public.hex()
        self.key_id = note_key_id(name, self.public).hex()

    def __repr__(self) -> str:
        return f"Signer({self.key_id})"

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)

    def record(self, *, not_before: datetime, retired_at: datetime | None = None) -> "KeyRecord":
        """What others must know of this key."""
        return KeyRecord(public=self.public, name=self.name, not_before=not_before, retired_at=retired_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A public key and the time in which its signatures count. `retired_at` is None while it is in use."""

    public: bytes
    not_before: datetime
    retired_at: datetime | None = None
    name: str = KEY_NAME

    @property
    def key_id(self) -> str:
        return note_key_id(self.name, self.public).hex()

    def covers(self, moment: datetime) -> bool:
        """Whether the key was in use at `moment`."""
        return self.not_before <= moment and (self.retired_at is None or moment <= self.retired_at)

    def to_json(self) -> dict[str, Any]:
        """`{key_id, name, algorithm, public_key, not_before, retired_at}`; times RFC 3339 or null."""
        return {
            "key_id": self.key_id,
            "name": self.name,
            "algorithm": "ed25519",
            "public_key": self.public.hex(),
            "not_before": rfc3339(self.not_before),
            "retired_at": rfc3339(self.retired_at) if self.retired_at else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "KeyRecord":
        """The reverse of `to_json`; BadKey when a member is missing, malformed or the id is another key's."""
        try:
            record = cls(
                public=bytes.fromhex(data["public_key"]),
                name=data["name"],
                not_before=parse_rfc3339(data["not_before"]),
                retired_at=parse_rfc3339(data["retired_at"]) if data["retired_at"] is not None else None,
            )
            fits = record.key_id == data["key_id"] and data["algorithm"] == "ed25519" and len(record.public) == 32
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadKey("malformed key record") from error
        if not fits:
            raise BadKey("the key record's id is not that of its key")
        return record


class KeyRing:
    """The known keys by id."""

    def __init__(self, records: Iterable[KeyRecord]) -> None:
        self._records = {record.key_id: record for record in records}
        self._keys = {key_id: PublicKey(record.public) for key_id, record in self._records.items()}

    def __iter__(self) -> Iterator[KeyRecord]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._records

    def record(self, key_id: str) -> KeyRecord:
        """The record of `key_id`; BadKey when it is unknown."""
        try:
            return self._records[key_id]
        except KeyError:
            raise BadKey(f"unknown key {key_id}") from None

    def key(self, key_id: str) -> PublicKey:
        """The key `key_id`, ready to verify; BadKey when it is unknown."""
        try:
            return self._keys[key_id]
        except KeyError:
            raise BadKey(f"unknown key {key_id}") from None

    def to_json(self) -> dict[str, Any]:
        """`{"keys": [record, ...]}`, oldest first: also what the instance publishes about itself."""
        ordered = sorted(self, key=lambda record: (record.not_before, record.key_id))
        return {"keys": [record.to_json() for record in ordered]}

    @classmethod
    def from_json(cls, data: Any) -> "KeyRing":
        """The reverse of `to_json`; BadKey when malformed."""
        if not isinstance(data, dict) or not isinstance(data.get("keys"), list):
            raise BadKey("malformed key list")
        return cls([KeyRecord.from_json(item) if isinstance(item, dict) else _no_record() for item in data["keys"]])


def _no_record() -> KeyRecord:
    raise BadKey("malformed key record")


_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{0,8}[1-9]))?Z")


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with Z and without trailing zeros in the fraction, as Go writes it."""
    if moment.tzinfo is None:
        raise ValueError("times in the ledger are aware")
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    text = moment.isoformat()[:-6]
    return (text.rstrip("0") if moment.microsecond else text) + "Z"


def parse_rfc3339(text: str) -> datetime:
    """The moment `text` names, to the microsecond; ValueError unless it is exactly the form of `rfc3339`."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 time in UTC without trailing zeros")
    moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return moment.replace(microsecond=int((match[2] or "0").ljust(6, "0")[:6]))
