"""Reads texts of a playbook (quoted, bare, in blocks) and references, in which a quoted name can stand."""

import re
from collections.abc import Callable

from domain.playbooks.cursor import Cursor
from domain.playbooks.errors import PlaybookError
from domain.playbooks.values import Ref, Value, joined

_IDENT = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_KEY_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
# Telephones turn straight quotes into typographic ones; both open and close a text.
CLOSING = {'"': '"', "'": "'", "“": "”“", "”": "”", "„": "“”", "«": "»", "‘": "’‘"}
FENCES = ('"""', "'''", "```", "“““", "”””")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
# runs of characters that mean nothing but themselves: taken at once, since a step for each letter adds up
_PLAIN_BARE = re.compile(r"[^\s,;{]+")
_PLAIN_TEMPLATE = re.compile(r"[^\\{]+")
_PLAIN_QUOTED = {opening: re.compile(rf"[^\\{{{closing}]+") for opening, closing in CLOSING.items()}
_HEX4 = re.compile(r"[0-9A-Fa-f]{4}")
_LOW_HALF = re.compile(r"\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})")
_INDEX = re.compile(r"-?\d{1,6}")


def read_quoted(cursor: Cursor) -> Value:
    """A text between quotation marks, up to the one that closes it."""
    start = cursor.pos
    closing, plain = CLOSING[cursor.text[cursor.pos]], _PLAIN_QUOTED[cursor.text[cursor.pos]]
    cursor.pos += 1
    parts: list[str | Ref] = []
    while not cursor.at_end:
        char = cursor.text[cursor.pos]
        if char in closing:
            cursor.pos += 1
            return joined(parts, empty="")
        if cursor.peek("{{"):
            parts.append(read_reference(cursor))
        elif char == "\\":
            parts.append(_escape(cursor))
        else:
            parts.append(cursor.match(plain) or cursor.one())
    raise cursor.error("the quotation mark is never closed", start)


def read_block(cursor: Cursor, fence: str) -> Value:
    """The lines between two fences, without the indentation they share."""
    start = cursor.pos
    cursor.pos += len(fence)
    end = cursor.text.find(fence, cursor.pos)
    if end < 0:
        raise cursor.error(f"the block that {fence} opens is never closed", start)
    inside = cursor.text[cursor.pos : end]
    pos = cursor.pos
    cursor.pos = end + len(fence)
    first, newline, rest = inside.partition("\n")
    if newline and (not first.strip() or (fence == "```" and first.strip().isalnum())):
        inside, pos = rest, pos + len(first) + 1
    return read_template(cursor, dedent(inside), pos)


def read_bare(cursor: Cursor, stop: Callable[[str], bool]) -> Value:
    """Characters up to one that stops; references may hold blanks."""
    parts: list[str | Ref] = []
    start = cursor.pos
    while not cursor.at_line_end:
        if cursor.peek("{{"):
            parts.append(read_reference(cursor))
        elif stop(cursor.text[cursor.pos]):
            break
        else:
            parts.append(cursor.match(_PLAIN_BARE) or cursor.one())
    if not parts:
        raise cursor.error("a value is missing here", start)
    return joined(parts)


def read_template(cursor: Cursor, text: str, pos: int) -> Value:
    """`text`, which stands at `pos`, with its references; used for blocks whose indentation was taken off."""
    inner = Cursor(text)
    line, column = cursor.where(pos)
    parts: list[str | Ref] = []
    while not inner.at_end:
        if inner.peek("\\{{"):
            parts.append("{{")
            inner.pos += 3
        elif inner.peek("{{"):
            try:
                found = read_reference(inner)
            except PlaybookError as error:
                raise PlaybookError(error.reason, line=line + error.line - 1, column=error.column) from error
            parts.append(Ref(found.path, line + found.line - 1, column))
        else:
            parts.append(inner.match(_PLAIN_TEMPLATE) or inner.one())
    return joined(parts, empty="")


def _escape(cursor: Cursor) -> str:
    cursor.pos += 1
    char = cursor.text[cursor.pos] if not cursor.at_end else ""
    cursor.pos += 1
    if char == "u":
        digits = cursor.text[cursor.pos : cursor.pos + 4]
        if not _HEX4.fullmatch(digits):
            raise cursor.error("\\u needs four hexadecimal digits")
        cursor.pos += 4
        code = int(digits, 16)
        low = _LOW_HALF.match(cursor.text, cursor.pos)
        if 0xD800 <= code < 0xDC00 and low is not None:
            cursor.pos = low.end()
            return chr(0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00)
        return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)
    if char == "{":
        return "{{" if cursor.take("{") else "{"
    if char in _ESCAPES:
        return _ESCAPES[char]
    return char if char in "\\/\"'“”„«»‘’" else "\\" + char


def read_reference(cursor: Cursor) -> Ref:
    """`{{path}}`."""
    start = cursor.pos
    cursor.pos += 2
    cursor.blanks()
    found = read_path(cursor)
    cursor.blanks()
    if not cursor.take("}}"):
        raise cursor.error("the reference is not closed by }}", start)
    return found


def read_path(cursor: Cursor) -> Ref:
    """`name`, `steps.1.json.items[0].id`, `steps["check"].ok`."""
    start = cursor.pos
    first = cursor.match(_IDENT)
    if first is None:
        raise cursor.error("a name such as steps.1.status is expected here")
    parts: list[str | int] = [first]
    while True:
        if cursor.peek(".") and _KEY_PART.match(cursor.text, cursor.pos + 1):
            cursor.pos += 1
            part = cursor.match(_KEY_PART) or ""
            parts.append(int(part) if part.isdecimal() else part)
        elif cursor.take("["):
            parts.append(_index(cursor))
        else:
            line, column = cursor.where(start)
            return Ref(tuple(parts), line, column)


def _index(cursor: Cursor) -> str | int:
    number = cursor.match(_INDEX)
    if number is not None:
        key: Value = int(number)
    elif not cursor.at_end and cursor.text[cursor.pos] in CLOSING:
        key = read_quoted(cursor)
    else:
        raise cursor.error("a number or a name in quotes is expected in the brackets")
    if not isinstance(key, str | int) or not cursor.take("]"):
        raise cursor.error("the bracket ] is missing")
    return key


def dedent(text: str) -> str:
    """The text without the indentation its lines share, and without a last line of blanks."""
    lines = text.split("\n")
    if len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    shared = min((len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()), default=0)
    return "\n".join(line[shared:].rstrip("\r") for line in lines)
