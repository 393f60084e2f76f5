"""People as the bot meets them in a chat."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user as a chat sees them. `telegram_id` is also the id of their private chat."""

    id: str
    name: str
    telegram_id: int | None
    language: str | None
    preferences: dict[str, Any]
    chat_open: bool
