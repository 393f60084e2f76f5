"""Operators: who does the work, with which instructions and tools."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Who does the work: a role, a goal, constraints, and the tools it may use (empty = all)."""

    id: str
    workspace_id: str
    name: str
    role: str
    goal: str
    constraints: list[str]
    tools: list[str]
    is_active: bool
    max_iterations: int
    budget_micros: int | None
    created_at: datetime
    updated_at: datetime
