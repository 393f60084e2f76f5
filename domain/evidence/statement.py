"""What one receipt says, and how a value of a row is compared with what was signed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from domain.receipts.canonical import canonical_payload
from domain.receipts.errors import NotCanonical
from domain.receipts.signing import rfc3339

# a row and its receipt are written in one transaction, by one clock read twice
SLACK = timedelta(seconds=60)
# the payloads of a receipt that is not itself what was signed
UNPROVEN = "receipt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one receipt says. `args` and `output` are what it hashes, None where that is not kept or does not fit.

    `differs` names what of the receipt itself does not hold.
    """

    idx: int
    id: str
    kind: str
    action: str
    verdict: str
    reason_code: str
    status: str
    decision_id: str
    principal: str
    resource: str
    effect: int
    policy_hash: str
    at: datetime
    task_id: str | None = None
    run_id: str | None = None
    step_id: str | None = None
    approval_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    args: Any = None
    output: Any = None
    # False where there were arguments and they are not kept any more, or are not those that were hashed
    knows_args: bool = True
    differs: tuple[str, ...] = ()

    @property
    def call_digest(self) -> str:
        """The call it is about, as `digest_of_call` names it; "" where it names none."""
        return str(self.metadata.get("call_digest", ""))

    def given(self, name: str) -> Mapping[str, Any]:
        """A part of what it hashes as arguments; empty where there is none."""
        found = self.args.get(name) if isinstance(self.args, dict) else None
        return found if isinstance(found, dict) else {}


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are one: the order of members and the spelling of numbers do not count."""
    try:
        return canonical_payload(one) == canonical_payload(other)
    except NotCanonical:
        return bool(one == other)


def near(moment: datetime | None, at: datetime | None) -> bool:
    """Whether a row and its receipt can be of one transaction; two that are both missing are."""
    if moment is None or at is None:
        return moment is at
    return abs(moment - at) <= SLACK


def moment_text(moment: datetime | None) -> str | None:
    """To the microsecond, as the store keeps it."""
    return None if moment is None else rfc3339(moment)


def unequal(value: Any, expected: Mapping[str, Any]) -> list[str]:
    """The attributes of a value that are not as expected."""
    return [name for name, wanted in expected.items() if not same(getattr(value, name), wanted)]
