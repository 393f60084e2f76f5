"""What a store must hold beside a receipt's signed bytes: columns that say what the bytes say, payloads that they hash.

The bytes (`leaf`) are what is believed. Columns serve to find a receipt by; what readers are shown comes from the
bytes, and a column or payload that does not agree with them is named.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from domain.receipts.signing import parse_rfc3339

# texts kept beside a receipt as they are, by kind: the member of `metadata` that holds their SHA-256
ATTACHED = {"helm": "helm_receipt_sha256"}
HASHED = {"args": "args_hash", "output": "output_hash"}
UNREADABLE = "leaf"


def columns_said(leaf: bytes) -> dict[str, Any] | None:
    """What the columns of the receipt with these bytes must hold; None when the bytes are no receipt.

    No signature is checked, nor that the bytes are canonical.
    """
    try:
        body = orjson.loads(leaf)
        metadata = body["metadata"]
        said = {
            "workspace_id": metadata["workspace_id"],
            "idx": body["lamport_clock"] - 1,
            "id": body["receipt_id"],
            "decision_id": body["decision_id"],
            "kind": metadata["kind"],
            "verdict": body["verdict"],
            "reason_code": body["reason_code"],
            "action": metadata.get("action", ""),
            "resource": metadata.get("resource", ""),
            "principal": body["executor_id"],
            "task_id": metadata.get("task_id"),
            "run_id": metadata.get("run_id"),
            "step_id": metadata.get("step_id"),
            "approval_id": metadata.get("approval_id"),
            "policy_hash": body["policy_hash"],
            "created_at": parse_rfc3339(body["timestamp"]),
        }
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return None
    texts = all(isinstance(value, str | None) for name, value in said.items() if name not in ("idx", "created_at"))
    return said if texts and isinstance(said["idx"], int) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPayload:
    """A payload as the store holds it. `body` is None once it was erased; `salt` is hex, "" for an attached text."""

    kind: str
    salt: str
    body: str | None
    erased_at: datetime | None


def payload_problems(
    body: Mapping[str, Any], payloads: Iterable[KeptPayload], *, erased_lawfully: bool = False
) -> tuple[str, ...]:
    """What does not agree with the hashes in the signed `body`, as `payload.<kind>: <what>`; empty = everything does.

    `erased_lawfully` says that a later receipt of the log tells of an erasure.
    """
    left = {payload.kind: payload for payload in payloads}
    found: list[str] = []
    metadata = body["metadata"]
    expected = {kind: body[name] for kind, name in HASHED.items()}
    expected |= {kind: metadata.get(name, "") for kind, name in ATTACHED.items()}
    for kind, digest in expected.items():
        payload = left.pop(kind, None)
        problem = _problem(payload, digest, kind=kind, erased_lawfully=erased_lawfully)
        if problem:
            found.append(f"payload.{kind}: {problem}")
    found += [f"payload.{kind}: the receipt knows no such payload" for kind in sorted(left)]
    return tuple(found)


def _problem(payload: KeptPayload | None, digest: str, *, kind: str, erased_lawfully: bool) -> str:
    if payload is None:
        return "is missing" if digest else ""
    if not digest:
        return "the receipt hashes none"
    if payload.body is None:
        lawful = erased_lawfully and payload.erased_at is not None and not payload.salt
        return "" if lawful else "was erased, and no receipt tells of it"
    if payload.erased_at is not None:
        return "is marked as erased and is there"
    try:
        salt = bytes.fromhex(payload.salt)
        # one spelling only: hex has two cases, and fromhex skips blanks
        spelled = salt.hex() == payload.salt and (not salt or kind in HASHED)
        fits = spelled and hashlib.sha256(salt + payload.body.encode()).hexdigest() == digest
    except (ValueError, TypeError, AttributeError):
        # SQLite keeps a value of any type in any column
        fits = False
    return "" if fits else "was changed"
