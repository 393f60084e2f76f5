"""Updates as bytes: what was given is what is delivered, also what no Bot API would send."""

import re

_ID = b'"update_id"'
_VALUE = re.compile(rb"\s*:\s*(-?\d+(?![\d.eE]))")
_STOPS = re.compile(rb'["{}\[\]]')
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def update_number(raw: bytes) -> int | None:
    """The `update_id` of an update; None for bytes that have no whole number there."""
    found = _number_at(raw)
    return int(raw[found[0] : found[1]]) if found else None


def numbered(raw: bytes, number: int) -> bytes:
    """The update under this number: its own is replaced, or one is put in front; what is no object stays as it is."""
    found = _number_at(raw)
    if found:
        return raw[: found[0]] + str(number).encode() + raw[found[1] :]
    start = len(raw) - len(raw.lstrip())
    if raw[start : start + 1] != b"{":
        return raw
    rest = raw[start + 1 :]
    comma = b"" if rest.lstrip().startswith(b"}") else b","
    return raw[: start + 1] + _ID + b":" + str(number).encode() + comma + rest


def _number_at(raw: bytes) -> tuple[int, int] | None:
    """Where the number of the top-level `update_id` stands. No parser: depth and damage must not matter here."""
    depth, at = 0, 0
    while stop := _STOPS.search(raw, at):
        at = stop.end()
        if stop[0] == b'"':
            string = _STRING.match(raw, stop.start())
            if string is None:
                return None
            at = string.end()
            value = _VALUE.match(raw, at) if depth == 1 and string[0] == _ID else None
            if value is not None and len(value[1]) <= 20:
                return value.span(1)
        else:
            depth += 1 if stop[0] in b"{[" else -1
    return None
