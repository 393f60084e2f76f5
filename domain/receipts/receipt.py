"""One receipt: HELM-compatible receipt.v5 JSON, signed, chained, and a leaf of the log.

The signature covers the thirteen members of receipt.v5. Everything else (time, executor,
metadata) is covered by the leaf: its bytes are the canonical form of the whole receipt, and a
signed checkpoint covers all leaves.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.receipts.canonical import MAX_SAFE_INTEGER, canonical, parse_canonical
from domain.receipts.errors import BadKey, BadReceipt, NotCanonical
from domain.receipts.merkle import leaf_hash
from domain.receipts.signing import KeyRing, PublicKey, Signer, parse_rfc3339, rfc3339

SIGNATURE_VERSION = "receipt.v5"
ZERO_TIME = "0001-01-01T00:00:00Z"
MAX_LEAF = 65_535  # the length of a leaf is two bytes in a tile's entry bundle

SIGNED_MEMBERS = (
    "signature_version",
    "receipt_id",
    "decision_id",
    "effect_id",
    "status",
    "output_hash",
    "prev_hash",
    "lamport_clock",
    "args_hash",
    "verdict",
    "reason_code",
    "policy_hash",
    "session_id",
)
ANCHORING_MEMBERS = frozenset({"transparency", "log_id", "leaf_index"})
_DROPPED_WHEN_EMPTY = ("output_hash", "args_hash", "verdict", "reason_code", "policy_hash", "session_id")
_ALWAYS_PRESENT = {
    "external_reference_id": "",
    "created_at": ZERO_TIME,
    "installed_at": ZERO_TIME,
    "issued_at": ZERO_TIME,
}
_UNSIGNED_MEMBERS = frozenset(
    {
        "signature",
        "signature_algorithm",
        "signature_profile",
        "key_id",
        "public_key_set",
        "timestamp",
        "executor_id",
        "metadata",
        *_ALWAYS_PRESENT,
    }
)
_OPTIONAL_MEMBERS = frozenset({"correlation_id", "decision_hash", "blob_hash"})
_REQUIRED = frozenset(SIGNED_MEMBERS) | _UNSIGNED_MEMBERS
_HEX64 = re.compile(r"[0-9a-f]{64}")
_HEX128 = re.compile(r"[0-9a-f]{128}")


class Kind(StrEnum):
    """What a receipt is about; `metadata.kind`. Readers must bear words they do not know."""

    REQUEST = "request"
    DECISION = "decision"
    RESOLUTION = "resolution"
    OUTCOME = "outcome"
    SETTINGS = "settings"
    MEMBERSHIP = "membership"
    LOGIN = "login"
    CHANGE = "change"
    KEY_ROTATION = "key_rotation"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt and its exact bytes. `chain_hash` is what the next receipt of the session names as `prev_hash`."""

    body: dict[str, Any]
    leaf: bytes
    chain_hash: str

    @property
    def receipt_id(self) -> str:
        return str(self.body["receipt_id"])

    @property
    def decision_id(self) -> str:
        return str(self.body["decision_id"])

    @property
    def session_id(self) -> str:
        return str(self.body["session_id"])

    @property
    def lamport_clock(self) -> int:
        return int(self.body["lamport_clock"])

    @property
    def prev_hash(self) -> str:
        return str(self.body["prev_hash"])

    @property
    def key_id(self) -> str:
        return str(self.body["key_id"])

    @property
    def kind(self) -> str:
        return str(self.metadata.get("kind", ""))

    @property
    def metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = self.body["metadata"]
        return metadata

    @property
    def timestamp(self) -> datetime:
        return parse_rfc3339(self.body["timestamp"])

    @property
    def leaf_hash(self) -> bytes:
        return leaf_hash(self.leaf)


