"""Parameters of a call, however they were sent: query, form, multipart or JSON."""

import json
from dataclasses import dataclass
from typing import Any

from simulator.errors import bad


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with the call."""

    name: str
    data: bytes


class Params:
    """Reads parameters as the Bot API does: numbers and flags may be text, objects may be JSON text."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given

    def __contains__(self, name: str) -> bool:
        return self.given.get(name) is not None

    def text(self, name: str) -> str:
        """Text, empty when absent."""
        value = self.given.get(name)
        return "" if value is None else str(value)

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number; what is none counts as the default, as with Telegram."""
        try:
            return int(self.given.get(name, default))
        except (TypeError, ValueError):
            return default

    def flag(self, name: str) -> bool:
        """True for true, yes and 1."""
        return str(self.given.get(name, "")).lower() in ("true", "yes", "1")

    def json(self, name: str, what: str) -> Any:
        """JSON of any shape, None when absent; `what` names it in the refusal of broken JSON."""
        value = self.given.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise bad(f"can't parse {what} JSON object") from None

    def object(self, name: str, what: str) -> dict[str, Any]:
        """A JSON object, empty when absent."""
        value = self.json(name, what)
        if value is not None and not isinstance(value, dict):
            raise bad(f"can't parse {what}: Object expected")
        return value or {}

    def objects(self, name: str, what: str) -> list[dict[str, Any]]:
        """A JSON array of objects, empty when absent."""
        value = self.json(name, what)
        if value is not None and (not isinstance(value, list) or any(not isinstance(one, dict) for one in value)):
            raise bad(f"can't parse {what}: Array of Objects expected")
        return value or []

    def file(self, name: str) -> Upload | str | None:
        """An upload, or the text that stands for one (a file_id or an address); follows `attach://`."""
        value = self.given.get(name)
        if isinstance(value, str) and value.startswith("attach://"):
            value = self.given.get(value.removeprefix("attach://"))
        return value if isinstance(value, (Upload, str)) else None

    def loggable(self) -> dict[str, Any]:
        """The parameters without the bytes of files."""
        return {
            name: f"<{value.name}: {len(value.data)} bytes>" if isinstance(value, Upload) else value
            for name, value in self.given.items()
        }
