"""Reads the JSON of a playbook: as JSON is, but for typographic quotes, and references in the place of values."""

import json
import re

from domain.playbooks.cursor import Cursor
from domain.playbooks.texts import CLOSING, FENCES, read_block, read_quoted, read_reference
from domain.playbooks.values import Value

MAX_DEPTH = 20
MAX_DIGITS = 64
MAX_INTEGER = 2**53 - 1  # beyond it JSON numbers have no canonical form, and a call could not be signed

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_WORDS = {"true": True, "false": False, "null": None}


def read_quoted_or_json(cursor: Cursor) -> tuple[bool, Value]:
    """A quoted text, a block, or a JSON object or list: (True, value); (False, None) when none begins here."""
    for fence in FENCES:
        if cursor.peek(fence):
            return True, read_block(cursor, fence)
    if cursor.at_end:
        return False, None
    char = cursor.text[cursor.pos]
    if char in CLOSING:
        return True, read_quoted(cursor)
    if char in "{[" and not cursor.peek("{{"):
        return True, _json(cursor, 0)
    return False, None


def _json(cursor: Cursor, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise cursor.error("the value is nested too deeply")
    cursor.blanks(lines=True)
    if cursor.peek("{{"):
        return read_reference(cursor)
    if cursor.at_end:
        raise cursor.error("the JSON ends too early")
    char = cursor.text[cursor.pos]
    if char == "{":
        return _json_object(cursor, depth)
    if char == "[":
        return _json_list(cursor, depth)
    if char in CLOSING and char != "'":
        return read_quoted(cursor)
    number = read_number(cursor)
    if number is not None:
        return number
    for word, meaning in _WORDS.items():
        if cursor.take(word):
            return meaning
    raise cursor.error("this is not valid JSON")


def read_number(cursor: Cursor) -> int | float | None:
    """A number as JSON has them, None when none begins here."""
    start = cursor.pos
    written = cursor.match(_NUMBER)
    if written is None:
        return None
    if len(written) > MAX_DIGITS:
        raise cursor.error("the number is too long: write it in quotes", start)
    value: int | float = json.loads(written)
    if abs(value) > MAX_INTEGER and (isinstance(value, int) or value in (float("inf"), float("-inf"))):
        raise cursor.error("the number is too large: write it in quotes", start)
    return value


def _json_object(cursor: Cursor, depth: int) -> dict[str, Value]:
    start = cursor.pos
    cursor.pos += 1
    found: dict[str, Value] = {}
    cursor.blanks(lines=True)
    if cursor.take("}"):
        return found
    while True:
        cursor.blanks(lines=True)
        at = cursor.pos
        if cursor.at_end or cursor.text[cursor.pos] not in CLOSING:
            raise cursor.error("a name in quotes is expected in the JSON object")
        key = read_quoted(cursor)
        if not isinstance(key, str):
            raise cursor.error("a name in a JSON object cannot hold a reference", at)
        if key in found:
            raise cursor.error(f"the name {key!r} is there twice", at)
        cursor.blanks(lines=True)
        if not cursor.take(":"):
            raise cursor.error("a colon is expected after the name in the JSON object")
        found[key] = _json(cursor, depth + 1)
        if _json_goes_on(cursor, "}", start):
            continue
        return found


def _json_list(cursor: Cursor, depth: int) -> list[Value]:
    start = cursor.pos
    cursor.pos += 1
    found: list[Value] = []
    cursor.blanks(lines=True)
    if cursor.take("]"):
        return found
    while True:
        found.append(_json(cursor, depth + 1))
        if not _json_goes_on(cursor, "]", start):
            return found


def _json_goes_on(cursor: Cursor, end: str, start: int) -> bool:
    cursor.blanks(lines=True)
    if cursor.take(","):
        return True
    if cursor.take(end):
        return False
    if cursor.at_end:
        raise cursor.error("the bracket is never closed", start)
    raise cursor.error(f"a comma or {end} is expected in the JSON")
