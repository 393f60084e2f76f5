"""What every message is put together from: lines, moments, ids and buttons, as JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aiogram.utils.formatting import DateTime

from bot.links import Button
from bot.text import line, lines, render

View = dict[str, Any]
Keyboard = list[list[Button]]


def view(*nodes: Any, keyboard: Sequence[Sequence[Button | None]] = ()) -> View:
    """A message: `{"text", "entities", "keyboard"?}`, JSON only; buttons that are None are left out."""
    rows = [kept for row in keyboard if (kept := [b for b in row if b is not None])]
    return {**render(*lines(*nodes)), **({"keyboard": rows} if rows else {})}


def moment(when: datetime) -> DateTime:
    """A time shown in the reader's own zone; older clients show UTC."""
    when = when.astimezone(UTC)
    return DateTime(f"{when:%Y-%m-%d %H:%M} UTC", unix_time=when, date_time_format="dt")


def plain_moment(text: str | None) -> str:
    """A time of the wire (`...T21:03:04.123Z`) for an alert, which knows no entities."""
    return "" if not text else text[:16].replace("T", " ") + " UTC"


def short_id(value: str) -> str:
    """The end of an id, as lists show it."""
    return value[-6:]


def tap(text: str, data: str, *, style: str | None = None) -> Button:
    """A button that sends `data`."""
    return {"text": line(text, 64), "callback_data": data, **({"style": style} if style else {})}