def build(
    *,
    signer: Signer,
    workspace_id: str,
    kind: str,
    receipt_id: str,
    session_id: str,
    prev_hash: str,
    lamport_clock: int,
    timestamp: datetime,
    executor_id: str,
    status: str,
    decision_id: str = "",
    effect_id: str = "",
    verdict: str = "",
    reason_code: str = "",
    args_hash: str = "",
    output_hash: str = "",
    policy_hash: str = "",
    correlation_id: str = "",
    metadata: Mapping[str, str | int | bool | None] | None = None,
) -> Receipt:
    """A signed receipt that follows `prev_hash` ("" and clock 1 for the first of its session).

    `metadata` is flat: strings, integers within +-(2**53 - 1), booleans; None is left out.
    Raises NotCanonical or BadReceipt when a value does not fit or the receipt exceeds 65,535 bytes.
    """
    if (lamport_clock == 1) != (prev_hash == "") or not 1 <= lamport_clock <= MAX_SAFE_INTEGER:
        raise BadReceipt("only the first receipt of a session has clock 1 and no predecessor")
    if not (executor_id and receipt_id and workspace_id and kind):
        raise BadReceipt("a receipt names itself, its kind, its workspace and who executed")
    signed: dict[str, Any] = {
        "signature_version": SIGNATURE_VERSION,
        "receipt_id": receipt_id,
        "decision_id": decision_id,
        "effect_id": effect_id,
        "status": status,
        "output_hash": output_hash,
        "prev_hash": prev_hash,
        "lamport_clock": lamport_clock,
        "args_hash": args_hash,
        "verdict": verdict,
        "reason_code": reason_code,
        "policy_hash": policy_hash,
        "session_id": session_id,
    }
    signature = signer.sign(canonical(signed)).hex()
    own: dict[str, str | int | bool] = {}
    for name, value in (metadata or {}).items():
        if value is None:
            continue
        if not isinstance(value, str | int):
            raise NotCanonical(f"metadata.{name}: only strings, integers and booleans")
        own[name] = value
    own["workspace_id"] = workspace_id
    own["kind"] = str(kind)
    body: dict[str, Any] = {
        **signed,
        **_ALWAYS_PRESENT,
        "signature": signature,
        "signature_algorithm": "ed25519",
        "signature_profile": "classical",
        "key_id": signer.key_id,
        "public_key_set": {"ed25519": signer.public_hex},
        "timestamp": rfc3339(timestamp),
        "executor_id": executor_id,
        "metadata": own,
    }
    if correlation_id:
        body["correlation_id"] = correlation_id
    leaf = canonical(body)
    if len(leaf) > MAX_LEAF:
        raise BadReceipt(f"a receipt has at most {MAX_LEAF} bytes; this one has {len(leaf)}")
    return Receipt(body, leaf, _chain_hash(body, leaf))


def parse(raw: bytes) -> Receipt:
    """The receipt whose leaf is `raw`; NotCanonical or BadReceipt says what is wrong. No signature is checked."""
    if len(raw) > MAX_LEAF:
        raise BadReceipt(f"a receipt has at most {MAX_LEAF} bytes")
    body = parse_canonical(raw)
    if not isinstance(body, dict):
        raise BadReceipt("a receipt is a JSON object")
    check_members(body)
    return Receipt(body, raw, _chain_hash(body, raw))


def check_members(body: dict[str, Any]) -> None:
    """BadReceipt unless `body` has exactly the members of our receipts, each of its type and form."""
    names = body.keys()
    if missing := _REQUIRED - names:
        raise BadReceipt(f"member missing: {min(missing)}")
    if unknown := names - _REQUIRED - _OPTIONAL_MEMBERS:
        raise BadReceipt(f"unknown member: {min(unknown)}")
    for name, value in body.items():
        if type(value) is not str and name not in ("lamport_clock", "metadata", "public_key_set"):
            raise BadReceipt(f"{name} must be a string")
    clock = body["lamport_clock"]
    if type(clock) is not int or clock < 1:
        raise BadReceipt("lamport_clock counts from 1")
    if clock == 1:
        if body["prev_hash"]:
            raise BadReceipt("the first receipt of a session has no predecessor")
    elif not _HEX64.fullmatch(body["prev_hash"]):
        raise BadReceipt("prev_hash must be 64 hex digits")
    if (
        body["signature_version"] != SIGNATURE_VERSION
        or body["signature_algorithm"] != "ed25519"
        or body["signature_profile"] != "classical"
    ):
        raise BadReceipt("only receipt.v5 with classical Ed25519 is known")
    if not _HEX128.fullmatch(body["signature"]):
        raise BadReceipt("signature must be 128 hex digits")
    keys = body["public_key_set"]
    if type(keys) is not dict or list(keys) != ["ed25519"] or not _is_hex64(keys["ed25519"]):
        raise BadReceipt("public_key_set must hold one ed25519 key of 64 hex digits")
    metadata = body["metadata"]
    if type(metadata) is not dict or not all(type(value) in (str, int, bool) for value in metadata.values()):
        raise BadReceipt("metadata must be flat: strings, integers, booleans")
    if not metadata.get("kind") or not metadata.get("workspace_id") or not body["executor_id"]:
        raise BadReceipt("a receipt names its kind, its workspace and who executed")
    try:
        parse_rfc3339(body["timestamp"])
    except ValueError as error:
        raise BadReceipt("timestamp must be RFC 3339 in UTC without trailing zeros") from error


