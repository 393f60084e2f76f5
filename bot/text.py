"""Text as Telegram counts it: UTF-16 units, entities instead of markup, never cut inside an entity."""

import json
from typing import Any

from aiogram.utils.formatting import Text

LIMIT = 4096
ELLIPSIS = "…"


def units(text: str) -> int:
    """Length in UTF-16 units, as Telegram counts."""
    return len(text.encode("utf-16-le")) // 2


def clip(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units, whole characters, an ellipsis at the end when cut."""
    if units(text) <= limit:
        return text
    kept: list[str] = []
    left = limit - 1
    for char in text:
        size = 2 if ord(char) > 0xFFFF else 1
        if size > left:
            break
        kept.append(char)
        left -= size
    return "".join(kept).rstrip("\u200d\ufe0f") + ELLIPSIS


def line(text: Any, limit: int) -> str:
    """One line: white space runs become one space, then clipped."""
    return clip(" ".join(str(text).split()), limit)


def pretty(value: Any, limit: int) -> tuple[str, bool]:
    """JSON for reading, and whether it was cut."""
    if isinstance(value, dict) and value and all(isinstance(v, str | int | float | bool) for v in value.values()):
        text = "\n".join(f"{k}: {v}" for k, v in value.items())
    else:
        text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    text = text.replace("\x00", "�")
    return clip(text, limit), units(text) > limit


def render(*nodes: Any) -> dict[str, Any]:
    """`{"text", "entities"}` of a message, JSON only; lines are joined as given.

    Raises ValueError when the parts were not clipped enough to fit a message: cutting here could
    cut an entity.
    """
    text, entities = Text(*nodes).render()
    if units(text) > LIMIT:
        raise ValueError(f"a message of {units(text)} units")
    return {"text": text, "entities": [e.model_dump(exclude_none=True, mode="json") for e in entities]}


def lines(*nodes: Any) -> list[Any]:
    """The given lines with line breaks between; None leaves a line out, "" is an empty one."""
    kept = [n for n in nodes if n is not None]
    return [part for i, n in enumerate(kept) for part in (("\n", n) if i else (n,))]
