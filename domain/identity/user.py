"""People who use the installation."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person. Known by mail address, Telegram account, or both."""

    id: str
    email: str | None
    telegram_id: int | None
    name: str
    username: str | None
    language: str | None
    photo_url: str | None
    chat_open: bool
    preferences: dict[str, Any]
    created_at: datetime