def signing_payload(body: Mapping[str, Any]) -> bytes:
    """The bytes a receipt.v5 signature covers: the canonical form of exactly the thirteen members."""
    try:
        return canonical({name: body[name] for name in SIGNED_MEMBERS})
    except KeyError as error:
        raise BadReceipt(f"member missing: {error.args[0]}") from None


def chain_hash(body: Mapping[str, Any]) -> str:
    """64 hex digits: the hash by which the next receipt of the session refers to `body`."""
    whole = {name: value for name, value in body.items() if name not in ANCHORING_MEMBERS}
    return _chain_hash(_ALWAYS_PRESENT | whole, None)


def verify_signature(body: Mapping[str, Any], *, key: PublicKey) -> None:
    """BadReceipt unless `key` signed the thirteen members of `body`."""
    try:
        signature = bytes.fromhex(body["signature"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadReceipt("signature must be 128 hex digits") from error
    if not key.verify(signature, signing_payload(body)):
        raise BadReceipt("the signature does not fit")


def verify_foreign(body: Mapping[str, Any], *, key: PublicKey) -> None:
    """BadReceipt unless `key` signed `body`, a receipt.v5 as another program serves it.

    Members that Go leaves out when they are empty count as empty; what is not signed may be anything. NotCanonical for
    a clock beyond 2**53 - 1.
    """
    whole = dict.fromkeys(_DROPPED_WHEN_EMPTY, "") | dict(body)
    for name in SIGNED_MEMBERS:
        if type(whole.get(name)) is not (int if name == "lamport_clock" else str):
            raise BadReceipt(f"{name} is missing or of another type")
    if whole["signature_version"] != SIGNATURE_VERSION:
        raise BadReceipt("only receipt.v5 is known")
    if (whole.get("signature_profile") or "classical", whole.get("signature_algorithm") or "ed25519") != (
        "classical",
        "ed25519",
    ):
        raise BadReceipt("only receipt.v5 with classical Ed25519 is known")
    if type(whole.get("signature")) is not str or not _HEX128.fullmatch(whole["signature"]):
        raise BadReceipt("signature must be 128 hex digits")
    verify_signature(whole, key=key)


def verify(receipt: Receipt, *, ring: KeyRing) -> None:
    """BadReceipt unless a known key signed `receipt` within the time the key was in use."""
    try:
        record, key = ring.record(receipt.key_id), ring.key(receipt.key_id)
    except BadKey as error:
        raise BadReceipt(str(error)) from error
    if receipt.body["public_key_set"]["ed25519"] != record.public.hex():
        raise BadReceipt("the receipt shows another public key than its key id names")
    verify_signature(receipt.body, key=key)
    if not record.covers(receipt.timestamp):
        raise BadReceipt(f"key {record.key_id} was not in use at {receipt.body['timestamp']}")


def rotation_metadata(new: Signer) -> dict[str, str | int | bool | None]:
    """The metadata of a KEY_ROTATION receipt: signed by the old key, it names the new one.

    From the next receipt of the log on, only the new key signs.
    """
    return {"new_key_id": new.key_id, "new_key_name": new.name, "new_public_key": new.public_hex}


def _chain_hash(body: Mapping[str, Any], leaf: bytes | None) -> str:
    """Over the view in which Go leaves out empty members; most receipts of ours then equal their leaf."""
    empty = [name for name in _DROPPED_WHEN_EMPTY if not body.get(name)]
    if empty or leaf is None:
        leaf = canonical({name: value for name, value in body.items() if name not in empty})
    return hashlib.sha256(leaf).hexdigest()


def _is_hex64(value: object) -> bool:
    return isinstance(value, str) and _HEX64.fullmatch(value) is not None
