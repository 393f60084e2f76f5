"""What the policy is asked about: one call with its circumstances, as JSON-able facts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantFacts:
    """A standing permission that was live when the call was decided. `expires_at` is an ISO time, "" for unknown."""

    id: str
    tool: str
    task_id: str | None
    max_effect: int
    expires_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpinionFacts:
    """What somebody beside the policy said of the call: a sidecar, or the people who were asked about it before."""

    source: str
    verdict: str
    reason_code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """One call. Money in micros of a US dollar; `estimate` is what this call may cost beyond what was spent.

    `approved` is set when a person entitled to decide approved exactly this call. `connector_granted`
    is None for tools that need no connector. `mode` is the workspace's, `task_mode` the task's ("" where it has none).
    `at` is the moment of the decision as `domain.clock.iso` writes it,
    `operator_role` the role of who does the work; "" where they are not known: packs of every role count then,
    and a rule about the time denies.
    """

    tool: str
    effect: int
    args: Mapping[str, Any]
    mode: str
    tool_modes: Sequence[str] = ()
    connector: str = ""
    connector_granted: bool | None = None
    task_id: str = ""
    operator_id: str = ""
    operator_tools: Sequence[str] = ()
    task_spent: int = 0
    operator_spent: int = 0
    day_spent: int = 0
    month_spent: int = 0
    estimate: int = 0
    iteration: int = 0
    approved: bool = False
    grants: Sequence[GrantFacts] = field(default_factory=tuple)
    operator_role: str = ""
    at: str = ""
    task_mode: str = ""
    opinions: Sequence[OpinionFacts] = field(default_factory=tuple)

    def as_json(self) -> dict[str, Any]:
        """The facts as a receipt's payload keeps them."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "CallFacts":
        """The reverse of `as_json`."""
        return cls(
            **{
                **data,
                "grants": tuple(GrantFacts(**grant) for grant in data["grants"]),
                "opinions": tuple(OpinionFacts(**one) for one in data.get("opinions", ())),
            }
        )

    def rule_input(self) -> dict[str, Any]:
        """What custom rules see as `input`: the names and types of `domain.policy.rules.RULE_INPUT`."""
        given: dict[str, Any] = {
            "tool": self.tool,
            "effect": self.effect,
            "args": self.args,
            "mode": self.mode,
            "connector": self.connector,
            "operator": self.operator_id,
            "operator_role": self.operator_role,
            "task": self.task_id,
            "task_spent": self.task_spent,
            "operator_spent": self.operator_spent,
            "day_spent": self.day_spent,
            "month_spent": self.month_spent,
            "estimate": self.estimate,
            "iteration": self.iteration,
        }
        return given | {"at": datetime.fromisoformat(self.at)} if self.at else given
