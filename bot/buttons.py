"""Data of inline buttons: an opaque id and a verb, at most 64 bytes, never the payload itself."""

import base64
from dataclasses import dataclass
from uuid import UUID

from domain.approvals.approval import Approval

LIMIT = 64
APPROVE, DENY, DENY_REASON, CHANGES, GRANT, UNDO, EDIT = "y", "n", "dr", "c", "g", "u", "e"
RETRY, SKIP, DONE = "r", "s", "d"


def pack_id(value: str) -> str:
    """A UUID as 22 characters of base64url."""
    return base64.urlsafe_b64encode(UUID(value).bytes).decode().rstrip("=")


def unpack_id(value: str) -> str:
    """The UUID of `pack_id`; ValueError when it is none."""
    if len(value) != 22:
        raise ValueError("not a packed id")
    return str(UUID(bytes=base64.urlsafe_b64decode(value + "==")))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalTap:
    """A tap on an approval card: what was shown travels with it."""

    approval_id: str
    verb: str
    version: int
    digest: str


def approval(of: Approval, verb: str) -> str:
    """`a:<id>:<verb>:<version>:<first 12 hex digits of the digest>`."""
    return _checked(f"a:{pack_id(of.id)}:{verb}:{of.version}:{of.short_digest}")


def parse_approval(data: str) -> ApprovalTap:
    """ValueError when malformed."""
    kind, packed, verb, version, digest = data.split(":")
    if kind != "a" or len(digest) != 12:
        raise ValueError("not an approval button")
    return ApprovalTap(approval_id=unpack_id(packed), verb=verb, version=int(version), digest=digest)


def uncertain(*, run_id: str, step_id: str, verb: str) -> str:
    """`u:<run>:<step>:<verb>`."""
    return _checked(f"u:{pack_id(run_id)}:{pack_id(step_id)}:{verb}")


def parse_uncertain(data: str) -> tuple[str, str, str]:
    """(run id, step id, verb); ValueError when malformed."""
    kind, run, step, verb = data.split(":")
    if kind != "u" or verb not in (RETRY, SKIP, DONE):
        raise ValueError("not a button of an interrupted step")
    return unpack_id(run), unpack_id(step), verb


def about(kind: str, ref: str, verb: str = "") -> str:
    """`<kind>:<id>[:<verb>]`, for tasks (t), grants (g) and workspaces (w)."""
    return _checked(f"{kind}:{pack_id(ref)}{f':{verb}' if verb else ''}")


def parse_about(data: str) -> tuple[str, str]:
    """(id, verb); ValueError when malformed."""
    _, packed, *rest = data.split(":")
    return unpack_id(packed), rest[0] if rest else ""


def plain(kind: str, value: str) -> str:
    """`<kind>:<word>`, for modes (m), the policy (p), the kill switch (k), languages (l) and the example (x)."""
    return _checked(f"{kind}:{value}")


def _checked(data: str) -> str:
    if len(data.encode()) > LIMIT:
        raise ValueError(f"button data of {len(data.encode())} bytes")
    return data
