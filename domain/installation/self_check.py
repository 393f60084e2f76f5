"""Results of the checks an installation runs on itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCheckRun:
    """One evaluation carried out. `details` is small JSON."""

    id: str
    name: str
    passed: bool
    details: dict[str, Any]
    version: str
    created_at: datetime
