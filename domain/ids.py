"""Identifiers: time-ordered UUIDs (version 7, RFC 9562) as canonical lower-case text."""

from typing import Any
from uuid import UUID

import uuid_utils

from domain.errors import NotFound


def new_id() -> str:
    """A fresh UUIDv7; later ids sort after earlier ones of the same process."""
    return str(uuid_utils.uuid7())


def parse_id(value: Any, *, what: str = "id") -> str:
    """The canonical form of `value`; NotFound when it is no UUID, so that a bad id is no oracle."""
    try:
        return str(UUID(value)) if isinstance(value, str) and len(value) == 36 else _refuse(what)
    except ValueError:
        return _refuse(what)


def _refuse(what: str) -> str:
    raise NotFound(f"no such {what}")
