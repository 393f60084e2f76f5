"""Where a list goes on: after the item of a time and an id, in a form that callers hand back as it is."""

import re
from datetime import UTC, datetime, timedelta

from domain.errors import Invalid, NotFound
from domain.ids import parse_id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CURSOR = re.compile(r"[0-9]{1,16}\.[0-9a-f-]{36}")


def cursor_of(moment: datetime, item_id: str) -> str:
    """`<microseconds since 1970>.<id>`."""
    return f"{(moment - _EPOCH) // _MICROSECOND}.{item_id}"


def read_cursor(text: str | None) -> tuple[datetime, str] | None:
    """The reverse of `cursor_of`; None at the start of a list, Invalid for anything else."""
    if text is None:
        return None
    stamp, _, item_id = text.partition(".")
    try:
        if _CURSOR.fullmatch(text):
            return _EPOCH + int(stamp) * _MICROSECOND, parse_id(item_id)
    except NotFound:
        pass
    raise Invalid.field("cursor", "is not a cursor of this list")
