"""Policy packs: what is added to a workspace's policy for the operators of one role. A pack can only tighten."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.policy.rules import CustomRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One pack. `role` is whom it is for ("" = everybody). Amounts in micros of a US dollar, None = no own limit."""

    id: str
    version: int
    role: str
    summary: str
    blocklist: tuple[str, ...] = ()
    content_bans: tuple[str, ...] = ()
    require_approval_for: tuple[str, ...] = ()
    tool_effects: Mapping[str, int]
    rules: tuple[CustomRule, ...] = ()
    per_task: int | None = None
    per_operator: int | None = None

    def as_json(self) -> dict[str, Any]:
        """As a snapshot keeps it: whole, so that a replay does not depend on the packs of a later release."""
        return {
            "id": self.id,
            "version": self.version,
            "role": self.role,
            "summary": self.summary,
            "blocklist": list(self.blocklist),
            "content_bans": list(self.content_bans),
            "require_approval_for": list(self.require_approval_for),
            "tool_effects": dict(self.tool_effects),
            "rules": [rule.as_json() for rule in self.rules],
            "per_task": self.per_task,
            "per_operator": self.per_operator,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Pack":
        """The reverse of `as_json`."""
        return cls(
            **{
                **data,
                "blocklist": tuple(data["blocklist"]),
                "content_bans": tuple(data["content_bans"]),
                "require_approval_for": tuple(data["require_approval_for"]),
                "rules": tuple(CustomRule.from_json(rule) for rule in data["rules"]),
            }
        )
