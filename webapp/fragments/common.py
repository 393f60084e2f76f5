"""What all parts share: their signature, how values look, and how long lists go on."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.approvals.approval import Approval
from domain.clock import iso
from domain.identity.actor import Actor
from domain.identity.permissions import Action, allows
from domain.ids import parse_id
from domain.tools.tool import REDACTED
from locales import Texts
from services.container import Services

Query = dict[str, str]
Fragment = tuple[str, dict[str, Any]]
Builder = Callable[[Services, Actor, str, Query], Awaitable[Fragment]]

TONES = {
    "completed": "good",
    "approved": "good",
    "done": "good",
    "allow": "good",
    "failed": "bad",
    "rejected": "bad",
    "denied": "bad",
    "deny": "bad",
    "error": "bad",
    "critical": "bad",
    "blocked": "bad",
    "expired": "bad",
    "budget_exhausted": "bad",
    "awaiting_approval": "ask",
    "uncertain": "ask",
    "pending_approval": "ask",
    "changes_requested": "ask",
    "escalate": "ask",
    "warning": "ask",
    "running": "busy",
    "queued": "busy",
    "intent": "busy",
    "waiting": "busy",
}


def filters() -> dict[str, Callable[..., Any]]:
    """Jinja filters."""
    return {
        "tone": lambda state: TONES.get(str(state).lower(), "calm"),
        "compact": lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
        "pretty": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
        "iso": lambda moment: iso(moment) if isinstance(moment, datetime) else "",
        "dollars": lambda micros: f"${micros / 1e6:.2f}",
        "price": price,
        # narrow spaces between thousands: read alike in every language
        "grouped": lambda number: f"{number:,}".replace(",", "\u202f"),
        "plain_number": lambda value: "" if value is None else f"{value:g}",
    }


def price(micros: int) -> str:
    """Millionths of a US dollar as people read them: to the cent, below a dollar to the hundredth of one."""
    return f"${micros / 1e6:.2f}" if micros >= 1_000_000 or micros == 0 else f"${micros / 1e6:.4f}"


@dataclass(frozen=True, slots=True)
class Names:
    """Names of people and operators instead of their ids."""

    people: dict[str, str]
    operators: dict[str, str] = field(default_factory=dict)

    def of(self, principal: str | None, t: Texts) -> str:
        """How a reader calls a principal (`user:<id>`, `operator:<id>`, `api_key:<id>`, `system`) or a bare user id."""
        if not principal:
            return ""
        kind, _, name = principal.partition(":")
        if not name:
            return t("app-who-system") if kind == "system" else self.people.get(kind, t("app-who-somebody"))
        if kind == "user":
            return self.people.get(name, t("app-who-somebody"))
        if kind == "operator":
            return self.operators.get(name, t("app-who-operator"))
        return t("app-who-key") if kind == "api_key" else principal[:40]


async def names(services: Services, actor: Actor) -> Names:
    """The names a reader of this workspace may see."""
    _, members = await services.workspaces.get(actor)
    operators = await services.operators.list(actor) if allows(actor, Action.OPERATOR_READ) else []
    return Names({m.user_id: m.name for m in members}, {o.id: o.name for o in operators})


def item_id(text: str) -> str:
    """The id in a path; NotFound when it is none."""
    return parse_id(text)


def choice(query: Query, name: str, allowed: Sequence[str]) -> str:
    """A filter's value, "" when it is absent or not one of `allowed`."""
    value = query.get(name, "")
    return value if value in allowed else ""


def is_redacted(value: Any) -> bool:
    """Whether something in these arguments is hidden from cards, so that they cannot be written back as shown."""
    if isinstance(value, dict):
        return any(is_redacted(one) for one in value.values())
    return isinstance(value, str) and value == REDACTED


def undo_open(approval: Approval, now: datetime) -> bool:
    """Whether an approval can still be taken back."""
    return approval.status == "approved" and approval.execute_after is not None and approval.execute_after > now
