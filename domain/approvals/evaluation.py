"""Decisions asked for by programs outside: what was asked, what was answered."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One question by its receipt's place in the log. `used`: its approval's answer has served, or is too old to."""

    workspace_id: str
    idx: int
    session: str
    call_digest: str
    approval_id: str | None
    used: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySession:
    """What an agent calls one session, with the decisions made in it."""

    name: str
    began_at: datetime
    count: int
    last_idx: int
