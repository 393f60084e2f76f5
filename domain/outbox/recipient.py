"""People a message can be sent to."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A person with an open private chat; the chat's id is their Telegram id."""

    user_id: str
    name: str
    telegram_id: int
    role: str
    language: str | None
    preferences: dict[str, Any]
