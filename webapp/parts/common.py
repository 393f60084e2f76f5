"""What all parts share: their signature, and how values look."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from domain.actor import Actor
from domain.clock import iso
from services.container import Services

Query = dict[str, str]
Part = tuple[str, dict[str, Any]]
Builder = Callable[[Services, Actor, str, Query], Awaitable[Part]]

WORDS = {
    "pending": "not started",
    "queued": "queued",
    "running": "running",
    "awaiting_approval": "waits for you",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "waiting": "waiting",
    "uncertain": "interrupted",
    "blocked": "blocked",
    "budget_exhausted": "out of budget",
    "stalled": "stalled",
    "approved": "approved",
    "rejected": "denied",
    "changes_requested": "changes asked for",
    "expired": "expired",
    "denied": "denied by policy",
    "intent": "under way",
    "done": "done",
    "skipped": "skipped",
}
TONES = {
    "completed": "good",
    "approved": "good",
    "done": "good",
    "failed": "bad",
    "rejected": "bad",
    "denied": "bad",
    "blocked": "bad",
    "expired": "bad",
    "budget_exhausted": "bad",
    "stalled": "bad",
    "awaiting_approval": "ask",
    "uncertain": "ask",
    "running": "busy",
    "queued": "busy",
    "intent": "busy",
    "waiting": "busy",
}
EFFECTS = {
    0: "only computes",
    1: "reads outside",
    2: "writes inside",
    3: "acts outside",
    4: "critical",
}


def filters() -> dict[str, Callable[..., Any]]:
    """Jinja filters."""
    return {
        "word": lambda state: WORDS.get(str(state), str(state)),
        "tone": lambda state: TONES.get(str(state), "calm"),
        "pretty": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
        "iso": lambda moment: iso(moment) if isinstance(moment, datetime) else "",
        "effect": lambda level: EFFECTS.get(int(level), ""),
        "dollars": lambda micros: f"${micros / 1e6:.2f}",
    }
