"""The settings of a workspace: their shape, their limits, and how a change is merged into them.

Sections and names are the wire contract's; aliases of its documentation work on input. Amounts are
in US dollars, the one currency that is enforced; money is accounted in millionths of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from domain.errors import Invalid
from domain.untrusted import clean

MAX_EFFECTS = 300
# more than any section has
MAX_GIVEN = 100
Tool: Any = Field(default_factory=list, max_length=200)
_TOOL = re.compile(r"[A-Za-z0-9_.*:-]{1,120}")
_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_INVISIBLE = " \t\n\u200c\u200d\ufe0f"
# The packs that come with Pilot, one for each role an operator can have; `domain.policy.packs` holds them.
PACKS: tuple[str, ...] = ("design", "engineering", "growth", "ops", "product")
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Rule(BaseModel):
    """A custom rule in CEL over `input`. It can only tighten: when it is true, its verdict is the least."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")
    when: str = Field(min_length=1, max_length=4000)
    verdict: Literal["DENY", "ESCALATE"]
    reason: str = Field(default="", max_length=300)
    tools: list[str] = Field(default_factory=list, max_length=50)

    @field_validator("tools")
    @classmethod
    def _names(cls, value: list[str]) -> list[str]:
        return _tool_names(value)


class QuietHours(BaseModel):
    """When reminders wait: local times HH:MM in a time zone. `end` before `start` means over midnight."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    end: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    timezone: str = Field(default="UTC", max_length=60)

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, LookupError):
            raise ValueError("is not a known time zone") from None
        return value

    def cover(self, moment: datetime) -> bool:
        """Whether an aware moment lies in the quiet hours; the end itself does not. Equal times: never quiet."""
        local = moment.astimezone(ZoneInfo(self.timezone)).strftime("%H:%M")
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


class _Section(BaseModel):
    # what is stored, hashed and sent has the names of the wire
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, allow_inf_nan=False)

    def as_json(self) -> dict[str, Any]:
        """The section as it is stored and sent."""
        return self.model_dump(mode="json", by_alias=True)


class PolicyConfig(_Section):
    """What operators may do."""

    kill_switch: bool = Field(default=False, strict=True)
    max_iteration_budget: int = Field(default=50, ge=1, le=1000, strict=True)
    tool_blocklist: list[str] = Tool
    content_bans: list[str] = Field(default_factory=list, max_length=200)
    connector_allowlist: list[str] = Tool
    require_approval_for: list[str] = Tool
    fail_closed: bool = Field(default=True, strict=True)
    rules: list[Rule] = Field(default_factory=list, max_length=100)
    tool_effects: dict[str, Literal["E0", "E1", "E2", "E3", "E4"]] = Field(default_factory=dict, max_length=MAX_EFFECTS)
    approval_ttl_minutes: int = Field(default=1440, ge=1, le=43_200, strict=True)
    approval_quorum: int = Field(default=1, ge=1, le=10, strict=True)
    approvers: list[Name] = Field(default_factory=list, max_length=50)
    approver_role: Literal["owner", "partner"] = "owner"
    approval_from: Literal["E1", "E2", "E3"] = "E3"
    allowed_hosts: list[str] = Field(default_factory=list, max_length=200)
    packs: list[str] = Field(default_factory=list, max_length=len(PACKS))
    undo_seconds: int = Field(default=0, ge=0, le=300, strict=True)
    quiet_hours: QuietHours | None = None

    @field_validator("tool_blocklist", "require_approval_for", "connector_allowlist")
    @classmethod
    def _names(cls, value: list[str]) -> list[str]:
        return _tool_names(value)

    @field_validator("tool_effects", mode="before")
    @classmethod
    def _few(cls, value: Any) -> Any:
        # said before each of them is looked at
        if isinstance(value, dict) and len(value) > MAX_EFFECTS:
            raise ValueError(f"should have at most {MAX_EFFECTS} items")
        return value

    @field_validator("tool_effects")
    @classmethod
    def _effects(cls, value: dict[str, str]) -> dict[str, str]:
        _tool_names(list(value))
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: list[str]) -> list[str]:
        lowered = sorted({item.lower() for item in value})
        for item in lowered:
            if len(item) > 253 or not _HOST.fullmatch(item):
                raise ValueError("holds something that is no host name (like api.example.com or *.example.com)")
        return lowered

    @field_validator("packs")
    @classmethod
    def _packs(cls, value: list[str]) -> list[str]:
        for item in value:
            if item not in PACKS:
                raise ValueError(f"holds something that is no pack; there are {', '.join(PACKS)}")
        return sorted(set(value))

    @field_validator("content_bans")
    @classmethod
    def _bans(cls, value: list[str]) -> list[str]:
        for item in value:
            # a text that is nothing once spaces and invisible characters are gone would ban everything
            if len(item) > 200 or not clean(item).strip(_INVISIBLE):
                raise ValueError("holds an empty or over-long text")
        return sorted(set(value))

    @field_validator("rules")
    @classmethod
    def _unique(cls, value: list[Rule]) -> list[Rule]:
        if len({rule.id for rule in value}) != len(value):
            raise ValueError("has two rules with one id")
        return value


class BudgetConfig(_Section):
    """What work may cost, in US dollars."""

    daily_total_max: float = Field(strict=True, default=500, gt=0, le=1_000_000)
    per_task_max: float = Field(strict=True, default=100, gt=0, le=1_000_000)
    per_operator_max: float = Field(strict=True, default=200, gt=0, le=1_000_000)
    emergency_kill: float = Field(strict=True, default=1500, gt=0, le=1_000_000)
    monthly_llm_budget: float | None = Field(strict=True, default=None, gt=0, le=10_000_000)
    currency: str = "USD"

    @field_validator("currency")
    @classmethod
    def _one(cls, value: str) -> str:
        if value != "USD":
            raise ValueError("must be USD: what models cost is known in US dollars, and no rate is guessed")
        return value


class ModelConfig(_Section):
    """Which model plans."""

    provider: str = Field(default="openrouter", pattern=r"^[a-z][a-z0-9_-]{0,40}$")
    model: str = Field(default="anthropic/claude-sonnet-4-20250514", min_length=1, max_length=200)
    temperature: float = Field(strict=True, default=0.7, ge=0, le=2)
    fallbacks: list[Name] = Field(default_factory=list, max_length=5)
    base_url: str | None = Field(default=None, max_length=500, pattern=r"^https?://")


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """All three sections, complete and valid."""

    policy: PolicyConfig
    budget: BudgetConfig
    model: ModelConfig

    def as_json(self) -> dict[str, dict[str, Any]]:
        return {
            "policyConfig": self.policy.as_json(),
            "budgetConfig": self.budget.as_json(),
            "modelConfig": self.model.as_json(),
        }


_SECTIONS: tuple[tuple[str, type[_Section]], ...] = (
    ("policyConfig", PolicyConfig),
    ("budgetConfig", BudgetConfig),
    ("modelConfig", ModelConfig),
)
_ALIASES: dict[str, dict[str, str]] = {
    "policyConfig": {"blockedTools": "toolBlocklist"},
    "budgetConfig": {"monthlyMax": "monthlyLlmBudget"},
}


def load(policy: Mapping[str, Any], budget: Mapping[str, Any], model: Mapping[str, Any]) -> WorkspaceSettings:
    """Stored sections as values, defaults filled in. Invalid when what is stored does not fit (fail closed)."""
    return _build({"policyConfig": dict(policy), "budgetConfig": dict(budget), "modelConfig": dict(model)})


def merge(stored: WorkspaceSettings, patch: Any) -> WorkspaceSettings:
    """`stored` with the given keys changed; keys not given stay as they are. Invalid names the field."""
    if not isinstance(patch, dict):
        raise Invalid("the body must be an object")
    unknown = set(patch) - {name for name, _ in _SECTIONS} - {"workspaceId"}
    if unknown:
        raise Invalid.field(str(min(unknown)), "is not a section of the settings")
    sections = stored.as_json()
    for name, _ in _SECTIONS:
        given = patch.get(name)
        if given is None:
            continue
        if not isinstance(given, dict):
            raise Invalid.field(name, "must be an object")
        if len(given) > MAX_GIVEN:
            raise Invalid.field(name, "holds more settings than there are")
        if not _encodable(given):
            raise Invalid.field(name, "holds half a character, which no text may")
        aliases = _ALIASES.get(name, {})
        renamed: dict[str, Any] = {aliases.get(str(key), str(key)): value for key, value in given.items()}
        if len(renamed) != len(given):
            raise Invalid.field(name, "gives one setting under two names")
        sections[name] = sections[name] | renamed
    merged = _build(sections)
    _check_together(merged.budget, patch.get("budgetConfig") or {})
    return merged


def _build(sections: dict[str, dict[str, Any]]) -> WorkspaceSettings:
    built: list[Any] = []
    for name, kind in _SECTIONS:
        try:
            built.append(kind.model_validate(sections[name]))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            path = ".".join([name, *map(str, first["loc"])])
            raise Invalid.field(path, first["msg"].removeprefix("Value error, ")) from None
    return WorkspaceSettings(*built)


def _check_together(budget: BudgetConfig, given: Mapping[str, Any]) -> None:
    for name, most in (("perTaskMax", budget.per_task_max), ("perOperatorMax", budget.per_operator_max)):
        if most > budget.daily_total_max:
            # name the field that was just written, so that the person looks in the right place
            field = name if name in given else "dailyTotalMax"
            raise Invalid.field(f"budgetConfig.{field}", f"{name} may not exceed dailyTotalMax")


def _encodable(value: Any) -> bool:
    """Whether no text in a JSON value holds a lone surrogate: JSON can spell one, nothing can store it."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str) and not item.isascii() and _SURROGATE.search(item):
            return False
        if isinstance(item, dict):
            left += [*item, *item.values()]
        elif isinstance(item, list):
            left += item
    return True


def _tool_names(value: list[str]) -> list[str]:
    for item in value:
        if not _TOOL.fullmatch(item):
            raise ValueError("holds something that is no tool name")
    return sorted(set(value))


def micros(dollars: float) -> int:
    """US dollars as millionths."""
    return round(dollars * 1_000_000)
