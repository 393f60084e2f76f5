"""Messages that wait to be delivered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`channel` is telegram, email or callback. `payload["kind"]` says what is to be rendered when it is sent."""

    id: str
    workspace_id: str | None
    channel: str
    recipient: str
    payload: dict[str, Any]
    attempts: int
    created_at: datetime
