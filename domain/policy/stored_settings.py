"""The settings of a workspace as they are stored."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSettings:
    """Sections as stored ({} when never written); `version` counts the writes, 0 = none yet."""

    workspace_id: str
    mode: str
    policy: dict[str, Any]
    budget: dict[str, Any]
    model: dict[str, Any]
    version: int
