"""Time as values: aware UTC datetimes in, RFC 3339 text out."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import overload

Now = Callable[[], datetime]


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


@overload
def iso(moment: datetime) -> str: ...
@overload
def iso(moment: None) -> None: ...
def iso(moment: datetime | None) -> str | None:
    """`2026-11-23T20:04:26.123Z`: milliseconds and Z, the form the wire contract uses."""
    if moment is None:
        return None
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    text = moment.isoformat(timespec="milliseconds")
    return text[:-6] + "Z"
