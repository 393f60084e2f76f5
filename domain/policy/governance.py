"""The words of governance: verdicts, effect levels, and the decision about one call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """What a policy says about one call, weakest first: DENY outranks ESCALATE outranks ALLOW."""

    ALLOW = "ALLOW"
    ESCALATE = "ESCALATE"
    DENY = "DENY"

    @property
    def strictness(self) -> int:
        return ("ALLOW", "ESCALATE", "DENY").index(self.value)


# what is refused for these reasons is somebody's to look at
# the rule of a refusal of what is no call that can be made: the policy was not asked, and the step has failed
NO_CALL_RULE = "tool_schema"
_SEVERE = frozenset({"SYSTEM_FROZEN", "DATA_EGRESS_BLOCKED", "TAINTED_APPROVAL", "PDP_ERROR"})


def severity_of(reason_code: str) -> str:
    """How grave a refusal for this reason is: critical or warning."""
    return "critical" if reason_code in _SEVERE else "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdict about one call, with everything a receipt must say of why.

    `reason_code` is "" for a plain ALLOW; `rule_id` names the check or rule that decided;
    `policy_hash` (64 hex) names the exact effective policy, kept by its hash so that the
    decision can be replayed.
    """

    verdict: Verdict
    reason_code: str
    rule_id: str
    reason: str
    policy_hash: str
    finality: str = ""
    # how often the grant that allowed it was used with this call; None where no grant did
    grant_use: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalDecision:
    """What a decision point outside this process said about one call, or why it could not be heard.

    `source` names it where a rule would be named. `metadata` goes into the receipt of our own decision; `raw` is the
    other side's signed receipt, byte for byte, "" where there is none.
    """

    source: str
    verdict: Verdict
    reason_code: str = ""
    reason: str = ""
    metadata: Mapping[str, str | int] = field(default_factory=dict)
    raw: str = ""

    @property
    def attached(self) -> Mapping[str, str]:
        """What a receipt of ours keeps beside itself of it, by kind."""
        return {"helm": self.raw} if self.raw else {}
